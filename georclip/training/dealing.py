"""How a batch is cut into shares and parts."""

from __future__ import annotations


def deal(count: int, parts: int) -> tuple[slice, ...]:
    """Cut `count` things into parts as even as can be, as cards are dealt.

    Neighbours come into different parts: batches hold pictures of a class side by side, and each
    part's batch statistics should be those of the whole.
    """
    return tuple(slice(first, count, parts) for first in range(parts))
