"""Text from files and indexes of others, as a terminal may show it."""

from __future__ import annotations


def printable(value: object) -> str:
    """A text as one line that cannot steer a terminal: what is not printable is "?"."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(value))
