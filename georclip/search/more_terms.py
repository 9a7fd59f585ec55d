"""Terms beside the sentence of a question: words, pictures, places and chips, wanted and not."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from georclip.errors import QueryError
from georclip.search.query import CONTROL, parse_term
from georclip.values import Term, TermKind

Name = str | os.PathLike[str]
Place = str | tuple[float, float]
_NOUNS = {"text": "sentence", "image": "picture file", "place": "place", "hit": "chip"}


def more_terms(
    *,
    also: Name | Sequence[str] = (),
    without: Name | Sequence[str] = (),
    images: Name | Sequence[Name] = (),
    like: Place | Sequence[Place] = (),
    like_hits: Name | Sequence[str] = (),
    unlike_hits: Name | Sequence[str] = (),
) -> tuple[Term, ...]:
    """Read terms as people give them: one or several of a kind.

    Any of them may end in a weight: "ships::0.5", "pier.png::2".

    Args:
        also: Further sentences that are wanted.
        without: Sentences that are not wanted.
        images: Picture files to look alike: FILE, or FILE#col_off,row_off,width,height.
        like: Places to look alike, by the chip there: "lon,lat" or (lon, lat).
        like_hits: chip_ids of hits to look alike.
        unlike_hits: chip_ids of hits not to look alike.

    Raises:
        QueryError: One is empty, or its weight makes no sense.
    """
    return (
        *map(parse_term, _several(also)),
        *(_unwanted(parse_term(one)) for one in _several(without)),
        *(_named("image", one) for one in _several(images)),
        *(_named("place", one) for one in _several_places(like)),
        *(_named("hit", one) for one in _several(like_hits)),
        *(_unwanted(_named("hit", one)) for one in _several(unlike_hits)),
    )


def _several(values: Name | Iterable[Name]) -> list[str]:
    if isinstance(values, str | os.PathLike):
        return [os.fspath(values)]
    return [os.fspath(value) for value in values]


def _several_places(values: Place | Sequence[Place]) -> list[str]:
    if isinstance(values, str):
        return [values]
    lon_lat = [value for value in values if isinstance(value, int | float)]
    if len(values) == 2 and len(lon_lat) == 2:
        return [f"{lon_lat[0]},{lon_lat[1]}"]
    return [_place(value) for value in values]


def _place(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and len(value) == 2:
        return f"{value[0]},{value[1]}"
    raise QueryError(f"{value!r} is no place: give (lon, lat) in degrees")


def _unwanted(term: Term) -> Term:
    if term.weight < 0:
        raise QueryError(
            f"{term.value!r} is not wanted already: leave the sign of its weight "
            f"{term.weight:g} out"
        )
    return replace(term, weight=-term.weight)


def _named(kind: TermKind, text: str) -> Term:
    """A file, a place or a chip, and the weight that may follow it after "::"."""
    value, separator, suffix = text.rpartition("::")
    weight = _number(suffix)
    if not separator or weight is None:
        value, weight = text, 1.0
    if not value.strip() or CONTROL.search(value):
        raise QueryError(f"{text!r} names no {_NOUNS[kind]}")
    if not math.isfinite(weight) or weight == 0:
        raise QueryError(f"a weight of {suffix.strip()} in {text!r} means nothing: give another")
    return Term(kind=kind, value=value, weight=weight)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
