"""A question and an index -> ranked hits: filter first, then compare exactly."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from georclip.errors import QueryError
from georclip.values import Hit, Query, SearchResult, Term

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.index.store import IndexStore

log = logging.getLogger("georclip")


def search(store: IndexStore, encoder: Encoder, query: Query) -> SearchResult:
    """Rank the chips that pass a question's filters by their cosine with it.

    Args:
        store: An open index.
        encoder: What made the index's vectors.
        query: One text term; the filters are resolved before any vector is compared.

    Returns:
        At most `query.k` hits, best first; equal scores are ordered by chip_id. `elapsed_s`
        counts from here, without loading the encoder.

    Raises:
        QueryError: The question cannot be asked as it stands.
        EncoderMismatchError: The encoder is not the one that made the index.
    """
    started = time.perf_counter()
    term = _only_term(query)
    store.check_encoder(encoder.spec)
    unknown = encoder.unknown_words(term.value)
    vector = encoder.encode_texts([term.value])[0]  # (dim,)
    if unknown:
        log.warning(
            "the encoder %s does not know these words, which are left out: %s",
            encoder.spec.name,
            ", ".join(unknown),
        )
    with store.snapshot():  # a commit between these questions would move rows
        selection = store.select(aoi=query.aoi, dates=query.dates, scenes=query.scenes)
        ranked = store.top(vector, selection.runs, query.k)
        found = store.fetch([row for row, _ in ranked])
    left_out = selection.undated_scenes_left_out
    if left_out:
        log.warning(
            "%d %s left out: nobody knows if the dates fit",
            left_out,
            "scene without an acquisition time is"
            if left_out == 1
            else "scenes without an acquisition time are",
        )
    hits = tuple(
        Hit(
            rank=rank,
            score=float(score),
            rank_score=float(score),
            confidence=None,
            chip=chip,
            scene=scene,
        )
        for rank, ((_, score), (chip, scene)) in enumerate(zip(ranked, found, strict=True), start=1)
    )
    return SearchResult(
        query=query,
        hits=hits,
        encoder=store.encoder,
        rows_considered=len(selection),
        elapsed_s=time.perf_counter() - started,
    )


def _only_term(query: Query) -> Term:
    """The one text that is asked for; anything else is refused rather than half answered."""
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
    return term
