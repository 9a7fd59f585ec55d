"""A question as files of hits keep it, so that it can be asked again; read back with suspicion."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, get_args

from georclip.errors import QueryError
from georclip.search.pictures import split_part
from georclip.search.place import clean_area
from georclip.search.query import CONTROL, check_terms, parse_datetime_interval
from georclip.values import DateRange, Grouping, Query, Term, TermKind

_MOST_SIGNS = 10_000
"""Of a term, a glob or an interval."""
_MOST_AREA_SIGNS = 20_000_000
_MOST_HITS = 10_000


def question_member(query: Query) -> dict[str, Any]:
    """What JSON keeps of a question: what was asked, where, when, and how hits are counted.

    Picture files are named by their absolute paths.
    """
    member: dict[str, Any] = {
        "terms": [
            {"kind": term.kind, "value": _kept(term), "weight": term.weight} for term in query.terms
        ],
        "k": query.k,
        "grouping": query.grouping,
    }
    if query.aoi is not None:
        import shapely

        member["aoi"] = json.loads(shapely.to_geojson(query.aoi))
    if query.dates is not None:
        member["dates"] = _interval(query.dates)
    if query.scenes is not None:
        member["scenes"] = query.scenes
    if query.min_confidence is not None:
        member["min_confidence"] = query.min_confidence
    return member


def read_question(member: object) -> Query:
    """The question that a file keeps.

    Args:
        member: As `question_member` makes it, or its JSON; from anybody.

    Raises:
        QueryError: It is none, or one that cannot be asked; the message says why.
    """
    found = _parsed(member)
    if not isinstance(found, Mapping) or not isinstance(found.get("terms"), list):
        raise QueryError("it is no question")
    terms = tuple(map(_term, found["terms"]))
    check_terms(terms)
    k, grouping, confidence = (found.get(key) for key in ("k", "grouping", "min_confidence"))
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= _MOST_HITS:
        raise QueryError(f"k is {_shown(k)}")
    groupings: dict[object, Grouping] = {name: name for name in get_args(Grouping)}
    if not isinstance(grouping, str) or grouping not in groupings:
        raise QueryError(f"grouping is {_shown(grouping)}")
    if confidence is not None and not 0 <= _number(confidence, "min_confidence") <= 1:
        raise QueryError(f"min_confidence is {_shown(confidence)}")
    dates, scenes, area = (found.get(key) for key in ("dates", "scenes", "aoi"))
    return Query(
        terms=terms,
        k=k,
        grouping=groupings[grouping],
        aoi=None if area is None else _area(area),
        dates=None if dates is None else parse_datetime_interval(read_text(dates, "dates")),
        scenes=None if scenes is None else read_text(scenes, "scenes"),
        min_confidence=None if confidence is None else float(confidence),
    )


def _kept(term: Term) -> str:
    if term.kind != "image":
        return term.value
    path, window = split_part(term.value)
    part = f"#{window.col_off},{window.row_off},{window.width},{window.height}" if window else ""
    return os.path.abspath(path) + part


def _interval(dates: DateRange) -> str:
    ends = (dates.start, dates.end)
    return "/".join(".." if end is None else end.isoformat() for end in ends)


def _parsed(member: object) -> object:
    """JSON, where tables of metadata keep it as text."""
    if not isinstance(member, str):
        return member
    try:
        return json.loads(member)
    except (ValueError, RecursionError):
        raise QueryError("it is no JSON") from None


def _term(found: object) -> Term:
    if not isinstance(found, Mapping) or found.get("kind") not in get_args(TermKind):
        raise QueryError(f"a term is {_shown(found)}")
    return Term(
        kind=found["kind"],
        value=read_text(found.get("value"), "a term"),
        weight=_number(found.get("weight"), "a weight"),
    )


def read_text(value: object, name: str) -> str:
    """A text of a file from anybody, if it can be a sentence, a glob or a path.

    Raises:
        QueryError: It is too long or no text, or holds control characters or lone surrogates.
    """
    if not isinstance(value, str) or len(value) > _MOST_SIGNS or CONTROL.search(value):
        raise QueryError(f"{name} is {_shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise QueryError(f"{name} is {_shown(value)}, which is no Unicode text") from None
    return value


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise QueryError(f"{name} is {_shown(value)}")
    try:
        number = float(value)
    except OverflowError:  # JSON's integers have no end
        number = math.inf
    if not math.isfinite(number):
        raise QueryError(f"{name} is {_shown(value)}")
    return number


def _area(found: object) -> Any:  # noqa: ANN401  shapely's geometries vary
    import shapely

    text = json.dumps(found)
    if len(text) > _MOST_AREA_SIGNS:
        raise QueryError("the area has too many points")
    try:
        geometry = shapely.from_geojson(text)
    except shapely.errors.GEOSException as error:
        raise QueryError(f"the area is no GeoJSON geometry: {error}") from None
    return clean_area(geometry, source="the area")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]} ..."
