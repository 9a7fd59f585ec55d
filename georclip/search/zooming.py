"""From a hit to the object: footprints shrink to the part of a chip that answers the question."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.errors import SceneError
from georclip.georeference import Georeference
from georclip.scenes.access import Access, is_remote
from georclip.scenes.pixels import PixelReader
from georclip.scenes.quality import fill_invalid
from georclip.scenes.raster import open_raster
from georclip.search.evidence import Part, find_part
from georclip.values import Hit, Scene, Window

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder

log = logging.getLogger("georclip")

Progress = Callable[[int, int], None]
"""Called with (hits done, hits in all)."""

_SIDES_READ = 2
"""A chip is read with sides of at most this many times the encoder's own."""


def zoom_in(
    hits: Sequence[Hit],
    question: npt.NDArray[np.float32],
    encoder: Encoder,
    access: Access | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[Hit, ...]:
    """Shrink each hit's window and footprint to the part of its chip that answers.

    Everything else of a hit stays the whole chip's: chip_id, score, rank, scale, valid_fraction.
    A scene is opened once. Hits of scenes that cannot be opened, or have changed, are returned as
    they are, and the scene is named in a warning.

    Args:
        hits: Of one question.
        question: float32, (dim,), of unit length.
        encoder: What made the index.
        access: What scenes may name elsewhere; scenes that are remote themselves are read only
            where it allows that.
        progress: Told how far it is.

    Returns:
        As many hits, in their order.
    """
    access = access or Access()
    zoomed = list(hits)
    done = 0
    for scene, places in _by_scene(hits):
        try:
            with _reading(scene, access) as reader:
                for place in places:
                    zoomed[place] = _zoom(hits[place], reader, question, encoder)
                    done += 1
                    if progress is not None:
                        progress(done, len(hits))
        except SceneError as error:
            log.warning("not zoomed into: %s", error)
            done += sum(zoomed[place] is hits[place] for place in places)
            if progress is not None:
                progress(min(done, len(hits)), len(hits))
    return tuple(zoomed)


def _by_scene(hits: Sequence[Hit]) -> list[tuple[Scene, list[int]]]:
    """Positions of the hits of each scene, scenes in the order of their best hit."""
    places: dict[str, tuple[Scene, list[int]]] = {}
    for place, hit in enumerate(hits):
        places.setdefault(hit.scene.uri, (hit.scene, []))[1].append(place)
    return list(places.values())


@contextmanager
def _reading(scene: Scene, access: Access) -> Iterator[PixelReader]:
    """Open a scene as it was indexed.

    Raises:
        SceneError: It cannot be opened, may not be, or is not what it was.
    """
    if is_remote(scene.uri) and not access.allow_remote:
        raise SceneError(f"{scene.uri}: is read over the network: allow that with --allow-remote")
    with open_raster(scene.uri, access=access) as dataset:
        found = dataset.width, dataset.height, dataset.count
        if found != (scene.width, scene.height, scene.band_count):
            raise SceneError(f"{scene.uri}: has changed since it was indexed: index it again")
        yield PixelReader(dataset, scene.uri, scene.rendering)


def _zoom(
    hit: Hit, reader: PixelReader, question: npt.NDArray[np.float32], encoder: Encoder
) -> Hit:
    window = hit.chip.window
    pixels = _read(reader, window, _SIDES_READ * encoder.spec.image_size_px)
    part = find_part(pixels, question, encoder)
    refined = _cut(window, part)
    ground = Georeference(crs=hit.scene.crs, transform=hit.scene.transform)
    corners = (refined.col_off, refined.row_off, refined.width, refined.height)
    chip = replace(
        hit.chip,
        window=refined,
        footprint=ground.footprint(corners),
        gsd_m=ground.gsd_m(
            refined.col_off + refined.width / 2, refined.row_off + refined.height / 2
        ),
    )
    return replace(hit, chip=chip)


def _read(reader: PixelReader, window: Window, longest_px: int) -> npt.NDArray[np.uint8]:
    """A window as the encoder saw it: uint8 RGB, (3, height, width)."""
    factor = max(1.0, max(window.width, window.height) / longest_px)
    shape = max(1, round(window.height / factor)), max(1, round(window.width / factor))
    area = (window.col_off, window.row_off, window.width, window.height)
    pixels, valid = reader.read_rendered(area, shape)
    if valid is None or valid.all():
        return pixels
    if not valid.any():
        raise SceneError(f"{reader.uri}: has changed since it was indexed: index it again")
    return fill_invalid(pixels, valid, shape)[0]


def _cut(window: Window, part: Part) -> Window:
    """The part of a window, at least one pixel and never beyond it."""
    width = max(1, min(window.width, int(part.width * window.width)))
    height = max(1, min(window.height, int(part.height * window.height)))
    return Window(
        col_off=window.col_off + min(round(part.left * window.width), window.width - width),
        row_off=window.row_off + min(round(part.top * window.height), window.height - height),
        width=width,
        height=height,
    )
