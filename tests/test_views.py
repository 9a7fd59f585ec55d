from dataclasses import replace

import numpy as np
import pytest

from georclip.training.data.views import random_view
from georclip.training.settings import TrainSettings

PLAIN = TrainSettings(coarse_share=0.0, jpeg_share=0.0)


def test_views_are_turned_flipped_and_cropped_without_inventing_pixels():
    rng = np.random.default_rng(0)
    pixels = rng.integers(50, 200, (40, 60, 3), dtype=np.uint8)
    views = [random_view(pixels, 24, rng, PLAIN) for _ in range(30)]
    assert all(view.shape == (3, 24, 24) and view.dtype == np.uint8 for view in views)
    assert min(view.min() for view in views) >= 50
    assert max(view.max() for view in views) < 200
    corner = np.zeros((64, 64, 3), dtype=np.uint8)
    corner[:32, :32] = 255
    small = [random_view(corner, 32, rng, replace(PLAIN, smallest_crop=0.02)) for _ in range(60)]
    assert any(view.min() == 255 for view in small)  # inside the white quarter


def test_all_eight_orientations_occur():
    corner = np.zeros((32, 32, 3), dtype=np.uint8)
    corner[:16, :16] = 255
    corner[:16, 16:] = 120
    rng = np.random.default_rng(1)
    seen = {
        tuple((random_view(corner, 32, rng, PLAIN)[0, ::31, ::31] // 60).ravel().tolist())
        for _ in range(300)
    }
    whole = np.array([[4, 2], [0, 0]])
    turned = [np.rot90(whole, k) for k in range(4)]
    wanted = {tuple(one.ravel().tolist()) for t in turned for one in (t, t[:, ::-1])}
    assert wanted <= seen


def test_coarser_views_lose_detail_but_not_brightness():
    fine = np.indices((64, 64)).sum(axis=0) % 2 * 200  # a chessboard of single pixels
    pixels = np.repeat(fine[:, :, None], 3, axis=2).astype(np.uint8)
    whole = replace(PLAIN, smallest_crop=1.0)
    rng = np.random.default_rng(0)
    sharp = [random_view(pixels, 64, rng, whole) for _ in range(20)]
    soft = [random_view(pixels, 64, rng, replace(whole, coarse_share=1.0)) for _ in range(20)]
    assert np.median([view.std() for view in soft]) < 0.6 * np.median([v.std() for v in sharp])
    assert np.mean([view.mean() for view in soft]) == pytest.approx(100, abs=5)


def test_jpeg_changes_pixels_a_little():
    pixels = np.linspace(0, 255, 48 * 48 * 3).reshape(48, 48, 3).astype(np.uint8)
    for seed in range(8):
        settings = (PLAIN, replace(PLAIN, jpeg_share=1.0))
        plain, through = (
            random_view(pixels, 48, np.random.default_rng(seed), one).astype(int)
            for one in settings
        )
        assert 0 < np.abs(plain - through).mean() < 30
