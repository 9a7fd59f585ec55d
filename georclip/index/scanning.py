"""Which rows are scanned how, and on how many cores."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.index.runs import RowRuns
from georclip.index.segments import LEAST_LISTED, LISTED_ROWS, Segment
from georclip.index.vectors import one_thread

Part = tuple[Segment, RowRuns]
"""Positions in a segment."""
Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Rows of the index, int64 (n,), and their exact scores, float32 (n,)."""

_LEAST_SCORED = 400
"""Candidates from lists that are scored exactly, over all segments, at least."""
_SCORED_PER_HIT = 20
"""The same, for each of the k that are wanted."""
_MOST_BEHIND = 7
"""Rows wanted for each that is searched for: a segment names ten candidates for each of those."""
_SHARED_ROWS = 16_384
"""Selections from this size on are worth a second core."""
_MOST_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """Positions in a segment, to be looked at one by one or by way of the segment's lists."""

    segment: Segment
    positions: RowRuns
    by_lists: bool

    def open(self) -> None:
        """Map what it will read now, so that threads find it mapped."""
        self.segment.vectors.open()
        if self.by_lists and self.segment.inverted is not None:
            self.segment.inverted.open()

    def look(self, query: npt.NDArray[np.float32], k: int, sure: int) -> _Look:
        """Find rows that may be among the k best."""
        inverted = self.segment.inverted
        if self.by_lists and inverted is not None:
            found, scores = inverted.candidates(query, self.positions, sure)
        else:
            found, scores = self.segment.vectors.best(query, self.positions, k)
        return _Look(task=self, positions=found, scores=scores)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Look:
    """What a task has found: positions, and their scores, or estimates where lists were asked."""

    task: _Task
    positions: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def settled(self, query: npt.NDArray[np.float32], floor: float) -> Found:
        """Rows and exact scores; of estimates only those of at least `floor`."""
        segment, positions, scores = self.task.segment, self.positions, self.scores
        if self.task.by_lists:
            positions = np.sort(positions[scores >= floor])
            scores = segment.vectors.scores(query, positions)
        return positions + segment.first_row, scores


class Scanner:
    """Finds the best rows of a selection, on all cores where that pays. Close it when done."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._threads = min(_cores(), _MOST_THREADS)

    def best(
        self,
        parts: Sequence[Part],
        query: npt.NDArray[np.float32],
        k: int,
        *,
        exact: bool,
        sure: int,
    ) -> Found:
        """The k best rows, and all that score as high as the k-th, where every vector is compared.

        Args:
            parts: What to choose from.
            query: float32, (dim,), unit length.
            k: At least 1.
            exact: Look at every vector; else large selections may be answered by inverted files,
                which miss a row now and then. Scores are exact either way.
            sure: Of the k, how many inverted files are searched for; those behind come of the
                candidates that are scored anyway.

        Returns:
            In no order; at least min(k, n) rows.
        """
        count = sum(len(positions) for _, positions in parts)
        threads = self._threads if count >= _SHARED_ROWS else 1
        by_lists = not exact and count >= LISTED_ROWS
        sure = min(k, max(sure, -(-k // _MOST_BEHIND)))
        bundles = _bundles(parts, share=-(-count // threads), by_lists=by_lists)

        def work(tasks: Sequence[_Task]) -> list[_Look]:
            with one_thread():  # one core each: a query alone gives FAISS nothing to share
                return [task.look(query, k, sure) for task in tasks]

        looked = [work(bundles[0])] if len(bundles) == 1 else self._in_threads(work, bundles)
        looks = [look for bundle in looked for look in bundle]
        floor = _floor(looks, max(_LEAST_SCORED, _SCORED_PER_HIT * sure))
        found = [look.settled(query, floor) for look in looks]
        rows = np.concatenate([np.empty(0, dtype=np.int64), *(rows for rows, _ in found)])
        scores = np.concatenate([np.empty(0, dtype=np.float32), *(s for _, s in found)])
        if floor > -math.inf and scores.min() == np.partition(scores, len(scores) - k)[-k]:
            # All candidates score alike, and so may others: only a look at all can order them.
            return self.best(parts, query, k, exact=True, sure=k)
        return rows, scores

    def close(self) -> None:
        """Let the threads go. Safe to call twice."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _in_threads(
        self, work: Callable[[Sequence[_Task]], list[_Look]], bundles: Sequence[Sequence[_Task]]
    ) -> list[list[_Look]]:
        """Work on the first bundle here and on the others in threads of their own."""
        for task in (task for bundle in bundles for task in bundle):
            task.open()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads - 1, "georclip-scan")
        others = [self._pool.submit(work, bundle) for bundle in bundles[1:]]
        return [work(bundles[0]), *(other.result() for other in others)]


def _cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _floor(looks: Sequence[_Look], most: int) -> float:
    """The least estimate of the `most` best over all segments."""
    estimates = [look.scores for look in looks if look.task.by_lists]
    every = np.concatenate([np.empty(0, dtype=np.float32), *estimates])
    if len(every) <= most:
        return -math.inf
    return float(np.partition(every, len(every) - most)[len(every) - most])


def _bundles(parts: Sequence[Part], *, share: int, by_lists: bool) -> list[list[_Task]]:
    """Parts as tasks, in bundles of about `share` rows; a scan is cut in two where that fits."""
    bundles: list[list[_Task]] = [[]]
    room = share
    for segment, positions in parts:
        listed = by_lists and len(positions) >= LEAST_LISTED and segment.inverted is not None
        left = positions
        while len(left):
            piece, left = (left, RowRuns.span(0, 0)) if listed else left.cut(room)
            bundles[-1].append(_Task(segment=segment, positions=piece, by_lists=listed))
            room -= len(piece)
            if room <= 0:
                bundles.append([])
                room = share
    return [bundle for bundle in bundles if bundle] or [[]]
