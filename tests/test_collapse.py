"""What the comparison of losses computes, and that it shows a collapse."""

import csv
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from georclip.captions.reading import read_captions
from georclip.training.losses import contrastive_loss
from tests.benchmarks.collapse import LOSSES, collapsing_loss, compare, write_csv
from tests.benchmarks.collapse_plot import draw
from tests.benchmarks.collapse_probe import mean_cosine_across, mean_cosine_between, softmax
from tests.helpers_training import TINY, draw_captioned, tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")


def unit(rows, seed):
    vectors = np.random.default_rng(seed).normal(size=(rows, 5))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@given(rows=st.integers(2, 20), seed=st.integers(0, 99))
def test_mean_cosines_leave_own_pairs_out(rows, seed):
    one, other = unit(rows, seed), unit(rows, seed + 100)
    apart = ~np.eye(rows, dtype=bool)
    assert mean_cosine_between(one) == pytest.approx((one @ one.T)[apart].mean(), abs=1e-5)
    assert mean_cosine_across(one, other) == pytest.approx((one @ other.T)[apart].mean(), abs=1e-5)


def test_one_point_for_everything_is_perfect_for_the_collapsing_loss_alone():
    point = torch.tensor([[1.0, 0.0]]).repeat(6, 1)
    assert collapsing_loss(point, point, torch.arange(6)).item() == pytest.approx(0.0)
    positives = torch.eye(6, dtype=torch.bool)
    assert contrastive_loss(point, point, torch.tensor(10.0), positives).item() == pytest.approx(
        math.log(6)
    )


def test_one_point_scores_all_captions_alike():
    assert softmax(np.full((2, 3), 0.98)) == pytest.approx(1 / 3)


def test_without_negatives_everything_becomes_one_point(tmp_path):
    file, pictures = draw_captioned(tmp_path, held_out=1)
    images = read_captions([file], [pictures])
    sides = compare(lambda: tiny_model(images), images, TINY, steps=30, every=15)
    assert list(sides) == list(LOSSES)
    collapsed, apart = sides.values()
    assert [point.step for point in collapsed.points] == [0, 15, 30]
    one, other = collapsed.points[0], apart.points[0]
    assert (one.matched, one.between_images) == (other.matched, other.between_images)
    assert collapsed.points[-1].value < 0.1  # as good as perfect, as this loss has it
    assert collapsed.points[-1].between_captions > 0.9
    assert apart.points[-1].between_captions < 0.5
    assert apart.figures.mean_recall > collapsed.figures.mean_recall
    assert collapsed.shares == pytest.approx((1 / 3,) * 3, abs=0.02)
    assert apart.shares[0] > 0.4
    write_csv(sides, tmp_path / "collapse.csv")
    assert len(list(csv.DictReader((tmp_path / "collapse.csv").open()))) == 6
    points = [*collapsed.points, *apart.points]
    draw(points, dict.fromkeys(LOSSES, 1.0), tmp_path / "collapse.png")
    assert (tmp_path / "collapse.png").read_bytes()[:4] == b"\x89PNG"
