"""In-scene retrieval: pictures laid into one scene, indexed as any scene is, asked in words.

Retrieval among whole pictures (protocols A and B) leaves out what makes searching a scene hard:
chips are cut where the plan's stride falls, and nearly all of them straddle several pictures.
Here pictures of known class and caption are laid into a georeferenced GeoTIFF (`mosaic`). That
scene goes the way of any other: `open_scene`, the automatic chip plan, `index_scene`, `search`.
What comes back is judged by its footprint (`ground_truth`). Nothing on the way knows where one
picture ends and the next begins.

Neighbours are drawn at random, so that chips see mixtures of classes: harder than ground on which
a harbor lies beside the sea, and no friendlier to one class than to another. A picture covers
the ground that the encoder typically knows, at no fewer pixels than its tower takes, so that a
chip of scale 1 and a picture are of one size: whole pictures are there to be found, almost none
of them alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from georclip.evaluation.asking import (
    IndexedMosaic,
    ask,
)
from georclip.evaluation.ground_truth import Losses, measure_shares
from georclip.evaluation.in_scene_values import InSceneFigures, InSceneSettings
from georclip.evaluation.mosaic import Mosaic, lay_mosaic, resample_scene, usual_side_px
from georclip.evaluation.scene_folder import index_path, prepare_folder, scene_path
from georclip.index.making import is_index
from georclip.index.store import IndexStore
from georclip.indexing import index_scene
from georclip.scenes.scene import open_scene

if TYPE_CHECKING:
    from georclip.captions.records import CaptionedImage
    from georclip.encoders.base import Encoder
    from georclip.indexing import Progress
    from georclip.values import ChipPlan, EncoderSpec

__all__ = [
    "FACTORS",
    "InSceneFigures",
    "InSceneSettings",
    "measure_in_scene",
    "measure_scales",
]

log = logging.getLogger("georclip")

FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Pixel sizes, over the laid scene's own, at which an encoder is to find the same ground."""

_LARGEST_TOWERS = 4
_PIXEL_SIZE_M = 1.0  # where an encoder does not say which ground it knows


def measure_in_scene(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    *,
    folder: Path,
    settings: InSceneSettings,
    progress: Progress | None = None,
    asking: Progress | None = None,
) -> InSceneFigures:
    """Lay pictures into a scene, index it, ask it, and judge the answers on the ground.

    Args:
        encoder: What embeds chips and questions.
        images: Held-out pictures, all of which are laid.
        folder: Where the scene (`scene.tif`) and its index (`index`) are written, and left to be
            looked at; made where it does not exist. A scene that is there is replaced.
        settings: How it is laid, cut and asked.
        progress: Told how far indexing is.
        asking: Told how many questions are answered, of how many.

    Raises:
        CaptionError: No pictures, or broken ones.
        SceneError: The scene cannot be written.
        EncoderMismatchError: The folder holds an index of another encoder; no scene is replaced.
        IndexFormatError: An index there is damaged; likewise.
    """
    factors = (settings.pixel_size_factor,)
    (figures,) = measure_scales(
        encoder, images, folder=folder, settings=settings, factors=factors, progress=progress,
        asking=asking,
    )  # fmt: skip
    return figures


def measure_scales(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    *,
    folder: Path,
    settings: InSceneSettings,
    factors: Sequence[float] = FACTORS,
    progress: Progress | None = None,
    asking: Progress | None = None,
) -> tuple[InSceneFigures, ...]:
    """Measure one scene at several pixel sizes: the same ground, resampled with antialiasing.

    Args:
        encoder: What embeds chips and questions.
        images: Held-out pictures, all of which are laid.
        folder: As in `measure_in_scene`; resampled scenes and their indexes lie beside the first.
        settings: How it is laid, cut and asked; `pixel_size_factor` gives way to `factors`.
        factors: New pixel sizes over that of the scene as it is laid.
        progress: Told how far indexing is, for each scene from the start.
        asking: Told how many questions are answered, of how many; likewise.

    Returns:
        One for each factor, in their order.

    Raises:
        CaptionError: No pictures, or broken ones.
        SceneError: A scene cannot be written.
        EncoderMismatchError: The folder holds an index of another encoder; no scene is replaced.
        IndexFormatError: An index there is damaged; likewise.
    """
    prepare_folder(folder, encoder.spec, factors)
    mosaic = _lay(encoder.spec, images, scene_path(folder), settings)
    figures = []
    for factor in factors:
        one = replace(settings, pixel_size_factor=factor)
        path = scene_path(folder, factor)
        if factor != 1:
            resample_scene(mosaic.path, path, factor=factor)
        index = index_path(folder, factor)
        figures.append(_measure(encoder, images, mosaic, path, index, one, progress, asking))
    return tuple(figures)


def _lay(
    spec: EncoderSpec, images: Sequence[CaptionedImage], path: Path, settings: InSceneSettings
) -> Mosaic:
    cell_px = settings.cell_px
    if cell_px is None:
        most_px = _LARGEST_TOWERS * spec.image_size_px
        cell_px = max(usual_side_px(images, most_px=most_px), spec.image_size_px)
    known = spec.ground_size_m
    return lay_mosaic(
        images,
        path,
        cell_px=cell_px,
        pixel_size_m=_PIXEL_SIZE_M if known is None else known[1] / cell_px,
        seed=settings.seed,
        trim=settings.trim,
        crs=settings.crs,
    )


def _measure(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    mosaic: Mosaic,
    path: Path,
    index: Path,
    settings: InSceneSettings,
    progress: Progress | None,
    asking: Progress | None,
) -> InSceneFigures:
    """Index a scene that holds the ground of `mosaic`, and ask it."""
    scene = open_scene(str(path))
    with _open(index, encoder.spec, settings.plan) as store:
        report = index_scene(
            store,
            encoder,
            scene,
            settings.plan,
            memory_bytes=settings.memory_bytes,
            progress=progress,
        )
        chips = [chip for chip, _ in store.fetch(store.select(scenes=report.scene.uri).rows)]
        shares = measure_shares([chip.footprint for chip in chips], mosaic.boxes(), mosaic.crs)
        asked = IndexedMosaic(
            store=store,
            uri=report.scene.uri,
            encoder=encoder,
            cells=mosaic.cells,
            shares=shares,
            number_of={chip.chip_id: number for number, chip in enumerate(chips)},
        )
        log.info("%s: asking for every class, and for every picture by a caption", scene.name)
        by_class, by_caption = ask(asked, k=settings.k, seed=settings.seed, progress=asking)
    sides = {chip.scale: chip.gsd_m * chip.window.width for chip in chips}
    return InSceneFigures(
        seed=settings.seed,
        pixel_size_factor=settings.pixel_size_factor,
        pixel_size_m=scene.transform[0],
        overlap=settings.overlap,
        images=len(images),
        cells=len(mosaic.cells),
        cell_m=_cell_m(mosaic),
        chips=report.chips,
        chip_sides_m=tuple(sides[scale] for scale in sorted(sides)),
        whole=shares.shown_cells / len(mosaic.cells),
        k=settings.k,
        precision_at_k=_mean([one.precision for one in by_class]),
        losses=_mean_losses([one.losses for one in by_class]),
        by_chance=_mean([one.by_chance for one in by_class]),
        mean_average_precision=_mean([one.average_precision for one in by_class]),
        by_class=by_class,
        by_caption=by_caption,
    )


def _open(path: Path, spec: EncoderSpec, plan: ChipPlan) -> IndexStore:
    """The index of an earlier run, or a new one; a changed scene is replaced in it."""
    if is_index(path):
        return IndexStore.open(path, writable=True)
    return IndexStore.create(path, encoder=spec, plan=plan)


def _cell_m(mosaic: Mosaic) -> float:
    area_px = mosaic.width * mosaic.height / len(mosaic.cells)
    return float(mosaic.pixel_size_m * area_px**0.5)


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _mean_losses(losses: Sequence[Losses]) -> Losses | None:
    if not losses:
        return None
    return Losses(
        straddling=fmean(one.straddling for one in losses),
        mixed=fmean(one.mixed for one in losses),
        mistaken=fmean(one.mistaken for one in losses),
    )
