"""Queries -> questions: each term as a vector."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.errors import QueryError
from georclip.search.question import Part, Question, single
from georclip.values import Query

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.index.store import IndexStore

log = logging.getLogger("georclip")

Vector = npt.NDArray[np.float32]
_NAMED_WORDS = 20
"""Most unknown words of many questions that are named."""


def resolve_many(
    store: IndexStore, encoder: Encoder, queries: Sequence[Query]
) -> list[Question | QueryError]:
    """Embed the terms of queries, all texts together.

    Args:
        store: The index that is asked.
        encoder: What made its vectors.
        queries: What to ask.

    Returns:
        For each query its question, or why it cannot be asked.

    Raises:
        EncoderMismatchError: The encoder is not the one that made the index.
    """
    sentences = [_sentence(query) for query in queries]
    texts = list(dict.fromkeys(one for one in sentences if isinstance(one, str)))
    vectors: dict[str, Vector | QueryError] = {}
    if texts:
        store.check_encoder(encoder.spec)
        vectors = dict(zip(texts, _embed(encoder, texts), strict=True))
    known = [text for text in texts if not isinstance(vectors[text], QueryError)]
    _tell_unknown_words(encoder, known)

    def question(sentence: str | QueryError) -> Question | QueryError:
        if isinstance(sentence, QueryError):
            return sentence
        vector = vectors[sentence]
        if isinstance(vector, QueryError):
            return vector
        return single(Part(kind="text", label=sentence, vector=vector))

    return list(map(question, sentences))


def _embed(encoder: Encoder, texts: Sequence[str]) -> list[Vector | QueryError]:
    """Embed sentences together; those that cannot be asked are found by halving."""
    try:
        return list(encoder.encode_texts(texts))  # (n, dim)
    except QueryError as error:
        if len(texts) == 1:
            return [error]
    middle = len(texts) // 2
    return [*_embed(encoder, texts[:middle]), *_embed(encoder, texts[middle:])]


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
