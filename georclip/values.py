"""The values that travel between rooms: frozen, slotted, keyword-only.

Scalars end in their unit (``_px``, ``_m``). Array shapes are written (band, height, width).
Footprints are shapely geometries in EPSG:4326, (lon, lat), split at the date line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from shapely import MultiPolygon, Polygon
    from shapely.geometry.base import BaseGeometry

Transform = tuple[float, float, float, float, float, float]
"""Affine coefficients (a, b, c, d, e, f): x = a * col + b * row + c, y = d * col + e * row + f."""

SizeUnit = Literal["auto", "px", "m"]
TermKind = Literal["text", "image", "place", "hit"]
Grouping = Literal["object", "place", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A pixel rectangle of a scene, in pixels of the full-resolution raster.

    Attributes:
        col_off: First column, px. Negative only where a small scene is padded.
        row_off: First row, px.
        width: Columns, px, at least 1.
        height: Rows, px, at least 1.
    """

    col_off: int
    row_off: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a window needs at least one pixel, not {self.width} x {self.height}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """How sensor values become uint8 RGB: one choice of bands and one stretch per scene.

    Attributes:
        bands: 1-based source bands shown as red, green, blue; a pan scene repeats its one band.
        low: Sensor value shown as 0, per shown band.
        high: Sensor value shown as 255, per shown band.
        bands_from: How the bands were found: "asked", "colour interpretation", "description",
            "palette", "count".
        stretch_from: How low and high were found: "asked", "none" (8-bit, left alone),
            "percentiles".
    """

    bands: tuple[int, int, int]
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    bands_from: str
    stretch_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One source raster.

    Attributes:
        scene_id: 16 hex digits: what the raster holds, wherever it lies.
        uri: Absolute path or URL: the scene's key in an index.
        name: File name.
        crs: Authority code such as "EPSG:32650" where there is one, else WKT 2.
        transform: Pixel to CRS units (of the warped view, where the file has only GCPs).
        width: Columns, px.
        height: Rows, px.
        band_count: Bands in the file, alpha included.
        dtype: numpy name of the pixel type.
        nodata: Declared nodata value, if any (may be NaN).
        gsd_m: Ground metres per pixel at the scene's centre: geometric mean of both axes.
        acquired: When the scene was taken, UTC, or None.
        rendering: How its pixels are shown to an encoder.
    """

    scene_id: str
    uri: str
    name: str
    crs: str
    transform: Transform
    width: int
    height: int
    band_count: int
    dtype: str
    nodata: float | None
    gsd_m: float
    acquired: datetime | None
    rendering: Rendering


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipPlan:
    """How scenes are to be cut, as asked; resolved per scene to windows.

    Attributes:
        size: Side of a chip at scale 1 in `unit`; 0 where the unit is "auto".
        unit: "auto" (ground that the encoder knows), "px" (native pixels) or "m" (metres).
        overlap: Share of a side that neighbours share, in [0, 1).
        scales: Factors on the side, each searched together; "auto" adds its own to (1.0,).
        min_valid_fraction: Chips with fewer valid pixels than this are skipped, in [0, 1].
    """

    size: float = 0.0
    unit: SizeUnit = "auto"
    overlap: float = 0.25
    scales: tuple[float, ...] = (1.0,)
    min_valid_fraction: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.overlap < 1.0:
            raise ValueError(f"overlap must lie in [0, 1), not {self.overlap}")
        if not 0.0 <= self.min_valid_fraction <= 1.0:
            raise ValueError(
                f"min_valid_fraction must lie in [0, 1], not {self.min_valid_fraction}"
            )
        if not self.scales or any(not 0 < scale < float("inf") for scale in self.scales):
            raise ValueError(f"scales must be positive numbers, not {self.scales}")
        if (self.unit == "auto") != (self.size == 0) or not 0 <= self.size < float("inf"):
            raise ValueError(f"a chip side of {self.size} {self.unit} means nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A square (on the ground) cut of a scene: the unit that is searched.

    Attributes:
        chip_id: Stable over runs: made from scene_id, window and scale.
        scene_id: The scene it was cut from.
        window: Where in the scene.
        footprint: Outline in EPSG:4326, split at the date line.
        gsd_m: Ground metres per pixel at the chip's centre.
        scale: Factor on the plan's side.
        valid_fraction: Share of usable pixels, in [0, 1].
    """

    chip_id: str
    scene_id: str
    window: Window
    footprint: Polygon | MultiPolygon
    gsd_m: float
    scale: float
    valid_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipImage:
    """A chip with its pixels.

    Attributes:
        chip: What was cut.
        pixels: uint8 RGB, (3, height, width); unusable pixels hold the mean of the usable ones.
        valid: bool, (height, width), True = usable pixel.
    """

    chip: Chip
    pixels: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """Everything that decides an embedding, and so which vectors may be compared.

    Attributes:
        name: Registry name, or the file name of a local checkpoint.
        architecture: open_clip's name, or one of georclip's own ("starter-...").
        activation: "gelu", "quickgelu" or, for towers without either, "relu".
        weights_sha256: Hex digest of the weights file(s).
        dim: Length of an embedding.
        image_size_px: Side of the square that the image tower takes, px.
        mean: Per-channel mean subtracted from RGB in [0, 1].
        std: Per-channel divisor.
        ground_size_m: (low, typical, high) ground side of its training images, m, or None.
        licence: Terms of the weights, in one line.
    """

    name: str
    architecture: str
    activation: str
    weights_sha256: str
    dim: int
    image_size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    ground_size_m: tuple[float, float, float] | None
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One part of a question.

    Attributes:
        kind: "text", "image" (a picture file), "place" (lon,lat of a chip) or "hit" (a chip).
        value: The sentence, the path, "lon,lat", or the chip_id.
        weight: Positive for wanted, negative for unwanted.
    """

    kind: TermKind
    value: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """A closed interval of time, UTC; None is open.

    Attributes:
        start: First instant that passes, or None.
        end: Last instant that passes, or None.
    """

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question: what, where, when, and how many answers.

    Attributes:
        terms: At least one, with at least one positive weight.
        k: Most hits wanted, at least 1.
        aoi: EPSG:4326 geometry (a bbox is a polygon, two at the date line), or None for anywhere.
        dates: Acquisition times that pass, or None for any, unknown ones included.
        scenes: Glob over scene uris and names, or None for all.
        min_confidence: Hits below are left out, or None.
        grouping: What one hit stands for: "object", overlapping chips of one acquisition;
            "place", overlapping chips of any; "none", each chip for itself.
    """

    terms: tuple[Term, ...]
    k: int = 10
    aoi: BaseGeometry | None = None
    dates: DateRange | None = None
    scenes: str | None = None
    min_confidence: float | None = None
    grouping: Grouping = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One answer.

    Attributes:
        rank: From 1.
        score: Cosine with the stored vector, in [-1, 1].
        rank_score: What rank sorts by: the score, made comparable between scales where the index
            has several.
        confidence: In [0, 1], comparable between questions; None until the index has a background.
        chip: The place.
        scene: The scene it was cut from.
        members: chip_ids of worse chips that stand for the same object, best first: of those that
            are among the question's best candidates, so that more of them are named where more
            hits are asked for.
        convincing: Whether the confidence is one to rely on; None where there is none.
    """

    rank: int
    score: float
    rank_score: float
    confidence: float | None
    chip: Chip
    scene: Scene
    members: tuple[str, ...] = ()
    convincing: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The answer to a question.

    Attributes:
        query: As asked.
        hits: Best first.
        encoder: What made the vectors.
        rows_considered: Chips that passed the filters and were compared.
        elapsed_s: Wall time from question to hits, s.
        index: Absolute path of the index; "" where it has none.
    """

    query: Query
    hits: tuple[Hit, ...]
    encoder: EncoderSpec
    rows_considered: int
    elapsed_s: float
    index: str = ""

    @property
    def convincing(self) -> bool | None:
        """Whether any hit is; None where no hit has a confidence."""
        known = [hit.convincing for hit in self.hits if hit.convincing is not None]
        return any(known) if known else None
