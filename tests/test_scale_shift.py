"""Scores of several scales made comparable, on vectors whose scores are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.search.scale_shift import LEAST_CHIPS, QUANTILE, SHARE, ScaleShift

DIRECTION = np.array([1.0, 0.0], dtype=np.float32)


def with_scores(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Unit vectors whose cosines with `DIRECTION` are these, (n, 2)."""
    return np.stack([scores, np.sqrt(1 - scores**2)], axis=1).astype(np.float32)


def quantile(scores: npt.NDArray[np.floating]) -> float:
    return float(np.quantile(scores, QUANTILE, method="higher"))


def background(
    seed: int, counts: dict[float, int]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Vectors whose scores lie higher the larger the scale, and their scales, shuffled."""
    rng = np.random.default_rng(seed)
    scales = np.repeat(np.array(list(counts), dtype=np.float32), list(counts.values()))
    order = rng.permutation(len(scales))
    scores = np.clip(rng.normal(0.2 + 0.1 * np.log2(scales), 0.1), -0.99, 0.99)
    return with_scores(scores[order]), scales[order]


@given(st.integers(0, 1000), st.integers(20, 300), st.integers(20, 300))
def test_the_shift_brings_a_high_quantile_of_each_scale_nearer_to_the_others(
    seed: int, small: int, large: int
) -> None:
    vectors, scales = background(seed, {0.5: small, 2.0: large})
    shift = ScaleShift.of(vectors, scales)
    assert shift is not None
    scores = (vectors @ DIRECTION).astype(np.float64)
    moved = shift.apply(shift.offsets(DIRECTION), scores, scales.astype(np.float64))
    high = {scale: quantile(scores[scales == scale]) for scale in (0.5, 2.0)}
    of_all = (small * high[0.5] + large * high[2.0]) / (small + large)
    for scale in high:
        own = scales == scale
        wanted = high[scale] + SHARE * (of_all - high[scale])
        assert quantile(moved[own]) == pytest.approx(wanted, abs=1e-5)
        differences = moved[own] - scores[own]
        np.testing.assert_allclose(differences, differences[0], atol=1e-9)


def test_one_scale_is_left_alone() -> None:
    assert ScaleShift.of(*background(0, {1.0: 500})) is None
    assert ScaleShift.of(*background(0, {1.0: 500, 2.0: LEAST_CHIPS - 1})) is None
    none = np.empty((0, 2), dtype=np.float32), np.empty(0, dtype=np.float32)
    assert ScaleShift.of(*none) is None


def test_scales_that_the_background_hardly_knows_keep_their_scores() -> None:
    counts = {0.5: 200, 1.0: LEAST_CHIPS, 4.0: LEAST_CHIPS - 1}
    shift = ScaleShift.of(*background(1, counts))
    assert shift is not None
    scores = np.full(5, 0.4)
    moved = shift.apply(shift.offsets(DIRECTION), scores, np.array([0.5, 1.0, 4.0, 3.0, 0.1]))
    assert (moved[:2] != 0.4).all()
    assert moved[2:].tolist() == [0.4] * 3
    assert shift.apply(shift.offsets(DIRECTION), scores[:0], scores[:0]).shape == (0,)
