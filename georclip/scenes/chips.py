"""Which windows of a scene become chips, and in which order they are read."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from georclip.errors import SceneError
from georclip.georeference import Georeference
from georclip.values import ChipPlan, Scene, Window

_SMALLEST_SIDE_PX = 8
_LARGEST_TOWERS = 4
"""Native chip sides, in sides of the image tower, beyond which reading decimates."""
_FAR_OUTSIDE = 1.5
_SQUARE_ENOUGH = 1.1
_STRIP_BYTES = 96 * 1024 * 1024
"""What the rows held for cutting may take; wider scenes are read in column ranges. A constant,
so that the order of chips, which resuming relies on, does not change with the memory allowed."""
_HELD_BYTES_PER_PX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The chips of one scale.

    Attributes:
        scale: Factor on the plan's side.
        width_px: Chip width, px of the scene; may exceed a small scene, which is then padded.
        height_px: Chip height, px of the scene.
        stride_x_px: From one chip to the next in its row, px.
        stride_y_px: From one row of chips to the next, px.
        factor: Decimation when reading, a power of two; sides and strides are multiples of it.
    """

    scale: float
    width_px: int
    height_px: int
    stride_x_px: int
    stride_y_px: int
    factor: int

    def columns(self, scene_width: int) -> list[int]:
        """First columns of the chips in a row; the last one ends at the scene's edge."""
        return _offsets(scene_width, self.width_px, self.stride_x_px)

    def rows(self, scene_height: int) -> list[int]:
        """First rows of the chips in a column; the last one ends at the scene's edge."""
        return _offsets(scene_height, self.height_px, self.stride_y_px)

    def window(self, scene: Scene, col_off: int, row_off: int) -> Window:
        """A chip's window: inside the scene, so smaller than the chip where the scene is."""
        return Window(
            col_off=col_off,
            row_off=row_off,
            width=min(self.width_px, scene.width),
            height=min(self.height_px, scene.height),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPlan:
    """A chip plan, worked out for one scene.

    Attributes:
        levels: One per scale.
        notes: What was chosen and what to beware of, in words.
        chip_count: Windows in all, before any is skipped.
        min_valid_fraction: Chips with fewer valid pixels are skipped.
    """

    levels: tuple[Level, ...]
    notes: tuple[str, ...]
    chip_count: int
    min_valid_fraction: float


@dataclass(frozen=True)
class Run:
    """Chips that are cut while one column range of the scene is read from top to bottom.

    Attributes:
        levels: Levels of one decimation factor.
        columns: Per level, the first columns of its chips in this range.
        rows: (first row, level number) of every row of chips, by the row where it ends.
    """

    levels: tuple[Level, ...]
    columns: tuple[tuple[int, ...], ...]
    rows: tuple[tuple[int, int], ...]

    @property
    def factor(self) -> int:
        """Decimation when reading."""
        return self.levels[0].factor

    @cached_property
    def chip_count(self) -> int:
        """Windows in this run."""
        return sum(len(self.columns[number]) for _, number in self.rows)


def resolve_plan(
    scene: Scene,
    plan: ChipPlan,
    ground_size_m: tuple[float, float, float] | None,
    image_size_px: int,
) -> ResolvedPlan:
    """Work out a chip plan for a scene.

    "auto" takes the encoder's typical ground size, held between `image_size_px` and four times
    that in native pixels and inside the scene's short side, and adds scales 2 and 1/2 where they
    stay within what the encoder knows. On very fine pixels, where only scale 2 covers ground that
    the encoder knows, scale 1 is left out. Without a known ground size: `image_size_px` native
    pixels.

    Args:
        scene: The scene to cut.
        plan: As asked.
        ground_size_m: (low, typical, high) side of the ground that the encoder knows, m.
        image_size_px: Side of the encoder's square, px.

    Raises:
        SceneError: A chip would be smaller than 8 px.
    """
    across_m, down_m = _axis_gsd_m(scene)
    short_side_m = min(scene.width * across_m, scene.height * down_m)
    side_m = _side_m(scene, plan, ground_size_m, image_size_px, short_side_m)
    scales = set(plan.scales)
    if plan.unit == "auto" and ground_size_m is not None and scales == {1.0}:
        scales = _auto_scales(side_m, short_side_m, ground_size_m)
    levels: dict[tuple[int, int], Level] = {}
    for scale in sorted(scales):
        level = _level(scene, plan, scale, scale * side_m, image_size_px)
        levels.setdefault((level.width_px, level.height_px), level)
    chosen = tuple(levels.values())
    return ResolvedPlan(
        levels=chosen,
        notes=tuple(_notes(scene, plan, chosen, side_m, ground_size_m, image_size_px)),
        chip_count=sum(
            len(level.columns(scene.width)) * len(level.rows(scene.height)) for level in chosen
        ),
        min_valid_fraction=plan.min_valid_fraction,
    )


def chip_windows(scene: Scene, resolved: ResolvedPlan) -> Iterator[tuple[Window, float]]:
    """Every window with its scale, in the order in which `ChipReader` numbers them."""
    for run in reading_runs(scene, resolved):
        for row_off, number in run.rows:
            level = run.levels[number]
            for col_off in run.columns[number]:
                yield level.window(scene, col_off, row_off), level.scale


def chip_id(scene_id: str, window: Window, scale: float) -> str:
    """Name a chip for good: 16 hex digits of scene_id, window and scale."""
    place = f"{window.col_off},{window.row_off},{window.width},{window.height}"
    return hashlib.sha256(f"{scene_id}/{place}/{scale!r}".encode()).hexdigest()[:16]


def reading_runs(scene: Scene, resolved: ResolvedPlan) -> Iterator[Run]:
    """Order all chips so that each run reads its columns once, from top to bottom.

    Levels with the same decimation share a run; wide scenes come as several column ranges.
    Depends on nothing but the scene's size and the plan.
    """
    for factor in sorted({level.factor for level in resolved.levels}):
        levels = tuple(level for level in resolved.levels if level.factor == factor)
        rows = sorted(
            (
                (row_off, number)
                for number, level in enumerate(levels)
                for row_off in level.rows(scene.height)
            ),
            key=lambda row: (min(row[0] + levels[row[1]].height_px, scene.height), row),
        )
        held = rows_held(scene, levels, rows)
        widest = max(level.width_px for level in levels)
        limit = _STRIP_BYTES // _HELD_BYTES_PER_PX // max(1, held // factor) * factor
        for columns in _column_ranges(scene, levels, max(limit, 2 * widest)):
            here = tuple(row for row in rows if columns[row[1]])
            yield Run(levels=levels, columns=columns, rows=here)


def rows_held(scene: Scene, levels: tuple[Level, ...], rows: list[tuple[int, int]]) -> int:
    """Most rows of the scene that must be at hand at once to cut rows of chips in order, px."""
    most, earliest = 0, scene.height
    for row_off, number in reversed(rows):
        earliest = min(earliest, row_off)
        end = min(row_off + levels[number].height_px, scene.height)
        most = max(most, end - earliest)
    return most


def _column_ranges(
    scene: Scene, levels: tuple[Level, ...], limit_px: int
) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Share the columns of chips out to ranges of at most `limit_px`, per level."""
    left = [level.columns(scene.width) for level in levels]
    while any(left):
        start = min(columns[0] for columns in left if columns)
        taken = []
        for number, level in enumerate(levels):
            fits = [
                col
                for col in left[number]
                if min(col + level.width_px, scene.width) - start <= limit_px
            ]
            taken.append(tuple(fits))
            left[number] = left[number][len(fits) :]
        yield tuple(taken)


def _axis_gsd_m(scene: Scene) -> tuple[float, float]:
    place = Georeference(crs=scene.crs, transform=scene.transform)
    return place.axis_gsd_m(scene.width / 2, scene.height / 2)


def _side_m(
    scene: Scene,
    plan: ChipPlan,
    ground_size_m: tuple[float, float, float] | None,
    image_size_px: int,
    short_side_m: float,
) -> float:
    if plan.unit == "m":
        return plan.size
    if plan.unit == "px":
        return plan.size * scene.gsd_m
    smallest = image_size_px * scene.gsd_m
    typical = smallest if ground_size_m is None else ground_size_m[1]
    return min(max(typical, smallest), _LARGEST_TOWERS * smallest, short_side_m)


def _auto_scales(
    side_m: float, short_side_m: float, ground_size_m: tuple[float, float, float]
) -> set[float]:
    low, _, high = ground_size_m
    known = {scale for scale in (0.5, 2.0) if low < scale * side_m < min(high, short_side_m)}
    if side_m < low and 2.0 in known:  # very fine pixels: less ground than the encoder knows
        return known
    return known | {1.0}


def _level(scene: Scene, plan: ChipPlan, scale: float, side_m: float, image_size_px: int) -> Level:
    across_m, down_m = _axis_gsd_m(scene)
    if max(across_m, down_m) <= _SQUARE_ENOUGH * min(across_m, down_m):
        across_m = down_m = scene.gsd_m
    width, height = side_m / across_m, side_m / down_m
    longest = max(width, height) / (_LARGEST_TOWERS * image_size_px)
    factor = 2 ** max(0, math.ceil(math.log2(longest) - 1e-9))
    width_px, height_px = (factor * round(side / factor) for side in (width, height))
    if min(width_px, height_px) < _SMALLEST_SIDE_PX:
        least_m = _SMALLEST_SIDE_PX * max(across_m, down_m) / scale
        raise SceneError(
            f"{scene.uri}: a chip of {_metres(side_m)} is {width_px} x {height_px} px here "
            f"({scene.gsd_m:.3g} m a pixel): ask for at least {_metres(math.ceil(least_m))}"
        )
    step = 1.0 - plan.overlap
    return Level(
        scale=scale,
        width_px=width_px,
        height_px=height_px,
        stride_x_px=factor * max(1, round(width_px * step / factor)),
        stride_y_px=factor * max(1, round(height_px * step / factor)),
        factor=factor,
    )


def _offsets(length: int, side: int, stride: int) -> list[int]:
    if side >= length:
        return [0]
    last = length - side
    return [*range(0, last, stride), last]


def _notes(
    scene: Scene,
    plan: ChipPlan,
    levels: tuple[Level, ...],
    side_m: float,
    ground_size_m: tuple[float, float, float] | None,
    image_size_px: int,
) -> Iterator[str]:
    if plan.unit == "auto":
        sides = ", ".join(
            f"{_metres(level.scale * side_m)} ({level.width_px} x {level.height_px} px)"
            for level in levels
        )
        known = (
            "the encoder does not say which ground it knows"
            if ground_size_m is None
            else f"the encoder knows {_metres(ground_size_m[0])} to {_metres(ground_size_m[2])}"
        )
        yield f"chips of {sides}; {known}"
    if ground_size_m is not None:
        low, _, high = ground_size_m
        for level in levels:
            side = level.scale * side_m
            if side * _FAR_OUTSIDE < low or side > _FAR_OUTSIDE * high:
                yield (
                    f"warning: chips of {_metres(side)} are far outside the {_metres(low)} to "
                    f"{_metres(high)} that the encoder knows: do not trust the answers"
                )
    for level in levels:
        if level.width_px > scene.width or level.height_px > scene.height:
            yield (
                f"smaller ({scene.width} x {scene.height} px) than a chip "
                f"({level.width_px} x {level.height_px} px): padded"
            )
        if 2 * max(level.width_px, level.height_px) < image_size_px:
            yield (
                f"chips of {level.width_px} x {level.height_px} px are enlarged to "
                f"{image_size_px} px: little is to be seen in them"
            )


def _metres(length: float) -> str:
    return f"{length:,.0f} m" if length < 10_000 else f"{length / 1000:,.0f} km"
