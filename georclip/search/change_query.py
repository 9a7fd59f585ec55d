"""What a person typed about two times -> ChangeQuery, and why nothing was found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from georclip.errors import QueryError
from georclip.search.change_values import ChangeQuery, ChangeResult, Direction
from georclip.search.nothing import known_times, why_nothing, within
from georclip.search.query import build_query, parse_datetime_interval

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from georclip.index.store import IndexStore

_VERBS: dict[Direction, str] = {"rose": "rose", "fell": "fell", "both": "changed"}


def build_change_query(
    text: str | None,
    *,
    from_: str,
    to: str,
    direction: Direction = "both",
    bbox: Sequence[float] | str | None = None,
    aoi: str | os.PathLike[str] | BaseGeometry | None = None,
    scenes: str | None = None,
    k: int = 10,
) -> ChangeQuery:
    """Check a question's parts and put them together.

    Args:
        text: The sentence.
        from_: Acquisition times to compare from: "A/B", closed; a bare date is the whole UTC
            day; ".." is open.
        to: Acquisition times to compare to.
        direction: "rose", "fell" or "both".
        bbox: As in `build_query`, as are `aoi`, `scenes` and `k`.
        aoi: A vector file, or a geometry.
        scenes: A glob.
        k: Most places.

    Raises:
        QueryError: A part makes no sense, is empty or out of range; the message says which.
    """
    if direction not in get_args(Direction):
        known = ", ".join(get_args(Direction))
        raise QueryError(f"there is no direction {direction!r}: give one of {known}")
    return ChangeQuery(
        query=build_query(text, bbox=bbox, aoi=aoi, scenes=scenes, k=k),
        from_=parse_datetime_interval(from_),
        to=parse_datetime_interval(to),
        direction=direction,
    )


def why_no_changes(store: IndexStore, result: ChangeResult) -> str:
    """Say why an answer holds no place, for people; "" where it holds some.

    Args:
        store: The index that was asked.
        result: Its answer.
    """
    if result.changes:
        return ""
    asked = result.asked
    if result.places:
        return (
            f"The score {_VERBS[asked.direction]} at none of the {result.places:,} places that "
            "both times show."
        )
    for dates in (asked.from_, asked.to):
        query = replace(asked.query, dates=dates)
        if not len(store.select(aoi=query.aoi, dates=dates, scenes=query.scenes)):
            return why_nothing(store, query)
    return (
        f"No ground is shown both by what was taken {within(asked.from_)} and by what was taken "
        f"{within(asked.to)}, in chips of like size; {known_times(store.info())}. "
        "`georclip info --footprints` draws what each scene covers."
    )
