"""Questions' candidates -> their hits: judged, ranked, one for each object.

The best chips by cosine are looked at first, and more of them where too few objects come of it.
What joins chips is read for all of them, the rest for the hits alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from georclip.search.judging import Judge, convinces
from georclip.search.suppression import Object, acquisitions_of, group_ground, lay_out
from georclip.values import Hit, Query

if TYPE_CHECKING:
    import numpy.typing as npt

    from georclip.index.outlines import Outlines
    from georclip.index.runs import RowRuns
    from georclip.index.store import IndexStore
    from georclip.search.question import Question

    _Offsets = npt.NDArray[np.float64]

_Ranked = list[tuple[int, float]]

_CHIPS_OF_AN_OBJECT = 4
_LEAST_POOL = 48
_WIDER = 4
_LAST = 100
"""Where none of the worst so many candidates is sure enough, no worse one is looked for."""
_MOST_POOL = 25_600
"""Candidates beyond which no more are looked for, unless as many hits are wanted."""
_MOST_SHIFTED = 1_600
"""The same where only scales are in question: what has a lower cosine than so many, and would
still rank before them, is let go for the sake of time."""
_BEHIND = 2.0
"""Taken from the rank_score of a chip that shows nothing: cosines differ by no more."""
_TOGETHER = 16
"""From this many questions on one product over all rows is quicker than a search for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A chip that may become a hit.

    Attributes:
        row: In the index.
        score: Cosine with the question's direction.
        rank_score: What rank sorts by: the score, made comparable between scales where the index
            has several; less where the chip shows nothing.
        confidence: In [0, 1], or None.
        empty: Whether it shows nothing.
    """

    row: int
    score: float
    rank_score: float
    confidence: float | None
    empty: bool

    def is_sure(self, query: Query) -> bool:
        """Whether it may be a hit: by its confidence, where one is asked for."""
        least = query.min_confidence
        return least is None or (self.confidence is not None and self.confidence >= least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A candidate that becomes a hit.

    Attributes:
        candidate: The best of its object.
        members: Ids of the other chips, best first.
    """

    candidate: Candidate
    members: tuple[str, ...]


def pool_size(query: Query) -> int:
    """Chips to look at first, of each question."""
    if query.grouping == "none":
        return query.k
    return max(_CHIPS_OF_AN_OBJECT * query.k, _LEAST_POOL)


def find_hits(
    store: IndexStore,
    judge: Judge,
    questions: Sequence[Question],
    query: Query,
    runs: RowRuns,
    *,
    exact: bool,
) -> list[tuple[Hit, ...]]:
    """Rank the chips of a selection, and make hits of the best.

    Args:
        store: The index, held to one state by its `snapshot`.
        judge: Of that state.
        questions: What is asked.
        query: How many hits are wanted of each, and what each stands for.
        runs: Rows that pass the filters.
        exact: As in `IndexStore.top`; many questions always are.

    Returns:
        For each question at most `query.k`, best first; equal ones in order of chip_id.
    """
    exact = exact or len(questions) >= _TOGETHER
    picked: list[list[Pick]] = [[] for _ in questions]
    offsets = [judge.offsets(question) for question in questions]
    short, wider = list(range(len(questions))), 1
    while short:
        asked = [questions[number] for number in short]
        pool = judge.pool_size(wider * pool_size(query))
        found = _best(store, asked, runs, pool, sure=wider * query.k, exact=exact)
        needed = query.grouping != "none" or judge.scale_shift is not None
        looked = _Looked.at(store, found) if needed else None
        ranked = [
            _rank(store, judge, questions[number], best, looked, offsets[number])
            for number, best in zip(short, found, strict=True)
        ]
        for number, picks in zip(short, _pick(ranked, looked, query), strict=True):
            picked[number] = picks
        short = [
            number
            for number, candidates in zip(short, ranked, strict=True)
            if len(candidates) == pool
            and _may_bring_more(picked[number], candidates, query, gain=_most_gain(offsets[number]))
        ]
        wider *= _WIDER
    return _hits(store, picked)


def _most_gain(offsets: _Offsets | None) -> float:
    """Most that a rank_score lies above its score: that of the scale whose scores lie lowest."""
    return 0.0 if offsets is None else max(0.0, -float(offsets.min()))


def _may_bring_more(
    picks: Sequence[Pick], candidates: Sequence[Candidate], query: Query, *, gain: float
) -> bool:
    """Whether what was not looked at, all of lower scores, might become hits.

    Args:
        picks: What became of the candidates, best first.
        candidates: All that were looked at, best first.
        query: What is wanted.
        gain: Most that a rank_score lies above its score.
    """
    pool = len(candidates)
    standing = [pick.candidate for pick in picks if not pick.candidate.empty]
    if len(standing) >= query.k:
        if gain <= 0.0 or pool >= max(_MOST_SHIFTED, pool_size(query)):
            return False
        lowest = min(one.score for one in candidates)
        return lowest + gain > standing[query.k - 1].rank_score
    if pool >= max(_MOST_POOL, _WIDER * pool_size(query)):
        return False
    last = [one for one in candidates if not one.empty][-_LAST:]
    return not last or any(one.is_sure(query) for one in last)


def _best(
    store: IndexStore,
    questions: Sequence[Question],
    runs: RowRuns,
    pool: int,
    *,
    sure: int,
    exact: bool,
) -> list[_Ranked]:
    """The best rows of each question."""
    directions = [question.direction for question in questions]
    if len(questions) < _TOGETHER:
        return [store.top(one, runs, pool, exact=exact, sure=sure) for one in directions]
    return store.top_many(np.stack(directions), runs, pool)


def _rank(
    store: IndexStore,
    judge: Judge,
    question: Question,
    found: _Ranked,
    looked: _Looked | None,
    offsets: _Offsets | None,
) -> list[Candidate]:
    """Candidates in order of rank."""
    rows = [row for row, _ in found]
    confidences: list[float] | list[None] = [None] * len(rows)
    empty = [False] * len(rows)
    rank_scores = [score for _, score in found]
    if judge.scale_shift is not None and offsets is not None and looked is not None:
        scores = np.array(rank_scores, dtype=np.float64)
        scales = looked.outlines.scales[looked.places(rows)]
        rank_scores = judge.scale_shift.apply(offsets, scores, scales).tolist()
    if judge.knows and rows:
        vectors = store.vectors(rows)
        empty = judge.show_nothing(question, vectors).tolist()
        found_sure = judge.confidences(question, vectors)
        if found_sure is not None:
            confidences = np.where(empty, 0.0, found_sure).tolist()
    ranked = [
        Candidate(
            row=row,
            score=score,
            rank_score=rank_score - _BEHIND if nothing else rank_score,
            confidence=confidence,
            empty=nothing,
        )
        for (row, score), rank_score, confidence, nothing in zip(
            found, rank_scores, confidences, empty, strict=True
        )
    ]
    ranked.sort(key=lambda one: -one.rank_score)  # equal ones stay as they were found
    return ranked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Looked:
    """Outlines of all candidates of some questions, each read once.

    Attributes:
        outlines: Of the candidates.
        place_of: Where in them each row is.
    """

    outlines: Outlines
    place_of: dict[int, int]

    @classmethod
    def at(cls, store: IndexStore, found: Sequence[_Ranked]) -> _Looked:
        rows = list(dict.fromkeys(row for best in found for row, _ in best))
        places = {row: place for place, row in enumerate(rows)}
        return cls(outlines=store.outlines(rows), place_of=places)

    def places(self, rows: Sequence[int]) -> npt.NDArray[np.int64]:
        return np.array([self.place_of[row] for row in rows], dtype=np.int64)


def _pick(
    ranked: Sequence[Sequence[Candidate]], looked: _Looked | None, query: Query
) -> list[list[Pick]]:
    """The best sure candidates of each question, as many objects as are wanted."""
    ranked = [[one for one in best if one.is_sure(query)] for best in ranked]
    if query.grouping == "none" or looked is None:
        return [[Pick(candidate=one, members=()) for one in best[: query.k]] for best in ranked]
    outlines = looked.outlines
    ground = lay_out(outlines.footprints, acquisitions_of(outlines, query.grouping))

    def picks(best: Sequence[Candidate]) -> list[Pick]:
        places = looked.places([one.row for one in best])
        ids = [outlines.chip_ids[place] for place in places.tolist()]
        return [_picked(best, ids, one) for one in group_ground(ground.take(places), query.k)]

    return [picks(best) for best in ranked]


def _picked(best: Sequence[Candidate], chip_ids: Sequence[str], found: Object) -> Pick:
    return Pick(
        candidate=best[found.best], members=tuple(chip_ids[member] for member in found.members)
    )


def _hits(store: IndexStore, picked: Sequence[Sequence[Pick]]) -> list[tuple[Hit, ...]]:
    """Hits, with what only they say: chips and scenes are fetched once for all questions."""
    rows = list(dict.fromkeys(one.candidate.row for picks in picked for one in picks))
    known = dict(zip(rows, store.fetch(rows), strict=True))

    def hit(rank: int, pick: Pick) -> Hit:
        chip, scene = known[pick.candidate.row]
        return Hit(
            rank=rank,
            score=pick.candidate.score,
            rank_score=pick.candidate.rank_score,
            confidence=pick.candidate.confidence,
            convincing=convinces(pick.candidate.confidence),
            chip=chip,
            scene=scene,
            members=pick.members,
        )

    return [tuple(hit(rank, pick) for rank, pick in enumerate(picks, start=1)) for picks in picked]
