"""Bounds and scene numbers in row order, mapped into memory: what filters read first.

A page is a run of `PAGE_ROWS` rows with one box around it. Rows lie in Hilbert order, so that
most pages are far from a box that is asked for, and their rows are never looked at. Times are
a scene's, not a chip's: the catalog has them, per scene number.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from georclip.errors import IndexCorruptError

PAGE_ROWS = 1024

BOUNDS_FILE = "bounds.npy"
SCENES_FILE = "scenes.npy"
PAGES_FILE = "pages.npy"


class SegmentColumns:
    """Columns of one segment, each mapped when it is first read. Positions count from 0.

    Args:
        folder: The segment.
        count: Rows that it must hold.
    """

    def __init__(self, folder: Path, *, count: int) -> None:
        self._folder = folder
        self._count = count

    @cached_property
    def bounds(self) -> npt.NDArray[np.float64]:
        """float64, (n, 4): west, south, east, north, degrees; west > east crosses the date line.

        Raises:
            IndexCorruptError: The column is damaged or of another length (so for all columns).
            FileNotFoundError: It is gone: a writer may have replaced the segment.
        """
        return self._map(BOUNDS_FILE, np.dtype("<f8"), (self._count, 4))

    @cached_property
    def scenes(self) -> npt.NDArray[np.int64]:
        """int64, (n,): numbers of the scenes."""
        return self._map(SCENES_FILE, np.dtype("<i8"), (self._count,))

    @cached_property
    def pages(self) -> npt.NDArray[np.float64]:
        """float64, (pages, 4): a box around the rows of each page."""
        return self._map(PAGES_FILE, np.dtype("<f8"), (-(-self._count // PAGE_ROWS), 4))

    def check(self) -> None:
        """Map every column."""
        for column in (self.bounds, self.scenes, self.pages):
            column.view()

    def _map(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        path = self._folder / name
        try:
            column: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError:
            raise
        except Exception as error:  # a damaged header is parsed as Python: it may raise anything
            raise _damaged(path) from error
        if column.shape != shape or column.dtype != dtype:
            raise _damaged(path)
        return np.asarray(column)


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


def _damaged(path: Path) -> IndexCorruptError:
    return IndexCorruptError(
        f"{path} is damaged or does not fit its segment; run `georclip verify`, "
        "then restore the folder from a copy or index its scenes again"
    )
