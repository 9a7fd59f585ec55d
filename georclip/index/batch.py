"""Many questions at once: every stored vector is read once for a thousand of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.index.ranking import ReadChipIds, first_k, top_rows
from georclip.index.runs import RowRuns
from georclip.index.scanning import Scanner
from georclip.index.scores import coarse_error, widened
from georclip.index.view import View

Ranked = list[tuple[int, float]]
"""(row, score), best first."""

QUESTIONS = 1_024
"""Questions answered in one pass over the rows, at most."""
_CANDIDATES = 1_000_000
"""Candidates held for all of them."""
_ROWS = 8_192
"""Rows compared with all of them in one matrix product."""


def top_rows_of_many(
    view: View,
    queries: npt.NDArray[np.float32],
    rows: RowRuns,
    k: int,
    *,
    scanner: Scanner,
    chip_ids: ReadChipIds,
) -> list[Ranked]:
    """The k best of some rows for each of many questions: exact, as `top_rows` has them.

    A matrix product finds candidates, which are then scored one by one: how far its values can lie
    from scores is bounded (`coarse_error`), and a question whose candidates are too close together
    to tell is asked alone.

    Args:
        view: What can be searched.
        queries: float32, (n, dim), unit length.
        rows: What to choose from. Removed rows are left out.
        k: Most rows wanted, at least 1.
        scanner: Answers questions alone.
        chip_ids: Reads ids of rows from the catalog.

    Returns:
        One list a question, in their order.
    """
    rows = rows.without(view.dead)
    count = len(rows)
    answers: list[Ranked] = []
    most = min(2 * k + 64, max(count, 1))
    together = max(1, min(QUESTIONS, _CANDIDATES // most))
    for start in range(0, len(queries), together):
        some = queries[start : start + together]
        candidates = _Candidates.of_none(len(some), most=most)
        for first_rows, block in _blocks(view, rows):
            candidates = candidates.with_block(some @ block.T, first_rows)
        for number, query in enumerate(some):
            found = candidates.of(number, k, coarse_error(queries.shape[1]), count)
            if found is None:
                answers.append(
                    top_rows(
                        view,
                        query,
                        rows,
                        k,
                        exact=True,
                        sure=k,
                        scanner=scanner,
                        chip_ids=chip_ids,
                    )
                )
            else:
                answers.append(first_k(found, _scores(view, query, found), k, chip_ids))
    return answers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidates:
    """The best rows so far of every question, by their coarse scores.

    Attributes:
        most: Rows kept for each question.
        questions: int64, (m,): numbers of questions, ascending.
        rows: int64, (m,): a row for each.
        scores: float32, (m,): descending within a question.
        floors: float32, (n,): what a row must exceed to be kept.
    """

    most: int
    questions: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    floors: npt.NDArray[np.float32]

    @classmethod
    def of_none(cls, count: int, *, most: int) -> _Candidates:
        none = np.empty(0, dtype=np.int64)
        floors = np.full(count, -np.inf, dtype=np.float32)
        return cls(most=most, questions=none, rows=none, scores=floors[:0], floors=floors)

    def with_block(
        self, coarse: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]
    ) -> _Candidates:
        """With the scores of some more rows, (questions, rows)."""
        if coarse.shape[1] > self.most and not np.isfinite(self.floors).any():
            best = np.argpartition(-coarse, self.most, axis=1)[:, : self.most]
            questions = np.repeat(np.arange(len(coarse), dtype=np.int64), self.most)
            columns = best.ravel()
        else:
            questions, columns = np.nonzero(coarse > self.floors[:, None])
        if len(questions) == 0:
            return self
        return self._kept(
            np.concatenate([self.questions, questions]),
            np.concatenate([self.rows, rows[columns]]),
            np.concatenate([self.scores, coarse[questions, columns]]),
        )

    def _kept(
        self,
        questions: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float32],
    ) -> _Candidates:
        order = np.lexsort((-scores, questions))
        questions, rows, scores = questions[order], rows[order], scores[order]
        starts = np.searchsorted(questions, np.arange(len(self.floors)))
        place = np.arange(len(questions)) - starts[questions]
        floors = self.floors.copy()
        last = place == self.most - 1
        floors[questions[last]] = scores[last]
        kept = place < self.most
        return _Candidates(
            most=self.most,
            questions=questions[kept],
            rows=rows[kept],
            scores=scores[kept],
            floors=floors,
        )

    def of(
        self, number: int, k: int, error: np.float32, count: int
    ) -> npt.NDArray[np.int64] | None:
        """Rows that can be among a question's k best; None where others can, too."""
        first, end = np.searchsorted(self.questions, [number, number + 1])
        rows, scores = self.rows[first:end], self.scores[first:end]
        if len(rows) <= k:
            return rows
        possible = scores >= scores[k - 1] - 2 * error
        return None if possible.all() and len(rows) < count else rows[possible]


def _blocks(
    view: View, rows: RowRuns
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Rows, int64 (m,), and their vectors as stored, float32 (m, dim), a bounded part at a time."""
    for segment, positions in view.split(rows):
        left = positions
        while len(left):
            some, left = left.cut(_ROWS)
            chosen = some.rows()
            yield chosen + segment.first_row, widened(segment.vectors.take(some))


def _scores(
    view: View, query: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Exact scores of rows in any order, float32 (n,)."""
    order = np.argsort(rows, kind="stable")
    ascending = [
        segment.vectors.scores(query, positions.rows())
        for segment, positions in view.split(RowRuns.of(rows[order]))
    ]
    scores = np.empty(len(rows), dtype=np.float32)
    scores[order] = np.concatenate([scores[:0], *ascending])
    return scores
