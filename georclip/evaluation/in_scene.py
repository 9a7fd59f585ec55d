"""In-scene retrieval: pictures laid into one scene, indexed as any scene is, asked in words.

Retrieval among whole pictures (protocols A and B) leaves out what makes searching a scene hard:
chips are cut where the plan's stride falls, and nearly all of them straddle several pictures.
Here pictures of known class and caption are laid into a georeferenced GeoTIFF (`mosaic`). That
scene goes the way of any other: `open_scene`, the automatic chip plan, `index_scene`, `search`.
What comes back is judged by its footprint (`ground_truth`). Nothing on the way knows where one
picture ends and the next begins.

Neighbours are drawn by lot, so that chips see mixtures of classes: harder than ground on which
a harbor lies beside the sea, and no friendlier to one class than to another. A picture covers
the ground that the encoder typically knows, at no fewer pixels than its tower takes, so that a
chip of scale 1 and a picture are of one size: whole pictures are there to be found, almost none
of them alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from georclip.errors import SceneError
from georclip.evaluation.asking import (
    CaptionFigures,
    ClassFigures,
    IndexedMosaic,
    ask_captions,
    ask_classes,
)
from georclip.evaluation.ground_truth import Losses, measure_shares
from georclip.evaluation.mosaic import TRIM, UTM, Mosaic, lay_mosaic, resample_scene, usual_side_px
from georclip.index.making import is_index
from georclip.index.store import IndexStore
from georclip.indexing import index_scene
from georclip.scenes.scene import open_scene
from georclip.values import ChipPlan

if TYPE_CHECKING:
    from georclip.captions.records import CaptionedImage
    from georclip.encoders.base import Encoder
    from georclip.indexing import Progress
    from georclip.values import EncoderSpec

log = logging.getLogger("georclip")

FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Pixel sizes, over the laid scene's own, at which an encoder is to find the same ground."""

_LARGEST_TOWERS = 4
_PIXEL_SIZE_M = 1.0  # where an encoder does not say which ground it knows


@dataclass(frozen=True, slots=True, kw_only=True)
class InSceneSettings:
    """How the scene is laid, cut and asked.

    Attributes:
        seed: Of the pictures' order, of the trimming, and of the caption taken of each picture.
        cell_px: Side of a picture in the scene before trimming, px; None: its own (the median
            short side), but from the encoder's `image_size_px` to four times that: the automatic
            plan cuts chips of no other sizes.
        trim: Most of a side that a column or row of pictures loses, in [0, 0.5].
        crs: Where the scene lies: UTM or like it.
        pixel_size_factor: The scene is asked after resampling to this times its pixel size.
        overlap: Share of a side that neighbouring chips share, in [0, 1).
        scales: Factors on a chip's side; (1.0,) leaves them to the automatic plan.
        k: Places looked at: precision is taken at min(k, right ones there are).
        memory_bytes: Bound on the buffers of reading and encoding, bytes.
    """

    seed: int = 0
    cell_px: int | None = None
    trim: float = TRIM
    crs: str = UTM
    pixel_size_factor: float = 1.0
    overlap: float = 0.25
    scales: tuple[float, ...] = (1.0,)
    k: int = 10
    memory_bytes: int = 500_000_000

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be at least 1, not {self.k}")
        if not 0 < self.pixel_size_factor < float("inf"):
            raise ValueError(f"pixel_size_factor must be positive, not {self.pixel_size_factor}")
        if self.cell_px is not None and self.cell_px < 1:
            raise ValueError(f"cell_px must be at least 1, not {self.cell_px}")
        if not 0 <= self.trim <= 0.5:
            raise ValueError(f"trim must lie in [0, 0.5], not {self.trim}")
        _ = self.plan  # checks overlap and scales

    @property
    def plan(self) -> ChipPlan:
        """How the scene is cut: chips of the size that the encoder knows."""
        return ChipPlan(overlap=self.overlap, scales=self.scales)


@dataclass(frozen=True, slots=True, kw_only=True)
class InSceneFigures:
    """What an encoder finds in a laid scene.

    Attributes:
        seed: Of the layout.
        pixel_size_factor: Pixel size over that of the scene as it was laid.
        pixel_size_m: Side of a pixel, m.
        overlap: Share of a side that neighbouring chips share.
        images: Pictures.
        cells: Places in the scene; a few pictures lie there twice where the grid needs them.
        cell_m: Mean ground side of a cell, m.
        chips: Chips in the index.
        chip_sides_m: Ground side of the chips of each scale, ascending, m.
        whole: Share of cells that cover more than half of some chip.
        k: Places looked at.
        precision_at_k: Precision at min(k, n) on the ground, class name as query, mean over
            classes, in [0, 1]; None where pictures have no class.
        losses: Why the other answers are wrong, mean over classes; None likewise.
        by_lot: What a random order would score: mean share of chips that are right for a class;
            None likewise.
        mean_average_precision: Over the whole ranking, mean over classes, in [0, 1]; None
            likewise.
        by_class: Each class.
        by_caption: One caption of each picture as a query.
    """

    seed: int
    pixel_size_factor: float
    pixel_size_m: float
    overlap: float
    images: int
    cells: int
    cell_m: float
    chips: int
    chip_sides_m: tuple[float, ...]
    whole: float
    k: int
    precision_at_k: float | None
    losses: Losses | None
    by_lot: float | None
    mean_average_precision: float | None
    by_class: tuple[ClassFigures, ...]
    by_caption: CaptionFigures


def measure_in_scene(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    *,
    folder: Path,
    settings: InSceneSettings,
    progress: Progress | None = None,
) -> InSceneFigures:
    """Lay pictures into a scene, index it, ask it, and judge the answers on the ground.

    Args:
        encoder: What embeds chips and questions.
        images: Held-out pictures, all of which are laid.
        folder: Where the scene (`scene.tif`) and its index (`index`) are written, and left to be
            looked at; made where it does not exist. A scene that is there is replaced.
        settings: How it is laid, cut and asked.
        progress: Told how far indexing is.

    Raises:
        CaptionError: No pictures, or broken ones.
        SceneError: The scene cannot be written.
        EncoderMismatchError: The folder holds an index of another encoder.
    """
    factors = (settings.pixel_size_factor,)
    (figures,) = measure_scales(
        encoder, images, folder=folder, settings=settings, factors=factors, progress=progress
    )
    return figures


def measure_scales(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    *,
    folder: Path,
    settings: InSceneSettings,
    factors: Sequence[float] = FACTORS,
    progress: Progress | None = None,
) -> tuple[InSceneFigures, ...]:
    """Measure one scene at several pixel sizes: the same ground, resampled with antialiasing.

    Args:
        encoder: What embeds chips and questions.
        images: Held-out pictures, all of which are laid.
        folder: As in `measure_in_scene`; resampled scenes and their indexes lie beside the first.
        settings: How it is laid, cut and asked; `pixel_size_factor` gives way to `factors`.
        factors: New pixel sizes over that of the scene as it is laid.
        progress: Told how far indexing is, for each scene from the start.

    Returns:
        One for each factor, in their order.

    Raises:
        CaptionError: No pictures, or broken ones.
        SceneError: A scene cannot be written.
        EncoderMismatchError: The folder holds an index of another encoder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SceneError(f"{folder}: no folder for scenes can be made ({error.strerror})") from None
    mosaic = _lay(encoder.spec, images, folder / "scene.tif", settings)
    figures = []
    for factor in factors:
        one = replace(settings, pixel_size_factor=factor)
        path, index = mosaic.path, folder / "index"
        if factor != 1:
            path, index = (folder / f"{name}-x{factor:g}" for name in ("scene", "index"))
            path = path.with_name(f"{path.name}.tif")
            resample_scene(mosaic.path, path, factor=factor)
        figures.append(_measure(encoder, images, mosaic, path, index, one, progress))
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
        by_class = ask_classes(asked, settings.k)
        by_caption = ask_captions(asked, settings.seed)
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
        by_lot=_mean([one.by_lot for one in by_class]),
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
