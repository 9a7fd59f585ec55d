"""A question's candidates -> its hits: ranked, judged, one for each object.

The best chips by cosine are looked at first, and more of them where too few objects come of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from georclip.search.suppression import Object, acquisition_of, group_objects
from georclip.values import Chip, Hit, Query, Scene

if TYPE_CHECKING:
    from georclip.index.runs import RowRuns
    from georclip.index.store import IndexStore
    from georclip.search.question import Question

_Ranked = list[tuple[int, float]]

_CHIPS_OF_AN_OBJECT = 4
_LEAST_POOL = 48
_WIDER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Chips and scenes of rows of one state of an index, each fetched once.

    Attributes:
        store: The index, held to that state by its `snapshot`.
        known: What was fetched.
    """

    store: IndexStore
    known: dict[int, tuple[Chip, Scene]] = field(default_factory=dict)

    def fetch(self, rows: Sequence[int]) -> list[tuple[Chip, Scene]]:
        """Chips and scenes of rows, in their order."""
        missing = [row for row in dict.fromkeys(rows) if row not in self.known]
        if missing:
            self.known.update(zip(missing, self.store.fetch(missing), strict=True))
        return [self.known[row] for row in rows]


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


def pool_size(query: Query, question: Question) -> int:
    """Chips to look at first."""
    chips = query.k
    if query.grouping != "none":
        chips = max(_CHIPS_OF_AN_OBJECT * query.k, _LEAST_POOL)
    return max(chips, question.breadth)


def find_hits(
    places: Places,
    question: Question,
    query: Query,
    runs: RowRuns,
    *,
    exact: bool,
    first: _Ranked | None = None,
) -> tuple[Hit, ...]:
    """Rank the chips of a selection, and make hits of the best.

    Args:
        places: Of the index, which is held to one state meanwhile.
        question: What is asked.
        query: How many hits are wanted, and what each stands for.
        runs: Rows that pass the filters.
        exact: As in `IndexStore.top`.
        first: The best `pool_size(query, question)` rows, where they are known.

    Returns:
        At most `query.k`, best first; equal ones in order of chip_id.
    """
    pool = pool_size(query, question)
    found = first
    while True:
        if found is None:
            found = places.store.top(question.direction, runs, pool, exact=exact)
        ranked = _rank(places, question, found)
        hits = _group(places, ranked, query)
        if len(hits) == query.k or len(found) < pool:
            return hits
        pool, found = pool * _WIDER, None


def _rank(places: Places, question: Question, found: _Ranked) -> list[Candidate]:
    """Candidates in order of rank."""
    rows = [row for row, _ in found]
    scores = np.array([score for _, score in found], dtype=np.float64)
    vectors = places.store.vectors(rows) if question.breadth > 1 else None
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


def _group(places: Places, ranked: list[Candidate], query: Query) -> tuple[Hit, ...]:
    """The best candidates, as many objects as are wanted."""
    looked_at = len(ranked)
    if query.grouping == "none":
        looked_at = min(query.k, looked_at)
    best = ranked[:looked_at]
    shown = places.fetch([one.row for one in best])
    objects = [Object(best=place, members=()) for place in range(len(best))]
    if query.grouping != "none":
        objects = group_objects(
            [chip.footprint for chip, _ in shown],
            [acquisition_of(scene, query.grouping) for _, scene in shown],
            query.k,
        )
    return tuple(
        _hit(rank, best[one.best], shown[one.best], [shown[place][0] for place in one.members])
        for rank, one in enumerate(objects, start=1)
    )


def _hit(
    rank: int, candidate: Candidate, place: tuple[Chip, Scene], members: Sequence[Chip]
) -> Hit:
    return Hit(
        rank=rank,
        score=candidate.score,
        rank_score=candidate.rank_score,
        confidence=candidate.confidence,
        chip=place[0],
        scene=place[1],
        members=tuple(chip.chip_id for chip in members),
    )
