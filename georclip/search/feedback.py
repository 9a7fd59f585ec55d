"""Marks on hits, good and bad -> the question asked again (relevance feedback).

A mark is a term of its own: like this hit, or unlike that one. All good marks together weigh
`GOOD`, all bad ones `BAD`, however many there are, as in Rocchio's formula (1971): each round adds
marks, and what was asked in words keeps its share. `combining` says how they are compared; the two
weights were tuned as its own were (`tests/benchmarks/questions.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from georclip.errors import QueryError
from georclip.values import Query, Term

GOOD = 1.5
"""Weight of all good marks together, beside 1 for a sentence."""
BAD = 0.5
"""Weight of all bad marks together."""


def with_marks(query: Query, *, good: Sequence[str], bad: Sequence[str]) -> Query:
    """Ask a question again, with marks on hits of its answer.

    Args:
        query: As it was asked; marks in it stay, unless a hit is marked anew.
        good: chip_ids of hits that were wanted.
        bad: chip_ids of hits that were not.

    Raises:
        QueryError: No marks, or a hit that is both.
    """
    both = set(good) & set(bad)
    if both:
        raise QueryError(f"the hit {min(both)} is marked good and bad: say which")
    if not good and not bad:
        raise QueryError("no hit is marked: say which are good or bad, such as --good 1,4 --bad 2")
    before = {term.value: term.weight > 0 for term in query.terms if term.kind == "hit"}
    marks = before | dict.fromkeys(good, True) | dict.fromkeys(bad, False)
    count = {mark: sum(one is mark for one in marks.values()) for mark in (True, False)}
    others = tuple(term for term in query.terms if term.kind != "hit")
    terms = others + tuple(
        Term(
            kind="hit", value=chip_id, weight=GOOD / count[True] if wanted else -BAD / count[False]
        )
        for chip_id, wanted in marks.items()
    )
    if all(term.weight < 0 for term in terms):
        raise QueryError("only bad hits are marked, and nothing else was asked: mark a good one")
    return replace(query, terms=terms)
