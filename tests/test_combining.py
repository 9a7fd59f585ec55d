"""Terms on similarities that a sample of the index standardises, as one direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.errors import QueryError
from georclip.search.combining import PICTURE_WEIGHT, UNWANTED_WEIGHT, combine
from georclip.search.question import Part
from georclip.values import TermKind

DIM = 12


def unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def sample(seed: int, n: int = 200) -> np.ndarray:
    """Vectors about a mean, spread more along some axes than along others."""
    rng = np.random.default_rng(seed)
    return unit(rng.normal(size=(n, DIM)) * np.linspace(0.3, 2, DIM) + rng.normal(size=DIM))


def draw(seed: int, count: int, kinds: Sequence[TermKind] = ("text",)) -> list[Part]:
    rng = np.random.default_rng(seed)
    return [
        Part(
            kind=kinds[number % len(kinds)],
            label=str(number),
            vector=unit(rng.normal(size=DIM)),
            weight=float(rng.uniform(0.2, 2)),
        )
        for number in range(count)
    ]


def standardised(vector: np.ndarray, chips: np.ndarray, background: np.ndarray) -> np.ndarray:
    known = background.astype(np.float64) @ vector
    return (chips.astype(np.float64) @ vector - known.mean()) / known.std()


@given(st.integers(0, 10_000), st.booleans())
def test_one_term_is_its_vector(seed: int, known: bool) -> None:
    (part,) = draw(seed, 1)
    question = combine([part], sample(seed) if known else None)
    np.testing.assert_array_equal(question.direction, part.vector)


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_chips_rank_by_the_weighted_sum_of_standardised_similarities(seed: int, count: int) -> None:
    parts, background = draw(seed, count), sample(seed)
    question = combine(parts, background)
    assert question.direction.dtype == np.float32
    assert np.linalg.norm(question.direction) == pytest.approx(1, abs=1e-6)
    chips = sample(seed + 1, 300)
    wanted = sum(p.weight * standardised(p.vector, chips, background) for p in parts)
    found = chips @ question.direction
    assert np.corrcoef(wanted, found)[0, 1] > 1 - 1e-5


@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_only_the_ratio_of_weights_counts(seed: int, factor: float) -> None:
    parts, background = draw(seed, 3, ("text", "image", "hit")), sample(seed)
    scaled = [
        Part(kind=p.kind, label=p.label, vector=p.vector, weight=p.weight * factor) for p in parts
    ]
    np.testing.assert_allclose(
        combine(parts, background).direction, combine(scaled, background).direction, atol=1e-6
    )


@given(st.integers(0, 10_000), st.permutations(range(4)))
def test_the_order_of_terms_counts_for_nothing(seed: int, order: list[int]) -> None:
    parts, background = draw(seed, 4, ("text", "hit")), sample(seed)
    np.testing.assert_allclose(
        combine(parts, background).direction,
        combine([parts[number] for number in order], background).direction,
        atol=1e-6,
    )


@given(st.integers(0, 10_000), st.floats(0.05, 1))
def test_a_narrow_scale_of_similarities_is_no_disadvantage(seed: int, narrow: float) -> None:
    """What spreads little over the index weighs as much as what spreads widely."""
    rng = np.random.default_rng(seed)
    spread = np.ones(DIM)
    spread[1] = narrow
    background = np.r_[rng.normal(size=(400, DIM)) * spread]
    wide, thin = np.eye(DIM, dtype=np.float32)[:2]
    parts = [
        Part(kind="text", label="wide", vector=wide), Part(kind="text", label="thin", vector=thin)
    ]  # fmt: skip
    direction = combine(parts, background.astype(np.float32)).direction
    shares = direction[:2] * background.std(axis=0)[:2]
    assert shares[0] == pytest.approx(shares[1], rel=0.01)


@given(st.integers(0, 10_000))
def test_what_is_not_wanted_counts_less_than_what_is(seed: int) -> None:
    wanted, unwanted = draw(seed, 2)
    background = sample(seed)
    against = Part(kind="text", label="no", vector=unwanted.vector, weight=-1)
    direction = combine([wanted, against], background).direction.astype(np.float64)
    chips = sample(seed + 1)
    expected = wanted.weight * standardised(wanted.vector, chips, background)
    expected -= UNWANTED_WEIGHT * standardised(unwanted.vector, chips, background)
    assert np.corrcoef(expected, chips @ direction)[0, 1] > 1 - 1e-5


def test_a_picture_counts_more_than_a_text() -> None:
    background = sample(0)
    text, picture = (
        Part(kind=kind, label=kind, vector=part.vector)
        for kind, part in zip(("text", "image"), draw(3, 2), strict=True)
    )
    chips = sample(1)
    expected = standardised(text.vector, chips, background)
    expected += PICTURE_WEIGHT * standardised(picture.vector, chips, background)
    found = chips @ combine([text, picture], background).direction
    assert np.corrcoef(expected, found)[0, 1] > 1 - 1e-5


def test_several_pictures_are_known_by_what_other_chips_lack() -> None:
    """Marks share a wide axis with half of all chips, and a narrow one with the wanted alone."""
    rng = np.random.default_rng(0)
    chips = rng.normal(size=(2_000, DIM)) * np.array([3.0, 0.3, *[0.5] * (DIM - 2)])
    chips[:40, 1] += 1.5  # forty that are wanted
    chips = unit(chips)
    marks = [
        Part(kind="hit", label=str(number), vector=chips[number], weight=1 / 3)
        for number in np.argsort(-chips[:40, 0])[:3]
    ]

    def rightly(direction: np.ndarray) -> int:
        return int((np.argsort(-(chips @ direction))[:40] < 40).sum())

    plain = unit(np.sum([mark.vector for mark in marks], axis=0))
    assert rightly(combine(marks, chips[40:1_500]).direction) >= rightly(plain) + 10


@given(st.integers(0, 10_000), st.sampled_from([None, 0, 5]))
def test_without_a_sample_similarities_are_added_as_they_are(seed: int, known: int | None) -> None:
    parts = draw(seed, 3)
    background = None if known is None else sample(seed, 10)[:known]
    total = np.sum([part.weight * part.vector for part in parts], axis=0)
    np.testing.assert_allclose(combine(parts, background).direction, unit(total), atol=1e-5)


def test_an_index_of_equal_chips_breaks_nothing() -> None:
    background = np.repeat(sample(0, 1), 50, axis=0)
    for kinds in (("text",), ("hit",), ("text", "hit")):
        direction = combine(draw(1, 3, kinds), background).direction
        assert np.isfinite(direction).all()
        assert np.linalg.norm(direction) == pytest.approx(1, abs=1e-6)


def test_terms_that_cancel_are_refused() -> None:
    (part,) = draw(0, 1)
    against = Part(
        kind="text", label="the same", vector=part.vector, weight=-part.weight / UNWANTED_WEIGHT
    )
    with pytest.raises(QueryError, match="cancel"):
        combine([part, against], sample(0))
