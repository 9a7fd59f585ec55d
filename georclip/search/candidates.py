"""Questions' candidates -> their hits: ranked, judged, one for each object.

The best chips by cosine are looked at first, and more of them where too few objects come of it.
What joins chips is read for all of them, the rest for the hits alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from georclip.search.suppression import Object, acquisitions_of, group_ground, lay_out
from georclip.values import Hit, Query

if TYPE_CHECKING:
    from georclip.index.runs import RowRuns
    from georclip.index.store import IndexStore
    from georclip.search.question import Question

_Ranked = list[tuple[int, float]]

_CHIPS_OF_AN_OBJECT = 4
_LEAST_POOL = 48
_WIDER = 4
_TOGETHER = 16
"""From this many questions on one product over all rows is quicker than a search for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A chip that may become a hit.

    Attributes:
        row: In the index.
        score: Cosine with the question's direction.
        rank_score: What rank sorts by.
        confidence: In [0, 1], or None.
    """

    row: int
    score: float
    rank_score: float
    confidence: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A candidate that becomes a hit.

    Attributes:
        candidate: The best of its object.
        members: Ids of the other chips, best first.
    """

    candidate: Candidate
    members: tuple[str, ...]


def pool_size(query: Query, question: Question) -> int:
    """Chips to look at first."""
    chips = query.k
    if query.grouping != "none":
        chips = max(_CHIPS_OF_AN_OBJECT * query.k, _LEAST_POOL)
    return max(chips, question.breadth)


def find_hits(
    store: IndexStore, questions: Sequence[Question], query: Query, runs: RowRuns, *, exact: bool
) -> list[tuple[Hit, ...]]:
    """Rank the chips of a selection, and make hits of the best.

    Args:
        store: The index, held to one state by its `snapshot`.
        questions: What is asked.
        query: How many hits are wanted of each, and what each stands for.
        runs: Rows that pass the filters.
        exact: As in `IndexStore.top`; many questions always are.

    Returns:
        For each question at most `query.k`, best first; equal ones in order of chip_id.
    """
    exact = exact or len(questions) >= _TOGETHER
    picked: list[list[Pick]] = [[] for _ in questions]
    short, wider = list(range(len(questions))), 1
    while short:
        asked = [questions[number] for number in short]
        pools = [wider * pool_size(query, question) for question in asked]
        found = _best(store, asked, runs, pools, sure=wider * query.k, exact=exact)
        ranked = [_rank(store, *one) for one in zip(asked, found, strict=True)]
        for number, picks in zip(short, _pick(store, ranked, query), strict=True):
            picked[number] = picks
        short = [
            number
            for number, pool, rows in zip(short, pools, found, strict=True)
            if len(picked[number]) < query.k and len(rows) == pool
        ]
        wider *= _WIDER
    return _hits(store, picked)


def _best(
    store: IndexStore,
    questions: Sequence[Question],
    runs: RowRuns,
    pools: Sequence[int],
    *,
    sure: int,
    exact: bool,
) -> list[_Ranked]:
    """The best rows of each question, as many as its pool holds."""
    if len(questions) < _TOGETHER:
        return [
            store.top(question.direction, runs, pool, exact=exact, sure=max(sure, question.breadth))
            for question, pool in zip(questions, pools, strict=True)
        ]
    directions = np.stack([question.direction for question in questions])
    ranked = store.top_many(directions, runs, max(pools))
    return [best[:pool] for best, pool in zip(ranked, pools, strict=True)]


def _rank(store: IndexStore, question: Question, found: _Ranked) -> list[Candidate]:
    """Candidates in order of rank."""
    rows = [row for row, _ in found]
    scores = np.array([score for _, score in found], dtype=np.float64)
    vectors = store.vectors(rows) if question.breadth > 1 else None
    rank_scores = question.rank_scores(scores, vectors)
    order = np.argsort(-rank_scores, kind="stable").tolist()  # equal ones stay as they were found
    return [
        Candidate(
            row=rows[place],
            score=float(scores[place]),
            rank_score=float(rank_scores[place]),
            confidence=None,
        )
        for place in order
    ]


def _pick(
    store: IndexStore, ranked: Sequence[Sequence[Candidate]], query: Query
) -> list[list[Pick]]:
    """The best candidates of each question, as many objects as are wanted."""
    if query.grouping == "none":
        return [[Pick(candidate=one, members=()) for one in best[: query.k]] for best in ranked]
    rows = list(dict.fromkeys(one.row for best in ranked for one in best))
    outlines = store.outlines(rows)
    ground = lay_out(outlines.footprints, acquisitions_of(outlines, query.grouping))
    place_of = {row: place for place, row in enumerate(rows)}

    def picks(best: Sequence[Candidate]) -> list[Pick]:
        places = np.array([place_of[one.row] for one in best], dtype=np.int64)
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
            chip=chip,
            scene=scene,
            members=pick.members,
        )

    return [tuple(hit(rank, pick) for rank, pick in enumerate(picks, start=1)) for picks in picked]
