"""What ranks a change: swapped times, shifted acquisitions, places that did not change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.search.change_ranking import compare, order_changes
from georclip.search.place_scores import PlaceScores
from georclip.search.scene_shifts import LEAST_PLACES, find_shifts, robust_sigma

FIRST_OF_TWO = np.array([False, True])


def places_of(scores: npt.NDArray[np.float64]) -> PlaceScores:
    """Places from (places, acquisitions); not-a-number where an acquisition does not show one."""
    place, acquisition = np.nonzero(~np.isnan(scores))
    return PlaceScores(
        rows=np.arange(len(scores)),
        place=place,
        acquisition=acquisition,
        score=scores[place, acquisition],
        best_row=place,
        best_iou=np.ones(len(place)),
    )


def drawn(seed: int, places: int, acquisitions: int = 2) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    content = rng.normal(0.2, 0.1, (places, 1))
    return content + rng.normal(0, 0.02, (places, acquisitions))


@given(st.integers(0, 999), st.integers(1, 60), st.sampled_from(["rose", "fell", "both"]))
def test_swapped_times_turn_every_sign_and_nothing_else(seed, count, direction):
    places = places_of(drawn(seed, count))
    there, back = compare(places, FIRST_OF_TWO), compare(places, ~FIRST_OF_TWO)
    np.testing.assert_allclose(there.change, -back.change, atol=1e-12)
    np.testing.assert_allclose(there.rank_change, -back.rank_change, atol=1e-12)
    np.testing.assert_array_equal(there.score_from, back.score_to)
    turned = {"rose": "fell", "fell": "rose", "both": "both"}[direction]
    assert set(order_changes(there, direction)) == set(order_changes(back, turned))


@given(st.integers(0, 999), st.floats(-0.5, 0.5), st.integers(LEAST_PLACES, 80))
def test_what_a_whole_acquisition_adds_is_no_change(seed, shift, count):
    scores = drawn(seed, count)
    shifted = scores + np.array([0.0, shift])
    before, after = (compare(places_of(one), FIRST_OF_TWO) for one in (scores, shifted))
    np.testing.assert_allclose(after.change, before.change, atol=1e-6)
    np.testing.assert_allclose(after.rank_change, before.rank_change, atol=1e-4)
    np.testing.assert_allclose(after.score_to, before.score_to + shift)


@given(st.integers(0, 999), st.integers(1, 50))
def test_equal_scores_are_no_change(seed, count):
    scores = np.repeat(drawn(seed, count, 1), 2, axis=1)
    assert len(order_changes(compare(places_of(scores), FIRST_OF_TWO), "both")) == 0


@given(st.integers(0, 999), st.integers(LEAST_PLACES, 80))
def test_the_sign_of_the_rank_is_that_of_the_change(seed, count):
    found = compare(places_of(drawn(seed, count)), FIRST_OF_TWO)
    clear = np.abs(found.change) > 1e-6
    assert (np.sign(found.rank_change[clear]) == np.sign(found.change[clear])).all()


def test_two_acquisitions_are_shifted_by_their_median_difference():
    scores = drawn(3, 41)
    flat = places_of(scores)
    shifts = find_shifts(flat.score, flat.place, flat.acquisition, 2)
    assert shifts[1] - shifts[0] == pytest.approx(np.median(scores[:, 1] - scores[:, 0]), abs=1e-7)


def test_changed_places_do_not_sway_the_shift():
    scores = drawn(5, 100) + np.array([0.0, 0.3])
    scores[:30, 1] += 0.5
    found = compare(places_of(scores), FIRST_OF_TWO)
    assert set(order_changes(found, "both")[:30]) == set(range(30))
    assert abs(np.median(found.change[30:])) < 0.02


def test_many_acquisitions_that_show_parts_of_the_ground_keep_their_own_shifts():
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 0.1, 6)
    scores = drawn(9, 300, 6) + truth
    scores[rng.random(scores.shape) < 0.4] = np.nan
    flat = places_of(scores)
    shifts = find_shifts(flat.score, flat.place, flat.acquisition, 6)
    np.testing.assert_allclose(shifts - shifts.mean(), truth - truth.mean(), atol=0.01)


def test_a_change_where_the_question_is_answered_ranks_before_one_where_it_never_is():
    scores = drawn(2, 200)
    scores[0] = [0.2, 0.62]  # becomes what is asked for
    scores[1] = [-0.35, 0.1]  # becomes less unlike it, by more
    found = compare(places_of(scores), FIRST_OF_TWO)
    assert found.change[1] > found.change[0]
    assert order_changes(found, "rose")[0] == 0


def test_few_places_are_compared_as_they_are():
    found = compare(places_of(np.array([[0.1, 0.3], [0.2, 0.3]])), FIRST_OF_TWO)
    np.testing.assert_allclose(found.change, [0.2, 0.1])
    assert found.change_z is None
    assert order_changes(found, "both").tolist() == [0, 1]


def test_places_of_one_time_only_are_not_compared():
    nan = np.nan
    scores = np.array([[0.1, nan, nan], [nan, 0.2, 0.5], [0.3, 0.4, 0.8]])
    found = compare(places_of(scores), np.array([False, True, True]))
    assert found.places.rows.tolist() == [2]
    np.testing.assert_allclose(found.score_to, [0.6])


@given(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=50))
def test_a_robust_deviation_is_zero_only_where_all_values_are_equal(values):
    sigma = robust_sigma(np.array(values))  # as fine as float32: halves of them are no zeros
    assert (sigma == 0) == (len(set(values)) == 1)


def test_a_robust_deviation_is_the_usual_one_of_normal_values():
    values = np.random.default_rng(0).normal(3, 2, 20_000)
    assert robust_sigma(values) == pytest.approx(2, rel=0.03)
