"""Rows as runs: what a filter leaves is mostly long stretches of neighbours, rarely single rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FEW_RUNS = 64
"""Up to this many runs are filled in one by one, which is cheaper than to name all rows."""


@dataclass(frozen=True, slots=True, eq=False)
class RowRuns:
    """Ascending whole numbers, each once, as runs of neighbours.

    Attributes:
        edges: int64, (m, 2): first of a run, and one behind its last. Ascending; runs neither
            overlap, nor are empty, nor end where the next one starts.
    """

    edges: npt.NDArray[np.int64]

    @classmethod
    def span(cls, first: int, end: int) -> RowRuns:
        """All of [first, end)."""
        edges = [(first, end)] if end > first else []
        return cls(np.array(edges, dtype=np.int64).reshape(-1, 2))

    @classmethod
    def of(cls, ascending: npt.NDArray[np.int64]) -> RowRuns:
        """Numbers that ascend, each once: int64, (n,)."""
        if len(ascending) == 0:
            return cls.span(0, 0)
        breaks = np.flatnonzero(ascending[1:] - ascending[:-1] != 1) + 1
        starts = ascending[np.concatenate([[0], breaks])]
        ends = ascending[np.concatenate([breaks - 1, [len(ascending) - 1]])] + 1
        return cls(np.stack([starts, ends], axis=1).astype(np.int64))

    @classmethod
    def joined(cls, parts: Sequence[RowRuns]) -> RowRuns:
        """Parts that share no number, in any order, as one."""
        parts = [part for part in parts if len(part.edges)]
        if len(parts) < 2:
            return parts[0] if parts else cls.span(0, 0)
        edges = np.concatenate([part.edges for part in parts])
        return cls(edges[np.argsort(edges[:, 0], kind="stable")]).bridged(0)

    def __len__(self) -> int:
        """How many numbers."""
        return int((self.edges[:, 1] - self.edges[:, 0]).sum())

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Runs: (first, one behind the last)."""
        yield from map(tuple, self.edges.tolist())

    def rows(self) -> npt.NDArray[np.int64]:
        """Every number, ascending: int64, (n,)."""
        lengths = self.edges[:, 1] - self.edges[:, 0]
        before = np.cumsum(lengths) - lengths
        jumps = np.repeat(self.edges[:, 0] - before, lengths)
        return np.asarray(jumps + np.arange(len(jumps), dtype=np.int64))

    def between(self, first: int, end: int) -> RowRuns:
        """Those in [first, end), counted from `first`."""
        if end <= first:
            return RowRuns.span(0, 0)
        low = int(np.searchsorted(self.edges[:, 1], first, side="right"))
        high = int(np.searchsorted(self.edges[:, 0], end, side="left"))
        return RowRuns(np.clip(self.edges[low:high], first, end) - first)

    def shifted(self, by: int) -> RowRuns:
        """Every number plus `by`."""
        return RowRuns(self.edges + by)

    def without(self, gone: npt.NDArray[np.int64]) -> RowRuns:
        """Those that are not among some others.

        Args:
            gone: int64, (n,), ascending, each once.
        """
        starts, ends = self.edges[:, 0], self.edges[:, 1]
        inside = gone[np.searchsorted(starts, gone, "right") > np.searchsorted(ends, gone, "right")]
        if len(inside) == 0:
            return self
        # A run is left off before each, and taken up behind it: both lists in order pair up.
        starts = np.sort(np.concatenate([starts, inside + 1]))
        ends = np.sort(np.concatenate([ends, inside]))
        return RowRuns(np.stack([starts, ends], axis=1)[starts < ends])

    def where(self, kept: npt.NDArray[np.bool_]) -> RowRuns:
        """Those of the numbers, in order, for which `kept`, bool (n,), says so."""
        return self if kept.all() else RowRuns.of(self.rows()[kept])

    def mask(self, count: int) -> npt.NDArray[np.bool_]:
        """Bool, (count,): which of the numbers from 0 on are here."""
        mask = np.zeros(count, dtype=np.bool_)
        if len(self.edges) <= _FEW_RUNS:
            for first, end in self:
                mask[first:end] = True
        else:
            mask[self.rows()] = True
        return mask

    def bridged(self, gap: int) -> RowRuns:
        """The same and what lies between two runs that are at most `gap` apart."""
        edges = self.edges
        if len(edges) < 2:
            return self
        apart = edges[1:, 0] - edges[:-1, 1] > gap
        starts = edges[np.concatenate([[True], apart]), 0]
        return RowRuns(np.stack([starts, edges[np.concatenate([apart, [True]]), 1]], axis=1))

    def cut(self, count: int) -> tuple[RowRuns, RowRuns]:
        """The first `count` of the numbers, or all, and the others."""
        ends = np.cumsum(self.edges[:, 1] - self.edges[:, 0])
        number = int(np.searchsorted(ends, count, side="left"))
        if number == len(ends):
            return self, RowRuns.span(0, 0)
        middle = int(self.edges[number, 1] - (ends[number] - count))
        first, end = int(self.edges[0, 0]), int(self.edges[-1, 1])
        return (
            self.between(first, middle).shifted(first),
            self.between(middle, end).shifted(middle),
        )
