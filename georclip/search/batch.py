"""Many sentences with the same filters -> an answer each, or why there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from georclip.errors import QueryError
from georclip.search.engine import search_many
from georclip.search.query import build_query, with_text
from georclip.values import Grouping, Query, SearchResult

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.index.store import IndexStore
    from georclip.search.judging import Judges

_ANYTHING = "anything"


def search_sentences(
    store: IndexStore,
    encoder: Callable[[], Encoder],
    texts: Sequence[str],
    *,
    bbox: Sequence[float] | str | None = None,
    aoi: str | os.PathLike[str] | None = None,
    dates: str | None = None,
    scenes: str | None = None,
    k: int = 10,
    exact: bool = False,
    min_confidence: float | None = None,
    grouping: Grouping = "object",
    judges: Judges | None = None,
) -> tuple[SearchResult | QueryError, ...]:
    """Ask an index many sentences.

    Args:
        store: An open index.
        encoder: Gives what made the index's vectors; called once what can be checked without is.
        texts: The sentences, as `build_query` takes them.
        bbox: As in `build_query`, as are the filters, `k`, `min_confidence` and `grouping`.
        aoi: A vector file, or a geometry.
        dates: An interval.
        scenes: A glob.
        k: Most hits of each.
        exact: Compare every vector.
        min_confidence: Hits below are left out.
        grouping: What one hit stands for.
        judges: Of this index, kept from call to call; None makes one for this.

    Returns:
        One entry a sentence, in order.

    Raises:
        QueryError: The filters make no sense, or `texts` is one sentence.
    """
    if isinstance(texts, str):
        raise QueryError(f"many questions are a list of sentences, not one: [{texts!r}]")
    filters = build_query(
        _ANYTHING, bbox=bbox, aoi=aoi, dates=dates, scenes=scenes, k=k,
        min_confidence=min_confidence, grouping=grouping,
    )  # fmt: skip
    queries = [_query(filters, text) for text in texts]
    asked = [query for query in queries if isinstance(query, Query)]
    answers = iter(
        search_many(store, encoder(), asked, exact=exact, judges=judges) if asked else ()
    )
    return tuple(next(answers) if isinstance(one, Query) else one for one in queries)


def _query(filters: Query, text: str) -> Query | QueryError:
    try:
        return with_text(filters, text)
    except QueryError as error:
        return error
