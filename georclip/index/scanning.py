"""Which segments are scanned how, and on how many cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.index.runs import RowRuns
from georclip.index.segments import LISTED_ROWS, Segment
from georclip.index.vectors import one_thread_each

Part = tuple[Segment, RowRuns]
"""Positions in a segment."""
Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Rows of the index, int64 (n,), and their exact scores, float32 (n,)."""

_APPROXIMATE_SHARE = 16_384
"""Rows of one segment from which on its inverted file is faster than a scan."""
_SHARED_ROWS = 16_384
"""Selections from this size on are worth a second core."""
_MOST_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """Positions in a segment that one thread looks at, all of them or by way of its lists."""

    segment: Segment
    positions: RowRuns
    by_lists: bool


class Scanner:
    """Finds the best rows of a selection, on all cores where that pays. Close it when done."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._threads = min(os.cpu_count() or 1, _MOST_THREADS)

    def best(
        self, parts: Sequence[Part], query: npt.NDArray[np.float32], k: int, *, exact: bool
    ) -> Found:
        """The k best rows, and all that score as high as the k-th.

        Args:
            parts: What to choose from.
            query: float32, (dim,), unit length.
            k: At least 1.
            exact: Look at every vector; else large selections may be answered by inverted files,
                which miss a row now and then. Scores are exact either way.

        Returns:
            In no order; at least min(k, n) rows.
        """

        def work(task: _Task) -> Found:
            vectors, inverted = task.segment.vectors, task.segment.inverted
            if task.by_lists and inverted is not None:
                candidates = inverted.candidates(query, task.positions, k)
                found, scores = vectors.best_of(query, candidates, k)
            else:
                found, scores = vectors.best(query, task.positions, k)
            return found + task.segment.first_row, scores

        results = self._map(self._tasks(parts, exact=exact), work)
        rows = np.concatenate([np.empty(0, dtype=np.int64), *(rows for rows, _ in results)])
        scores = np.concatenate([np.empty(0, dtype=np.float32), *(s for _, s in results)])
        return rows, scores

    def close(self) -> None:
        """Let the threads go. Safe to call twice."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _tasks(self, parts: Sequence[Part], *, exact: bool) -> list[_Task]:
        """What is to be done, in pieces that two cores can share."""
        count = sum(len(positions) for _, positions in parts)
        fair = max(_SHARED_ROWS // 2, count // self._threads)
        tasks = []
        for segment, positions in parts:
            by_lists = (
                not exact
                and count >= LISTED_ROWS
                and len(positions) >= _APPROXIMATE_SHARE
                and segment.inverted is not None
            )
            pieces = [positions]
            if self._threads > 1 and len(positions) > fair and not by_lists:
                pieces = list(positions.halves())
            tasks += [_Task(segment=segment, positions=p, by_lists=by_lists) for p in pieces]
        return tasks

    def _map(self, tasks: Sequence[_Task], work: Callable[[_Task], Found]) -> list[Found]:
        spread = sum(len(task.positions) for task in tasks) >= _SHARED_ROWS
        if not spread or len(tasks) < 2 or self._threads == 1:
            return [work(task) for task in tasks]
        for task in tasks:
            task.segment.open()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(
                self._threads, "georclip-scan", initializer=one_thread_each
            )
        return list(self._pool.map(work, tasks))
