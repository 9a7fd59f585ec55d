"""How in-scene retrieval is set up, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from georclip.evaluation.asking import CaptionFigures, ClassFigures
from georclip.evaluation.ground_truth import Losses
from georclip.evaluation.mosaic import TRIM, UTM
from georclip.values import ChipPlan


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
        by_chance: What a random order would score: mean share of chips that are right for a class;
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
    by_chance: float | None
    mean_average_precision: float | None
    by_class: tuple[ClassFigures, ...]
    by_caption: CaptionFigures
