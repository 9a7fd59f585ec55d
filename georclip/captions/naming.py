"""Many names in one line of an error."""

from __future__ import annotations

from collections.abc import Sequence

NAMED_AT_MOST = 20
"""More names than this are counted only."""


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:NAMED_AT_MOST])
    more = len(names) - NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown
