"""Chip pictures and map backdrops: each scene is opened once, and only what is shown is read.

What a person typed may be read; what a file of hits names, in that file's folder and below. A
scene that cannot be read leaves a reason in the place of its pictures, never an error.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from georclip.errors import GeorclipError
from georclip.export.permission import refusal
from georclip.export.records import HitRecord, Hits
from georclip.export.sheet.backdrop import Backdrop, read_backdrop
from georclip.export.sheet.chip import ChipPicture, no_picture, read_chip
from georclip.export.sheet.projection import View
from georclip.georeference import Georeference
from georclip.printable import printable
from georclip.scenes.access import Access, is_remote
from georclip.scenes.pixels import PixelReader
from georclip.scenes.raster import GDAL_ERRORS, gdal_settings, open_raster, reason
from georclip.scenes.scene import open_scene
from georclip.values import Scene

log = logging.getLogger("georclip")

_PAGE_BYTES = 1_250_000
"""Of all chip pictures, unless there are very many."""
_PICTURE_BYTES = (9_000, 60_000)
_BACKDROP_BYTES = 400_000
"""Of all backdrops together, unless there are very many."""
_LEAST_BACKDROP_BYTES = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPlan:
    """One map, and which hits are on it.

    Attributes:
        view: What it shows.
        records: Numbers of the hits on it, in `Hits.records`.
        with_backdrop: Whether scenes are shown below the hits.
    """

    view: View
    records: tuple[int, ...]
    with_backdrop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Everything that was read from scenes.

    Attributes:
        chips: One a hit, in their order.
        backdrops: Of each map, that of the best hit's scene last, on top.
        scenes: By uri, as far as they are known.
    """

    chips: tuple[ChipPicture, ...]
    backdrops: tuple[tuple[Backdrop, ...], ...]
    scenes: dict[str, Scene] = field(default_factory=dict)


def read_pictures(hits: Hits, maps: Sequence[MapPlan], access: Access) -> Pictures:
    """Read what a page shows of its scenes, one scene after the other.

    Args:
        hits: What is shown.
        maps: The maps that scenes are drawn on.
        access: What may be read beside typed paths: servers, and folders that files name.
    """
    chips: list[ChipPicture] = [no_picture("")] * len(hits.records)
    backdrops: list[list[Backdrop]] = [[] for _ in maps]
    known = {scene.uri: scene for scene in hits.scenes}
    by_scene: dict[str, list[int]] = {}
    for number, record in enumerate(hits.records):
        by_scene.setdefault(record.uri, []).append(number)
    budget = _Budget.of(len(hits.records), sum(one.with_backdrop for one in maps))
    for uri, numbers in by_scene.items():
        wanted = [at for at, one in enumerate(maps) if set(one.records) & set(numbers)]
        try:
            scene = _permitted(uri, hits, known.get(uri), access)
            known[uri] = scene
            opened = _Opened(scene=scene, access=access, budget=budget)
            shown = [hits.records[number] for number in numbers]
            views = [maps[at].view for at in wanted if maps[at].with_backdrop]
            pictures, drawn = opened.read(shown, views)
        except (GeorclipError, *GDAL_ERRORS) as error:
            why = _reason(error, uri)
            log.warning("no pictures of %s: %s", printable(uri), printable(why))
            pictures, drawn = [no_picture(why)] * len(numbers), []
        for number, picture in zip(numbers, pictures, strict=True):
            chips[number] = picture
        with_backdrop = [at for at in wanted if maps[at].with_backdrop]
        for at, backdrop in zip(with_backdrop, drawn, strict=False):
            if backdrop is not None:
                backdrops[at].append(backdrop)
    return Pictures(
        chips=tuple(chips),
        backdrops=tuple(tuple(reversed(drawn)) for drawn in backdrops),
        scenes=known,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Budget:
    """Bytes of data URIs: of a chip's picture, and of a backdrop."""

    chip: int
    backdrop: int

    @classmethod
    def of(cls, hits: int, maps: int) -> _Budget:
        least, most = _PICTURE_BYTES
        return cls(
            chip=min(max(_PAGE_BYTES // max(hits, 1), least), most),
            backdrop=max(_BACKDROP_BYTES // max(maps, 1) // 2, _LEAST_BACKDROP_BYTES),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A scene about to be read."""

    scene: Scene
    access: Access
    budget: _Budget

    def read(
        self, records: Sequence[HitRecord], views: Sequence[View]
    ) -> tuple[list[ChipPicture], list[Backdrop | None]]:
        """Read a scene's chips, and what maps show of it.

        Raises:
            SceneError: It cannot be opened, or is not what it was.
        """
        scene = self.scene
        place = Georeference(crs=scene.crs, transform=scene.transform)
        with gdal_settings(scene.uri), open_raster(scene.uri, access=self.access) as dataset:
            size = (dataset.width, dataset.height, dataset.count)
            if size != (scene.width, scene.height, scene.band_count):
                raise _Unreadable("the file has changed since it was indexed")
            reader = PixelReader(dataset, scene.uri, scene.rendering)
            chips = [
                read_chip(reader, record, place, most_bytes=self.budget.chip) for record in records
            ]
            drawn = [
                read_backdrop(reader, place, view, most_bytes=self.budget.backdrop)
                for view in views
            ]
        return chips, drawn


def _permitted(uri: str, hits: Hits, scene: Scene | None, access: Access) -> Scene:
    """The scene behind a uri, if it may be read.

    Raises:
        SceneError: It cannot be read, or may not; the message says what allows it.
    """
    if is_remote(uri) and not access.allow_remote:
        raise _Unreadable("the scene is not on this machine's disk: --allow-remote reads it")
    why = refusal(uri, hits.read_from, access)
    if why:
        raise _Unreadable(why)
    return scene if scene is not None else open_scene(uri, access=access)


class _Unreadable(GeorclipError):
    """A scene that may not be read, or is not what it was."""


def _reason(error: Exception, uri: str) -> str:
    text = str(error) if isinstance(error, GeorclipError) else reason(error)
    return text.removeprefix(f"{uri}: ")
