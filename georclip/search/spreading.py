"""From the scores of overlapping windows to a grid of cells: how much each place looks like it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]

_LEAST_WEIGHT = 1e-3
"""Of a cell on a window's very edge: where no other window reaches, its score is all there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Windows and cells along one side of a scene.

    Attributes:
        starts: First pixel of each window, rising, px.
        side: Of a window, px.
        stride: Side of a cell, px; cells begin at the scene's edge.
        length: Of the scene, px; the last cell may reach beyond.
    """

    starts: tuple[int, ...]
    side: int
    stride: int
    length: int

    @property
    def cells(self) -> int:
        """How many cells cover the scene."""
        return -(-self.length // self.stride)

    def centers(self) -> npt.NDArray[np.float64]:
        """Middle of each cell, (cells,), px; that of the last one is kept inside the scene."""
        middles = (np.arange(self.cells, dtype=np.float64) + 0.5) * self.stride
        return np.asarray(np.minimum(middles, self.length - 0.5))

    def weights(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """Which windows cover each cell's middle, and how near their own middle that lies.

        Returns:
            Window numbers and weights, (cells, most windows over a cell). A weight falls evenly
            from 1 in the window's middle to nearly 0 at its edge, and is 0 where a cell is covered
            by fewer.
        """
        starts, middles = np.array(self.starts), self.centers()
        first = np.searchsorted(starts, middles - self.side, side="right")
        count = np.searchsorted(starts, middles, side="right") - first
        places = np.arange(max(1, int(count.max(initial=0))))
        windows = np.minimum(first[:, None] + places, len(starts) - 1)
        away = np.abs(middles[:, None] - (starts[windows] + self.side / 2)) / (self.side / 2)
        near = np.maximum(1.0 - away, _LEAST_WEIGHT)
        return windows, np.where(places < count[:, None], near, 0.0)


def spread(scores: Scores, down: Axis, across: Axis) -> Scores:
    """Mean score of the windows that cover each cell, those that it lies central in counting most.

    The weight of a window is the product of its weights along both sides (a pyramid over the
    window), so that the peak of the grid lies where the windows that agree have their middle.

    Args:
        scores: (rows of windows, columns of windows), NaN where a window was not looked at.
        down: Rows of windows and of cells.
        across: Their columns.

    Returns:
        float32, (rows of cells, columns of cells), NaN where no window that was looked at reaches.
    """
    there = np.isfinite(scores)
    total = _gather(_gather(np.where(there, scores, 0.0), down).T, across).T
    weight = _gather(_gather(there.astype(np.float64), down).T, across).T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(weight > 0, total / weight, np.nan)
    return mean.astype(np.float32)


def _gather(values: npt.NDArray[np.float64], axis: Axis) -> npt.NDArray[np.float64]:
    """Weighted sums along the first axis: (windows, any) to (cells, any)."""
    windows, weights = axis.weights()
    total = np.zeros((axis.cells, values.shape[1]))
    for place in range(windows.shape[1]):
        total += weights[:, place, None] * values[windows[:, place]]
    return total
