"""Options that say what else a question wants, or does not want, beside TEXT."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypedDict

import click

_OPTIONS = (
    ("--and", "also", "TEXT", "This, too, is wanted."),
    ("--not", "without", "TEXT", "This is not wanted."),
    (
        "--image", "images", "FILE",
        "Like this picture, or this part of one: FILE#col_off,row_off,width,height.",
    ),
    ("--like", "like", "LON,LAT", "Like the chip of the index there."),
    ("--like-hit", "like_hits", "CHIP_ID", "Like this hit."),
    ("--unlike-hit", "unlike_hits", "CHIP_ID", "Not like this hit."),
)  # fmt: skip


class Terms(TypedDict):
    """Terms beside the sentence, as `Index.search` takes them."""

    also: tuple[str, ...]
    without: tuple[str, ...]
    images: tuple[str, ...]
    like: tuple[str, ...]
    like_hits: tuple[str, ...]
    unlike_hits: tuple[str, ...]


def term_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as one argument, `terms`."""

    @wraps(command)
    def with_terms(**given: Any) -> Any:  # noqa: ANN401
        terms = Terms(**{name: given.pop(name) for _, name, _, _ in _OPTIONS})  # type: ignore[typeddict-item]
        return command(terms=terms, **given)

    for flag, name, metavar, help_text in reversed(_OPTIONS):
        with_terms = click.option(
            flag, name, multiple=True, metavar=metavar, help=f"{help_text} Can be repeated."
        )(with_terms)
    return with_terms


def wanted(terms: Terms) -> bool:
    """Whether any of the terms says what is wanted."""
    return any(terms[name] for name in ("also", "images", "like", "like_hits"))


def any_of(terms: Terms) -> bool:
    """Whether there is any term."""
    return wanted(terms) or bool(terms["without"] or terms["unlike_hits"])
