"""A heat map: how well each place of a scene answers a question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.pipeline import Clocks, overlap
from georclip.scenes.reader import ChipReader, SkipCounts
from georclip.search.spreading import Axis, Scores, spread
from georclip.values import Transform

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.scenes.chips import Level
    from georclip.search.heat_plan import HeatPlan
    from georclip.values import ChipImage, Scene

Progress = Callable[[int, int], None]
"""Called with (windows done, windows in all)."""

_BATCH = 64
_BATCH_SHARE = 32  # a batch of pixels may take this part of the memory allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Scores on a grid that lies over a scene.

    Attributes:
        scene: What was looked at.
        values: float32, (rows, columns), cosines in [-1, 1]; NaN where nothing was looked at.
        transform: Cells to the scene's CRS units. The first cell begins at the scene's upper left
            corner; the last ones may reach beyond its edges, by less than a cell.
        side_m: Of the windows that were looked at, m.
        stride_m: Side of a cell, m.
        skipped: Windows that were passed over.
        notes: What was out of the ordinary while reading, in words.
    """

    scene: Scene
    values: Scores
    transform: Transform
    side_m: float
    stride_m: float
    skipped: SkipCounts
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Windows and cells of a scene, and what is known of them so far.

    Attributes:
        down: Rows of both.
        across: Columns of both.
        scores: float32, (rows of windows, columns of windows), NaN until a window is embedded.
        seen: bool, (rows of cells, columns of cells): a window showed a valid pixel in its middle.
    """

    down: Axis
    across: Axis
    scores: Scores
    seen: npt.NDArray[np.bool_]


def heat_map(
    scene: Scene,
    encoder: Encoder,
    question: npt.NDArray[np.float32],
    plan: HeatPlan,
    *,
    memory_bytes: int,
    progress: Progress | None = None,
) -> HeatMap:
    """Score windows all over a scene, and lay their scores on a grid.

    A cell's value is the mean score of the windows over its middle, weighted by how near their
    middle it lies: see `spread`. Cells whose middle shows no valid pixel hold NaN.

    Args:
        scene: From `open_scene`.
        encoder: Embeds windows; its vectors are those of the question.
        question: float32, (dim,), of unit length.
        plan: From `plan_heat` for this scene and encoder.
        memory_bytes: Bound on the buffers of reading and encoding, bytes.
        progress: Told how far it is.

    Raises:
        SceneError: The scene cannot be read to its end.
    """
    level, spec = plan.level, encoder.spec
    reader = ChipReader(
        scene,
        plan.resolved,
        memory_bytes=memory_bytes // 4,
        max_side_px=4 * spec.image_size_px,
        threads=4 if encoder.device.startswith("cuda") else 1,
    )
    grid = _empty_grid(scene, plan)
    rows = {start: number for number, start in enumerate(grid.down.starts)}
    columns = {start: number for number, start in enumerate(grid.across.starts)}
    done = 0

    def encode(batch: list[ChipImage]) -> tuple[list[ChipImage], Scores]:
        nonlocal done
        vectors = encoder.encode_images(np.stack([image.pixels for image in batch]))
        done += len(batch)
        if progress is not None:
            progress(done + reader.skipped.total, reader.chips_total)
        return batch, vectors @ question

    def keep(found: tuple[list[ChipImage], Scores]) -> None:
        for image, score in zip(*found, strict=True):
            window = image.chip.window
            grid.scores[rows[window.row_off], columns[window.col_off]] = score
            _mark_seen(grid, image, level)

    longest = max(level.width_px, level.height_px) // level.factor
    size = max(1, min(_BATCH, memory_bytes // _BATCH_SHARE // (4 * longest * longest)))
    overlap(_batches(reader, size), encode, keep, Clocks())
    if progress is not None:
        progress(reader.chips_total, reader.chips_total)
    values = spread(grid.scores, grid.down, grid.across)
    values[~grid.seen] = np.nan
    return HeatMap(
        scene=scene,
        values=values,
        transform=_coarser(scene.transform, level.stride_x_px, level.stride_y_px),
        side_m=plan.side_m,
        stride_m=plan.stride_m,
        skipped=reader.skipped,
        notes=reader.notes,
    )


def _empty_grid(scene: Scene, plan: HeatPlan) -> _Grid:
    level = plan.level
    down = Axis(
        starts=tuple(level.rows(scene.height)),
        side=min(level.height_px, scene.height),
        stride=level.stride_y_px,
        length=scene.height,
    )
    across = Axis(
        starts=tuple(level.columns(scene.width)),
        side=min(level.width_px, scene.width),
        stride=level.stride_x_px,
        length=scene.width,
    )
    return _Grid(
        down=down,
        across=across,
        scores=np.full((len(down.starts), len(across.starts)), np.nan, dtype=np.float32),
        seen=np.zeros((down.cells, across.cells), dtype=np.bool_),
    )


def _mark_seen(grid: _Grid, image: ChipImage, level: Level) -> None:
    """Mark the cells whose middle a window shows, if its pixel there is valid."""
    window, valid = image.chip.window, image.valid
    rows = _within(grid.down, window.row_off, window.height)
    columns = _within(grid.across, window.col_off, window.width)
    seen = grid.seen[rows, columns]
    if image.chip.valid_fraction == 1.0:
        seen[:] = True
        return
    top = grid.down.centers()[rows] - window.row_off
    left = grid.across.centers()[columns] - window.col_off
    down = _pixels(top, window.height, level.height_px, valid.shape[0])
    across = _pixels(left, window.width, level.width_px, valid.shape[1])
    seen |= valid[np.ix_(down, across)]


def _within(axis: Axis, start: int, side: int) -> slice:
    """Cells whose middle lies in a window."""
    first, end = np.searchsorted(axis.centers(), (start, start + side))
    return slice(int(first), int(end))


def _pixels(
    offsets: npt.NDArray[np.float64], side_px: int, level_px: int, held: int
) -> npt.NDArray[np.intp]:
    """Pixels of a chip at offsets in its window, one side at a time.

    Args:
        offsets: From the window's edge, px of the scene.
        side_px: Of the window, px of the scene: less than a chip's where the scene is small.
        level_px: Of a chip, px of the scene.
        held: Of a chip, px as it was read.
    """
    shown = round(side_px * held / level_px)  # in the middle, with as much filling on both sides
    inside = np.minimum((offsets * shown / side_px).astype(np.intp), shown - 1)
    return (held - shown) // 2 + inside


def _batches(reader: ChipReader, size: int) -> Iterator[list[ChipImage]]:
    chips = iter(reader)
    while items := list(islice(chips, size)):
        yield [item.image for item in items]


def _coarser(transform: Transform, columns: int, rows: int) -> Transform:
    """The transform of pixels so many times as wide and as high."""
    a, b, c, d, e, f = transform
    return a * columns, b * rows, c, d * columns, e * rows, f
