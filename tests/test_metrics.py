import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from georclip.evaluation.metrics import (
    NOT_FOUND,
    class_precision,
    first_hits,
    precision_per_query,
    ranking,
    recall_at,
)
from georclip.evaluation.protocols import mean_recall


def test_equal_scores_rank_by_lowest_index():
    order = ranking(np.array([[0.5, 0.9, 0.5, 0.9]]))
    assert order.tolist() == [[1, 3, 0, 2]]


def test_precision_looks_at_no_more_answers_than_there_are():
    scores = np.array([[0.9, 0.8, 0.7, 0.6]])
    relevant = np.array([[True, False, True, False]])
    assert precision_per_query(scores, relevant, 10).tolist() == [0.5]  # 1 of the first 2
    assert precision_per_query(scores, relevant, 1).tolist() == [1.0]


def test_precision_of_a_query_without_answers_is_refused():
    with pytest.raises(ValueError, match="no precision"):
        precision_per_query(np.zeros((1, 3)), np.zeros((1, 3), dtype=bool), 10)


@pytest.mark.parametrize("function", [precision_per_query, recall_at])
def test_k_below_one_is_refused(function):
    with pytest.raises(ValueError, match="at least 1"):
        function(np.zeros((1, 3)), np.ones((1, 3), dtype=bool), 0)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="relevant is"):
        precision_per_query(np.zeros((1, 3)), np.ones((1, 4), dtype=bool), 1)


def test_class_precision_by_hand():
    images = np.eye(4, dtype=np.float32)
    classes = np.array([[0.9, 0.8, 0.1, 0.0], [0.5, 0.0, 0.4, 0.3]], dtype=np.float32)
    found = class_precision(images, classes, ["a", "a", "b", "b"], ["a", "b"])
    assert found == {"a": 1.0, "b": 0.5}


def test_recall_both_ways_by_hand():
    images = np.eye(3, dtype=np.float32)
    texts = images[[0, 1, 2]]
    assert mean_recall(images, texts, np.arange(3)) == 100.0
    shifted = images[[1, 2, 0]]
    # R@1 is 0 both ways; R@5 and R@10 hold all three candidates
    assert mean_recall(images, shifted, np.arange(3)) == pytest.approx(400 / 6)


def test_what_is_never_found_is_not_found_at_any_k():
    scores = np.array([[0.1, 0.2], [np.nan, 0.2]])
    relevant = np.array([[False, False], [True, False]])
    assert first_hits(scores, relevant).tolist() == [NOT_FOUND, NOT_FOUND]
    assert recall_at(scores, relevant, 3) == 0.0
    assert first_hits(np.zeros((1, 0)), np.zeros((1, 0), dtype=bool)).tolist() == [NOT_FOUND]


def test_ties_do_not_flatter():
    # a constant encoder puts index 0 first for everybody
    vectors = np.ones((20, 2), dtype=np.float32)
    scores = vectors @ vectors.T
    assert recall_at(scores, np.eye(20, dtype=bool), 1) == 5.0


@settings(max_examples=50)
@given(
    scores=hnp.arrays(np.float32, (4, 6), elements=st.floats(-1, 1, width=16)),
    wanted=st.lists(st.integers(0, 5), min_size=4, max_size=4),
    k=st.integers(1, 8),
)
def test_recall_counts_ranks(scores, wanted, k):
    relevant = np.zeros((4, 6), dtype=bool)
    relevant[np.arange(4), wanted] = True
    better = [
        sum(
            1
            for other in range(6)
            if row[other] > row[right] or (row[other] == row[right] and other < right)
        )
        for row, right in zip(scores, wanted, strict=True)
    ]
    assert recall_at(scores, relevant, k) == pytest.approx(
        100 * np.mean([rank < k for rank in better])
    )
