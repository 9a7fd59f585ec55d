"""Questions and an index -> ranked hits: filter first, then compare exactly."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.errors import QueryError
from georclip.values import Chip, Hit, Query, Scene, SearchResult

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.index.runs import RowRuns
    from georclip.index.store import IndexStore

log = logging.getLogger("georclip")

Vector = npt.NDArray[np.float32]
_TOGETHER = 16
"""From this many questions on one product over all rows is quicker than a search for each."""
_AT_ONCE = 1_024
"""Questions answered from one state of the index, while a writer's commit waits."""
_NAMED_WORDS = 20
"""Most unknown words of many questions that are named."""


def search(
    store: IndexStore, encoder: Encoder, query: Query, *, exact: bool = False
) -> SearchResult:
    """Rank the chips that pass a question's filters by their cosine with it.

    Args:
        store: An open index.
        encoder: What made the index's vectors.
        query: One text term; the filters are resolved before any vector is compared.
        exact: Compare every vector, however many there are (see `IndexStore.top`).

    Returns:
        At most `query.k` hits, best first; equal scores are ordered by chip_id. `elapsed_s`
        counts from here, without loading the encoder.

    Raises:
        QueryError: The question cannot be asked as it stands.
        EncoderMismatchError: The encoder is not the one that made the index.
    """
    (answer,) = search_many(store, encoder, (query,), exact=exact)
    if isinstance(answer, QueryError):
        raise answer
    return answer


def search_many(
    store: IndexStore, encoder: Encoder, queries: Sequence[Query], *, exact: bool = False
) -> tuple[SearchResult | QueryError, ...]:
    """Rank chips for many questions that share their filters, which are resolved once.

    Args:
        store: An open index.
        encoder: What made the index's vectors.
        queries: One text term each; all else is as in the first.
        exact: Compare every vector; many questions always do.

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
    if not all(_same_filters(query, shared) for query in queries):
        raise QueryError("questions that are asked together share k and filters: ask them apart")
    sentences = [_sentence(query) for query in queries]
    texts = list(dict.fromkeys(one for one in sentences if isinstance(one, str)))
    vectors: dict[str, Vector | QueryError] = {}
    if texts:
        store.check_encoder(encoder.spec)
        vectors = dict(zip(texts, _embed(encoder, texts), strict=True))
    known = {text: one for text, one in vectors.items() if not isinstance(one, QueryError)}
    _tell_unknown_words(encoder, tuple(known))
    ranked, considered = _rank(store, known, shared, exact=exact)
    share_s = (time.perf_counter() - started) / len(queries)

    def answer(query: Query, sentence: str | QueryError) -> SearchResult | QueryError:
        outcome = vectors[sentence] if isinstance(sentence, str) else sentence
        if isinstance(outcome, QueryError):
            return outcome
        return SearchResult(
            query=query,
            hits=ranked[str(sentence)],
            encoder=store.encoder,
            rows_considered=considered,
            elapsed_s=share_s,
        )

    return tuple(map(answer, queries, sentences))


def _rank(
    store: IndexStore, vectors: Mapping[str, Vector], query: Query, *, exact: bool
) -> tuple[dict[str, tuple[Hit, ...]], int]:
    """Hits of each sentence among the rows that pass a question's filters, and how many pass."""
    hits: dict[str, tuple[Hit, ...]] = {}
    considered = left_out = 0
    for texts in _groups(list(vectors), _AT_ONCE):
        many = np.stack([vectors[text] for text in texts])
        with store.snapshot():  # a commit between these steps would move rows: it waits
            selection = store.select(aoi=query.aoi, dates=query.dates, scenes=query.scenes)
            found: list[list[tuple[int, float]]] = [[] for _ in texts]
            if len(selection):
                found = _top_many(store, many, selection.runs, query.k, exact=exact)
            rows = list(dict.fromkeys(row for best in found for row, _ in best))
            places = dict(zip(rows, store.fetch(rows), strict=True))
        hits |= {text: _hits(best, places) for text, best in zip(texts, found, strict=True)}
        considered, left_out = len(selection), selection.undated_scenes_left_out
    _tell_undated(left_out)
    return hits, considered


def _groups(texts: list[str], most: int) -> Iterator[list[str]]:
    for start in range(0, len(texts), most):
        yield texts[start : start + most]


def _top_many(
    store: IndexStore, vectors: Vector, rows: RowRuns, k: int, *, exact: bool
) -> list[list[tuple[int, float]]]:
    """The k best rows of each of many vectors, (n, dim): (row, score), best first."""
    if len(vectors) < _TOGETHER:
        return [store.top(vector, rows, k, exact=exact) for vector in vectors]
    return store.top_many(vectors, rows, k)


def _embed(encoder: Encoder, texts: Sequence[str]) -> list[Vector | QueryError]:
    """Embed sentences together; those that cannot be asked are found by halving."""
    try:
        return list(encoder.encode_texts(texts))  # (n, dim)
    except QueryError as error:
        if len(texts) == 1:
            return [error]
    middle = len(texts) // 2
    return [*_embed(encoder, texts[:middle]), *_embed(encoder, texts[middle:])]


def _hits(
    ranked: Sequence[tuple[int, float]], places: Mapping[int, tuple[Chip, Scene]]
) -> tuple[Hit, ...]:
    return tuple(
        Hit(
            rank=rank,
            score=float(score),
            rank_score=float(score),
            confidence=None,
            chip=places[row][0],
            scene=places[row][1],
        )
        for rank, (row, score) in enumerate(ranked, start=1)
    )


def _same_filters(query: Query, other: Query) -> bool:
    if query.aoi is not other.aoi and query.aoi != other.aoi:
        return False
    return (query.dates, query.scenes, query.k, query.min_confidence) == (
        other.dates, other.scenes, other.k, other.min_confidence,
    )  # fmt: skip


def _sentence(query: Query) -> str | QueryError:
    """The one text that is asked for; anything else is refused rather than half answered."""
    try:
        return _only_text(query)
    except QueryError as error:
        return error


def _only_text(query: Query) -> str:
    if len(query.terms) != 1 or query.terms[0].kind != "text":
        raise QueryError(
            f"this version answers one text at a time, not {len(query.terms)} terms "
            f"({', '.join(term.kind for term in query.terms)}): ask them one after the other"
            if query.terms
            else 'the question is empty: say what to look for, such as "harbor with ships"'
        )
    term = query.terms[0]
    if not term.value.strip():
        raise QueryError('the question is empty: say what to look for, such as "harbor with ships"')
    if term.weight <= 0:
        raise QueryError(f"{term.value!r} is not wanted (weight {term.weight:g}): nothing to rank")
    if query.k < 1:
        raise QueryError(f"k = {query.k} asks for no hits: give a whole number, 1 or more")
    if query.min_confidence is not None:
        raise QueryError(
            "hits of this index have no confidence yet, so that none can be asked for: "
            "leave min_confidence out"
        )
    return term.value


def _tell_unknown_words(encoder: Encoder, texts: Sequence[str]) -> None:
    """Name the words that the encoder leaves out, each once."""
    found = [unknown for unknown in map(encoder.unknown_words, texts) if unknown]
    if not found:
        return
    words = list(dict.fromkeys(word for unknown in found for word in unknown))
    more = f" and {len(words) - _NAMED_WORDS} more" if len(words) > _NAMED_WORDS else ""
    where = f" (in {len(found)} of {len(texts)} different questions)" if len(texts) > 1 else ""
    log.warning(
        "the encoder %s does not know these words, which are left out: %s%s%s",
        encoder.spec.name, ", ".join(words[:_NAMED_WORDS]), more, where,
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
