"""Questions and an index -> ranked hits: filter first, then compare exactly."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from georclip.errors import QueryError
from georclip.search.candidates import find_hits
from georclip.search.judging import Judges
from georclip.search.question import Question
from georclip.search.terms import resolve_many
from georclip.values import Hit, Query, SearchResult

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.index.runs import RowRuns
    from georclip.index.store import IndexStore

log = logging.getLogger("georclip")

_AT_ONCE = 1_024
"""Questions answered from one state of the index, while a writer's commit waits."""


def search(
    store: IndexStore,
    encoder: Encoder | None,
    query: Query,
    *,
    exact: bool = False,
    judges: Judges | None = None,
) -> SearchResult:
    """Rank the chips that pass a question's filters.

    Args:
        store: An open index.
        encoder: What made the index's vectors; None where all terms are chips of the index.
        query: What is asked; the filters are resolved before any vector is compared.
        exact: Compare every vector, however many there are (see `IndexStore.top`).
        judges: Of this index, kept from question to question; None makes one for this.

    Returns:
        At most `query.k` hits, best first; equal ones are ordered by chip_id. `elapsed_s` counts
        from here, without loading the encoder.

    Raises:
        QueryError: The question cannot be asked as it stands.
        EncoderMismatchError: The encoder is not the one that made the index.
    """
    (answer,) = search_many(store, encoder, (query,), exact=exact, judges=judges)
    if isinstance(answer, QueryError):
        raise answer
    return answer


def search_many(
    store: IndexStore,
    encoder: Encoder | None,
    queries: Sequence[Query],
    *,
    exact: bool = False,
    judges: Judges | None = None,
) -> tuple[SearchResult | QueryError, ...]:
    """Rank chips for many questions that share their filters, which are resolved once.

    Args:
        store: An open index.
        encoder: What made the index's vectors; None where all terms are chips of the index.
        queries: What is asked; all but the terms is as in the first.
        exact: Compare every vector; many questions always do.
        judges: As in `search`.

    Returns:
        For each question its answer, as `search` gives it, or why it cannot be asked; `elapsed_s`
        is an equal share of the time that all took.

    Raises:
        EncoderMismatchError: The encoder is not the one that made the index.
        QueryError: The questions have different filters.
    """
    if not queries:
        return ()
    started = time.perf_counter()
    shared = queries[0]
    _check(queries)
    questions = resolve_many(store, encoder, queries)
    different = {
        query.terms: question
        for query, question in zip(queries, questions, strict=True)
        if isinstance(question, Question)
    }
    found, considered = _answer(
        store, judges or Judges(), list(different.values()), shared, exact=exact
    )
    hits = dict(zip(different, found, strict=True))
    share_s = (time.perf_counter() - started) / len(queries)

    def answer(query: Query, question: Question | QueryError) -> SearchResult | QueryError:
        if isinstance(question, QueryError):
            return question
        return SearchResult(
            query=query,
            hits=hits[query.terms],
            encoder=store.encoder,
            rows_considered=considered,
            elapsed_s=share_s,
            index=str(store.path.absolute()),
        )

    return tuple(map(answer, queries, questions))


def _answer(
    store: IndexStore, judges: Judges, questions: Sequence[Question], query: Query, *, exact: bool
) -> tuple[list[tuple[Hit, ...]], int]:
    """Hits of each question among the rows that pass the filters of `query`, and how many pass."""
    hits: list[tuple[Hit, ...]] = []
    considered = left_out = 0
    for some in _groups(questions, _AT_ONCE):
        with store.snapshot():  # a commit between these steps would move rows: it waits
            selection = store.select(aoi=query.aoi, dates=query.dates, scenes=query.scenes)
            hits += _find(store, judges, some, query, selection.runs, exact=exact)
        considered, left_out = len(selection), selection.undated_scenes_left_out
    _tell_undated(left_out)
    return hits, considered


def _groups(questions: Sequence[Question], most: int) -> Iterator[Sequence[Question]]:
    for start in range(0, len(questions), most):
        yield questions[start : start + most]


def _find(
    store: IndexStore,
    judges: Judges,
    questions: Sequence[Question],
    query: Query,
    runs: RowRuns,
    *,
    exact: bool,
) -> list[tuple[Hit, ...]]:
    """Hits of questions, from one state of the index."""
    if not len(runs):
        return [()] * len(questions)
    judge = judges.of(store)
    if query.min_confidence is not None and not all(map(judge.can_tell, questions)):
        if any(len(question.parts) > 1 for question in questions):
            raise QueryError(
                "nobody can say how sure answers to several terms are: ask for one of them, or "
                "without a least confidence"
            )
        raise QueryError(
            f"{store.path} does not say how sure its answers are: it was made by an earlier "
            "georclip, or holds too few chips. Say georclip index for one of its scenes again, "
            "which adds what is missing, or ask without a least confidence"
        )
    return find_hits(store, judge, questions, query, runs, exact=exact)


def _check(queries: Sequence[Query]) -> None:
    shared = queries[0]
    if not all(_same_filters(query, shared) for query in queries):
        raise QueryError("questions that are asked together share k and filters: ask them apart")
    if shared.k < 1:
        raise QueryError(f"k = {shared.k} asks for no hits: give a whole number, 1 or more")


def _same_filters(query: Query, other: Query) -> bool:
    if query.aoi is not other.aoi and query.aoi != other.aoi:
        return False
    return (query.dates, query.scenes, query.k, query.min_confidence, query.grouping) == (
        other.dates, other.scenes, other.k, other.min_confidence, other.grouping,
    )  # fmt: skip


def _tell_undated(left_out: int) -> None:
    if left_out:
        log.warning(
            "%d %s left out: nobody knows if the dates fit",
            left_out,
            "scene without an acquisition time is"
            if left_out == 1
            else "scenes without an acquisition time are",
        )
