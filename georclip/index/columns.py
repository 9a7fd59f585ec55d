"""Bounds and scene numbers in row order, mapped into memory: what filters read first.

A page is a run of `PAGE_ROWS` rows with one box around it. Rows lie in Hilbert order, so that
most pages are far from a box that is asked for, and their rows are never looked at. Times are
a scene's, not a chip's: the catalog has them, per scene number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from georclip.errors import IndexCorruptError
from georclip.geometry import bounds_overlap

PAGE_ROWS = 1024

BOUNDS_FILE = "bounds.npy"
SCENES_FILE = "scenes.npy"
PAGES_FILE = "pages.npy"


class SegmentColumns:
    """Columns of one segment. Positions count from 0 within the segment.

    Args:
        folder: The segment.
        count: Rows that it must hold.

    Raises:
        IndexCorruptError: A column is missing, damaged or of another length.
    """

    def __init__(self, folder: Path, *, count: int) -> None:
        self._folder = folder
        pages = -(-count // PAGE_ROWS)
        self.bounds = self._map(BOUNDS_FILE, np.dtype("<f8"), (count, 4))
        """float64, (n, 4): west, south, east, north, degrees; west > east crosses the date line."""
        self.scenes = self._map(SCENES_FILE, np.dtype("<i8"), (count,))
        """int64, (n,): numbers of the scenes."""
        self._pages = self._map(PAGES_FILE, np.dtype("<f8"), (pages, 4))

    def _map(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        path = self._folder / name
        try:
            column: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise _damaged(path) from error
        if column.shape != shape or column.dtype != dtype:
            raise _damaged(path)
        return np.asarray(column)

    def near(self, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Positions whose bounds share at least a point with any of some boxes.

        Args:
            boxes: (m, 4) west, south, east, north, none crossing the date line.

        Returns:
            int64, ascending.
        """
        rows = self._rows_of_pages(_meets_any(self._pages, boxes))
        return rows[_meets_any(self.bounds[rows], boxes)]

    def _rows_of_pages(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        pages = np.flatnonzero(chosen).astype(np.int64)
        rows = (pages[:, None] * PAGE_ROWS + np.arange(PAGE_ROWS)).ravel()
        return np.asarray(rows[: np.searchsorted(rows, len(self.scenes))])


def write_columns(
    folder: Path, bounds: npt.NDArray[np.float64], scenes: npt.NDArray[np.int64]
) -> tuple[Path, ...]:
    """Write a segment's columns.

    Args:
        folder: The segment.
        bounds: float64, (n, 4), in row order.
        scenes: int64, (n,).

    Returns:
        The files.
    """
    columns = (
        (BOUNDS_FILE, bounds.astype("<f8")),
        (SCENES_FILE, scenes.astype("<i8")),
        (PAGES_FILE, page_bounds(bounds).astype("<f8")),
    )
    for name, column in columns:
        np.save(folder / name, column, allow_pickle=False)
    return tuple(folder / name for name, _ in columns)


def page_bounds(bounds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A box around every page, (pages, 4); all longitudes where one of its rows crosses 180."""
    crosses = bounds[:, 0] > bounds[:, 2]
    plain = bounds.copy()
    plain[crosses, 0], plain[crosses, 2] = -180.0, 180.0
    starts = np.arange(0, len(bounds), PAGE_ROWS)
    if len(starts) == 0:
        return np.empty((0, 4))
    low = np.minimum.reduceat(plain[:, :2], starts)
    high = np.maximum.reduceat(plain[:, 2:], starts)
    return np.hstack([low, high])


def _meets_any(
    bounds: npt.NDArray[np.float64], boxes: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(bounds), dtype=np.bool_)
    for west, south, east, north in boxes.tolist():
        found |= bounds_overlap(bounds, (west, south, east, north))
    return found


def _damaged(path: Path) -> IndexCorruptError:
    return IndexCorruptError(
        f"{path} is damaged or does not fit its segment; run `georclip verify`, "
        "then restore the folder from a copy or index its scenes again"
    )
