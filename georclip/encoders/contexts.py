"""Sentences longer than a text tower reads: what of them is left out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable


def beyond_context(text: str, count: Callable[[str], int], context_length: int) -> str:
    """The words at the end of a sentence that a text tower does not read, or reads in part.

    Args:
        text: The sentence.
        count: How many ids a text has before it is cut; no fewer for a longer one.
        context_length: Most ids that are read.

    Returns:
        The words, as typed; "" where all is read.
    """
    if count(text) <= context_length:
        return ""
    words = text.split()
    lengths = range(1, len(words) + 1)
    read = bisect_right(lengths, context_length, key=lambda most: count(" ".join(words[:most])))
    return " ".join(words[read:])
