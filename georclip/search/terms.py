"""Queries -> questions: each term as a vector, several of them combined."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.errors import QueryError
from georclip.search.combining import combine
from georclip.search.query import build_query, check_terms
from georclip.search.question import Part, Question
from georclip.values import Query, Term

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.index.store import IndexStore

log = logging.getLogger("georclip")

Vector = npt.NDArray[np.float32]
_Found = Mapping[str, "Vector | QueryError"]
_NAMED_WORDS = 20
"""Most unknown words of many questions that are named."""


def resolve_many(
    store: IndexStore, encoder: Encoder | None, queries: Sequence[Query]
) -> list[Question | QueryError]:
    """Make questions of queries: all texts are embedded together, unless there is one query.

    Args:
        store: The index that is asked.
        encoder: What made its vectors; None where all terms are chips of the index.
        queries: What to ask.

    Returns:
        For each query its question, or why it cannot be asked.

    Raises:
        EncoderMismatchError: The encoder is not the one that made the index.
        EncoderError: It cannot be loaded, or embeds no pictures.
    """
    checked = [_check(query) for query in queries]
    terms = [term for one in checked if not isinstance(one, QueryError) for term in one]
    found: dict[Term, Vector | QueryError] = {}
    if any(term.kind in ("text", "image") for term in terms):
        if encoder is None:
            raise QueryError("words and pictures need an encoder: hand one in")
        store.check_encoder(encoder.spec)
        found = _embed_all(encoder, terms, apart=len(queries) == 1)

    def question(terms: tuple[Term, ...] | QueryError) -> Question | QueryError:
        if isinstance(terms, QueryError):
            return terms
        try:
            parts = [_part(store, term, found.get(term)) for term in terms]
            sample = store.background() if len(parts) > 1 else None
            return combine(parts, None if sample is None else sample.vectors)
        except QueryError as error:
            return error

    return list(map(question, checked))


def resolve(store: IndexStore, encoder: Encoder | None, query: Query) -> Question:
    """Make a question of one query.

    Raises:
        QueryError: It cannot be asked.
        EncoderMismatchError: The encoder is not the one that made the index.
    """
    (question,) = resolve_many(store, encoder, (query,))
    if isinstance(question, QueryError):
        raise question
    return question


def embed_sentence(encoder: Encoder, text: str) -> Vector:
    """Embed a sentence as a search would, for what is asked without an index.

    What the encoder leaves out goes to the log.

    Args:
        encoder: Embeds it.
        text: As a person typed it: a weight may follow it, and changes nothing.

    Returns:
        float32, (dim,), unit length.

    Raises:
        QueryError: It cannot be asked.
    """
    (term,) = build_query(text).terms
    found = _embed_all(encoder, (term,), apart=True)[term]
    if isinstance(found, QueryError):
        raise found
    return found


def _check(query: Query) -> tuple[Term, ...] | QueryError:
    try:
        check_terms(query.terms)
    except QueryError as error:
        return error
    return query.terms


def _embed_all(
    encoder: Encoder, terms: Sequence[Term], *, apart: bool
) -> dict[Term, Vector | QueryError]:
    """Embed texts and picture files; each text by itself, or all together."""
    texts = list(dict.fromkeys(term.value for term in terms if term.kind == "text"))
    vectors = _embed_apart(encoder, texts) if apart else _embed(encoder, texts)
    known = [text for text in texts if not isinstance(vectors[text], QueryError)]
    _tell_unknown_words(encoder, known)
    _tell_unread_words(encoder, known)
    found = {term: vectors[term.value] for term in terms if term.kind == "text"}
    return found | {term: _picture(encoder, term) for term in terms if term.kind == "image"}


def _picture(encoder: Encoder, term: Term) -> Vector | QueryError:
    from georclip.search.pictures import embed_picture

    try:
        return embed_picture(term.value, encoder)
    except QueryError as error:
        return error


def _part(store: IndexStore, term: Term, embedded: Vector | QueryError | None) -> Part:
    """A term as a vector; that of a chip is looked up.

    Raises:
        QueryError: It cannot be asked.
    """
    if isinstance(embedded, QueryError):
        raise embedded
    if embedded is not None:
        vector = embedded
    elif term.kind == "place":
        from georclip.search.chip_terms import vector_at_place

        vector = vector_at_place(store, term.value)
    else:
        from georclip.search.chip_terms import vector_of_hit

        vector = vector_of_hit(store, term.value)
    return Part(kind=term.kind, label=term.value, vector=vector, weight=term.weight)


def _embed_apart(encoder: Encoder, texts: Sequence[str]) -> _Found:
    """Embed the texts of one question each by itself: those asked before are remembered so."""
    from georclip.encoders.prompts import embed_question

    found: dict[str, Vector | QueryError] = {}
    for text in texts:
        try:
            found[text] = embed_question(encoder, text)
        except QueryError as error:
            found[text] = error
    return found


def _embed(encoder: Encoder, texts: Sequence[str]) -> _Found:
    """Embed texts together; those that cannot be asked are found by halving."""
    from georclip.encoders.prompts import embed_questions

    if not texts:
        return {}
    try:
        return dict(zip(texts, embed_questions(encoder, texts), strict=True))
    except QueryError as error:
        if len(texts) == 1:
            return {texts[0]: error}
    middle = len(texts) // 2
    return {**_embed(encoder, texts[:middle]), **_embed(encoder, texts[middle:])}


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


def _tell_unread_words(encoder: Encoder, texts: Sequence[str]) -> None:
    """Name the ends of sentences that are longer than the encoder reads."""
    cut = [unread for unread in map(encoder.unread, texts) if unread]
    if not cut:
        return
    more = f" (and the ends of {len(cut) - 1} other questions)" if len(cut) > 1 else ""
    log.warning(
        "the question is longer than the encoder %s reads, which leaves out its end: %s%s",
        encoder.spec.name, _shortened(cut[0]), more,
    )  # fmt: skip


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]} ..."
