"""What a person typed -> Query: terms with weights, dates, place."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, get_args

from georclip.errors import QueryError
from georclip.values import DateRange, Grouping, Query, Term

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_INSTANT = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[Tt ](?P<clock>\d{2}:\d{2}:)(?P<second>\d{2})"
    r"(?:\.(?P<fraction>\d+))?(?P<offset>[Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_EMPTY = 'the question is empty: say what to look for, such as "harbor with ships"'
_MOST_TERMS = 1_000
_LIKE_A_WEIGHT = re.compile(r"[^:\d\s]:\s*[-+]?\d+(\.\d+)?\s*$", re.ASCII)
_A_WEIGHT = re.compile(r"::\s*[-+]?\d+(\.\d+)?$", re.ASCII)
_WEIGHTS = 1e-6, 1e6
"""Least and largest size of a weight: sums of terms stay exact far within what floats hold."""
_FORMS = "write for example 2018-10-13, 2018-10-13T15:00:00Z or 2018-01-01/2018-12-31"


def build_query(
    text: str | None = None,
    *,
    more: Sequence[Term] = (),
    bbox: Sequence[float] | Sequence[str] | str | None = None,
    aoi: str | os.PathLike[str] | BaseGeometry | None = None,
    dates: str | None = None,
    scenes: str | None = None,
    k: int = 10,
    min_confidence: float | None = None,
    grouping: Grouping = "object",
) -> Query:
    """Check a question's parts and put them together.

    Args:
        text: The sentence, with a weight as its suffix if need be: "ships::0.5". None where
            one of `more` says what is wanted.
        more: Further terms, as `more_terms` makes them.
        bbox: West, south, east, north in degrees; west > east crosses the date line.
        aoi: A vector file, any CRS, or a geometry in EPSG:4326. With a bbox, both must hold.
        dates: RFC 3339 instants or dates: "A/B", "A/..", "../B" or "A".
        scenes: Glob over scene uris and names.
        k: Most hits.
        min_confidence: Hits below are left out, in [0, 1].
        grouping: What one hit stands for: "object", "place" or "none", as in `Query`.

    Raises:
        QueryError: A part makes no sense, is empty or out of range; the message says which.
    """
    terms = tuple(more) if text is None and more else (_only(text), *more)
    check_terms(terms)
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise QueryError(f"-k {k!r} is no number of hits: give a whole number, 1 or more")
    if min_confidence is not None and not 0.0 <= min_confidence <= 1.0:
        raise QueryError(f"a confidence of {min_confidence} does not exist: give 0 to 1")
    if grouping not in get_args(Grouping):
        names = ", ".join(map(repr, get_args(Grouping)))
        raise QueryError(f"hits cannot be grouped by {grouping!r}: use one of {names}")
    if scenes is not None and not scenes.strip():
        raise QueryError('the scene filter is empty: give a name or a glob such as "*_2018*.tif"')
    area = None
    if bbox is not None or aoi is not None:
        from georclip.search.place import find_area  # loads shapely

        area = find_area(bbox=bbox, aoi=aoi)
    return Query(
        terms=terms,
        k=k,
        aoi=area,
        dates=parse_datetime_interval(dates) if dates is not None else None,
        scenes=scenes,
        min_confidence=min_confidence,
        grouping=grouping,
    )


def with_text(query: Query, text: str) -> Query:
    """Ask something else with the same filters, which are not read again.

    Raises:
        QueryError: The text cannot be asked.
    """
    terms = (_only(text),)
    check_terms(terms)
    return replace(query, terms=terms)


def check_terms(terms: Sequence[Term]) -> None:
    """See that terms make a question.

    Raises:
        QueryError: There is none, or too many, one is empty, has no weight or
            one out of range, or none is wanted.
    """
    if not terms or any(not term.value.strip() for term in terms):
        raise QueryError(_EMPTY)
    if len(terms) > _MOST_TERMS:
        raise QueryError(f"{len(terms)} terms are more than {_MOST_TERMS}: ask with fewer")
    for term in terms:
        if not math.isfinite(term.weight) or term.weight == 0:
            raise QueryError(f"a weight of {term.weight:g} for {term.value!r} means nothing")
        if not _WEIGHTS[0] <= abs(term.weight) <= _WEIGHTS[1]:
            raise QueryError(
                f"a weight of {term.weight:g} for {term.value!r} is out of range: give one between "
                f"{_WEIGHTS[0]:g} and {_WEIGHTS[1]:g}, or below zero between their negatives"
            )
    if all(term.weight < 0 for term in terms):
        raise QueryError(
            f"{terms[0].value!r} only says what is not wanted: add a term that is wanted"
        )


def _only(text: str | None) -> Term:
    """The sentence, where it alone says what is looked for."""
    if text is not None and not isinstance(text, str):
        raise QueryError(f"a question is a sentence, not {type(text).__name__}: ask {str(text)!r}")
    if text is None or not text.strip():
        raise QueryError(_EMPTY)
    return parse_term(text)


def parse_term(text: str) -> Term:
    """Read a sentence and the weight that may follow it after "::".

    Raises:
        QueryError: No words, control characters, or a weight that is no number or zero.
    """
    sentence, separator, suffix = text.rpartition("::")
    if not separator:
        sentence, suffix = text, "1"
    sentence = " ".join(sentence.split())
    if _LIKE_A_WEIGHT.search(text) or _A_WEIGHT.search(sentence):
        raise QueryError(f'a weight follows once, after two colons, as in "ships::0.5": {text!r}')
    if not sentence:
        raise QueryError(f"the term {text!r} has no words: say what to look for")
    if CONTROL.search(sentence):
        raise QueryError(f"{text!r} holds a control character: is it UTF-8 text?")
    try:
        weight = float(suffix)
    except ValueError:
        raise QueryError(
            f'in {text!r} what follows "::" is no weight: write a number, as in "{sentence}::0.5"'
        ) from None
    if not math.isfinite(weight) or weight == 0:
        raise QueryError(f"a weight of {suffix.strip()} in {text!r} means nothing: give another")
    return Term(kind="text", value=sentence, weight=weight)


def parse_datetime_interval(text: str) -> DateRange:
    """Read a closed interval of time.

    Args:
        text: "A/B", "A/..", "../B" or "A", where A and B are RFC 3339 instants or dates; an
            empty end is as open as "..". A bare date is its whole UTC day. "../.." passes
            every scene that has a time.

    Raises:
        QueryError: Something else, a day that does not exist, or an end before its start.
    """
    parts = [part.strip() for part in text.split("/")]
    if len(parts) > 2 or (len(parts) == 1 and parts[0] in ("", "..")):
        raise QueryError(f"{text!r} is no time or interval: {_FORMS}")
    first, last = parts[0], parts[-1]
    start = None if first in ("", "..") else _parse_time(first)[0]
    end = None if last in ("", "..") else _parse_time(last)[1]
    if start is not None and end is not None and start > end:
        raise QueryError(f"the interval {text!r} ends before it starts: swap its two times")
    return DateRange(start=start, end=end)


def _parse_time(text: str) -> tuple[datetime, datetime]:
    """First and last instant, UTC, that an RFC 3339 instant or date covers."""
    try:
        if _DATE.fullmatch(text):
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return day, day.replace(hour=23, minute=59, second=59, microsecond=999_999)
        match = _INSTANT.fullmatch(text)
        if match is not None:
            instant = _instant(match)
            return instant, instant
    except (ValueError, OverflowError) as error:
        raise QueryError(f"the time {text!r} does not exist ({error}): {_FORMS}") from None
    if _INSTANT.fullmatch(f"{text}Z"):
        raise QueryError(f"the time {text!r} does not say its zone: add Z for UTC")
    raise QueryError(f"{text!r} is no time: {_FORMS}")


def _instant(match: re.Match[str]) -> datetime:
    leap = match["second"] == "60"  # RFC 3339 allows a leap second, datetime does not
    second = "59" if leap else match["second"]
    fraction = (match["fraction"] or "0")[:6].ljust(6, "0")
    offset = "+00:00" if match["offset"] in "Zz" else match["offset"]
    stamp = f"{match['day']}T{match['clock']}{second}.{fraction}{offset}"
    instant = datetime.fromisoformat(stamp).astimezone(UTC)
    return instant + timedelta(seconds=1) if leap else instant
