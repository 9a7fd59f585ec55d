import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.evaluation.neighbours import TEMPERATURE, VOTERS, Gallery, measure_neighbours


def unit(rng, count, dim=6):
    vectors = rng.normal(size=(count, dim))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def slow_figures(vectors, labels, gallery, gallery_labels, *, itself):
    """Top-1 in percent and precision at 10, one picture at a time."""
    right, shares = 0, []
    for number, vector in enumerate(vectors):
        others = [n for n in range(len(gallery)) if not (itself and n == number)]
        nearest = sorted(others, key=lambda n: (-(vector @ gallery[n]), n))
        votes = dict.fromkeys(sorted({*labels, *gallery_labels}), 0.0)
        for n in nearest[:VOTERS]:
            votes[gallery_labels[n]] += np.exp(vector @ gallery[n] / TEMPERATURE)
        right += max(votes, key=votes.get) == labels[number]
        equal = sum(gallery_labels[n] == labels[number] for n in others)
        looked_at = min(10, equal)
        if looked_at:
            hits = sum(gallery_labels[n] == labels[number] for n in nearest[:looked_at])
            shares.append(hits / looked_at)
    return 100 * right / len(vectors), np.mean(shares) if shares else 0.0


@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_leave_one_out_equals_the_slow_way(count, classes, seed):
    rng = np.random.default_rng(seed)
    vectors, labels = unit(rng, count), [f"c{n}" for n in rng.integers(0, classes, count)]
    figures = measure_neighbours(vectors, labels, split="val")
    top_1, precision = slow_figures(vectors, labels, vectors, labels, itself=True)
    assert figures.top_1 == pytest.approx(top_1)
    assert figures.precision_at_10 == pytest.approx(precision)
    assert figures.lonely == sum(labels.count(label) == 1 for label in labels)
    assert (figures.gallery, figures.gallery_images) == ("val", count)
    assert figures.voters == min(VOTERS, count - 1)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_gallery_equals_the_slow_way(count, seed):
    rng = np.random.default_rng(seed)
    vectors, labels = unit(rng, 7), [f"c{n}" for n in rng.integers(0, 4, 7)]
    there, names = unit(rng, count), tuple(f"c{n}" for n in rng.integers(0, 3, count))
    gallery = Gallery(split="train", vectors=there, labels=names)
    figures = measure_neighbours(vectors, labels, split="val", gallery=gallery)
    top_1, precision = slow_figures(vectors, labels, there, names, itself=False)
    assert figures.top_1 == pytest.approx(top_1)
    assert figures.precision_at_10 == pytest.approx(precision)
    assert (figures.gallery, figures.gallery_images, figures.images) == ("train", count, 7)


def test_a_picture_is_no_neighbour_of_its_own():
    vectors = np.eye(3)
    figures = measure_neighbours(vectors, ["a", "b", "c"], split="val")
    assert figures.top_1 == 0.0
    assert figures.lonely == 3


def test_the_vote_is_weighted():
    # Two far pictures of "b" against one that is equal: nearness outweighs number.
    near, far = np.array([1.0, 0.0]), np.array([0.6, 0.8])
    gallery = Gallery(split="train", vectors=np.array([near, far, far]), labels=("a", "b", "b"))
    figures = measure_neighbours(near[None], ["a"], split="val", gallery=gallery)
    assert figures.top_1 == 100.0


def test_parts_give_what_the_whole_gives(monkeypatch):
    rng = np.random.default_rng(1)
    vectors, labels = unit(rng, 30), [f"c{n}" for n in rng.integers(0, 3, 30)]
    whole = measure_neighbours(vectors, labels, split="val")
    monkeypatch.setattr("georclip.evaluation.metrics._CELLS", 100)  # three pictures at a time
    assert measure_neighbours(vectors, labels, split="val") == whole
