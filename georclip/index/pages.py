"""Pages of all segments side by side: where a filter begins, without opening a segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.index.columns import PAGE_ROWS
from georclip.index.runs import RowRuns

if TYPE_CHECKING:
    from georclip.index.segments import Segment


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageTable:
    """A box around every page, and the rows that it holds.

    Attributes:
        bounds: float64, (pages, 4): west, south, east, north, degrees.
        edges: int64, (pages, 2): first row of the index in the page, and one behind its last.
    """

    bounds: npt.NDArray[np.float64]
    edges: npt.NDArray[np.int64]

    def rows(self, chosen: npt.NDArray[np.bool_]) -> RowRuns:
        """Rows of some pages, bool (pages,)."""
        return RowRuns(self.edges[chosen]).bridged(0)


def gather_pages(segments: Sequence[Segment]) -> PageTable:
    """The pages of segments, in order of their rows."""
    bounds = [segment.columns.pages for segment in segments]
    edges = [_edges(s.record.first_row, s.record.row_count) for s in segments]
    return PageTable(
        bounds=np.concatenate([np.empty((0, 4)), *bounds]),
        edges=np.concatenate([np.empty((0, 2), dtype=np.int64), *edges]),
    )


def _edges(first_row: int, count: int) -> npt.NDArray[np.int64]:
    starts = np.arange(0, count, PAGE_ROWS, dtype=np.int64)
    return first_row + np.stack([starts, np.minimum(starts + PAGE_ROWS, count)], axis=1)
