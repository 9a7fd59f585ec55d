from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.index.runs import RowRuns

NUMBERS = st.lists(st.integers(0, 400), unique=True).map(sorted)


def runs_of(numbers: list[int]) -> RowRuns:
    return RowRuns.of(np.array(numbers, dtype=np.int64))


def whole(runs: RowRuns) -> bool:
    """Whether runs are as they are promised to be."""
    pairs = list(runs)
    apart = all(end < first for (_, end), (first, _) in itertools.pairwise(pairs))
    return apart and all(first < end for first, end in pairs)


@given(NUMBERS)
def test_runs_hold_exactly_their_numbers(numbers: list[int]):
    runs = runs_of(numbers)
    assert whole(runs)
    assert runs.rows().tolist() == numbers
    assert len(runs) == len(numbers)
    assert [n for first, end in runs for n in range(first, end)] == numbers
    assert np.flatnonzero(runs.mask(401)).tolist() == numbers
    assert runs.shifted(7).rows().tolist() == [n + 7 for n in numbers]


@given(NUMBERS, st.integers(0, 410), st.integers(0, 410))
def test_a_part_counts_from_its_own_first(numbers: list[int], a: int, b: int):
    first, end = min(a, b), max(a, b)
    part = runs_of(numbers).between(first, end)
    assert whole(part)
    assert part.rows().tolist() == [n - first for n in numbers if first <= n < end]


@given(NUMBERS, NUMBERS)
def test_what_is_taken_out_is_gone(numbers: list[int], gone: list[int]):
    left = runs_of(numbers).without(np.array(gone, dtype=np.int64))
    assert whole(left)
    assert left.rows().tolist() == sorted(set(numbers) - set(gone))


@given(NUMBERS, st.randoms(use_true_random=False))
def test_what_is_kept_stays(numbers: list[int], draw):
    kept = np.array([draw.random() < 0.7 for _ in numbers], dtype=np.bool_)
    left = runs_of(numbers).where(kept)
    assert left.rows().tolist() == [n for n, keep in zip(numbers, kept, strict=True) if keep]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 30)), max_size=30))
def test_parts_are_joined_in_any_order(gaps: list[tuple[int, int]]):
    parts, at = [], 0
    for gap, length in gaps:
        parts.append(RowRuns.span(at + gap, at + gap + length))
        at += gap + length
    joined = RowRuns.joined(parts[::-1])
    assert whole(joined)
    assert joined.rows().tolist() == [n for part in parts for n in part.rows().tolist()]


@given(NUMBERS, st.integers(0, 100))
def test_a_cut_comes_behind_that_many(numbers: list[int], count: int):
    lower, upper = runs_of(numbers).cut(count)
    assert whole(lower)
    assert whole(upper)
    assert lower.rows().tolist() == numbers[:count]
    assert upper.rows().tolist() == numbers[count:]


@given(NUMBERS, st.integers(0, 9))
def test_a_bridge_spans_small_gaps_only(numbers: list[int], gap: int):
    bridged = runs_of(numbers).bridged(gap)
    expected = {
        n
        for a, b in itertools.pairwise([*numbers, *numbers[-1:]])
        for n in (range(a, b + 1) if b - a - 1 <= gap else (a, b))
    }
    assert whole(bridged)
    assert bridged.rows().tolist() == sorted(expected)


@pytest.mark.parametrize(("first", "end"), [(0, 0), (5, 5), (9, 4)])
def test_an_empty_span_holds_nothing(first: int, end: int):
    assert len(RowRuns.span(first, end)) == 0
    assert len(RowRuns.span(first, end).between(0, 10)) == 0
