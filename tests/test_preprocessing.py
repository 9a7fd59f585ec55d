from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from georclip.encoders.preprocessing import (
    CLIP_MEAN,
    CLIP_STD,
    check_pixels,
    preprocess,
    resize,
    unit_rows,
)
from georclip.errors import EncoderError
from tests.helpers_encoders import pictures


def test_resize_is_pillow_bicubic():
    pixels = pictures(2, 100, 70)
    wanted = Image.fromarray(pixels[1].transpose(1, 2, 0)).resize((32, 32), Image.BICUBIC)
    np.testing.assert_array_equal(resize(pixels, 32)[1], np.asarray(wanted).transpose(2, 0, 1))


def test_a_picture_is_squashed_and_not_cropped():
    pixels = np.zeros((1, 3, 40, 80), dtype=np.uint8)
    pixels[..., :10] = 200  # the first eighth of the columns
    square = resize(pixels, 32)[0, 0]
    assert square[:, :3].min() > 150
    assert square[:, 6:].max() < 20


def test_fine_stripes_average_out():
    pixels = np.zeros((1, 3, 256, 256), dtype=np.uint8)
    pixels[..., ::2] = 255
    assert np.abs(resize(pixels, 32).astype(int) - 127).max() <= 8


def test_right_size_is_left_alone():
    pixels = pictures(2, 32, 32)
    assert resize(pixels, 32) is pixels


def test_normalised_by_mean_and_std_per_channel():
    pixels = np.empty((1, 3, 8, 8), dtype=np.uint8)
    pixels[:] = np.array([10, 100, 250], dtype=np.uint8)[None, :, None, None]
    ready = preprocess(pixels, 8, CLIP_MEAN, CLIP_STD)
    wanted = (np.array([10, 100, 250]) / 255 - np.array(CLIP_MEAN)) / np.array(CLIP_STD)
    assert ready.dtype == np.float32
    assert ready.flags.c_contiguous
    np.testing.assert_allclose(ready[0, :, 3, 5], wanted, rtol=1e-5)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((1, 3, 8, 8), np.float32),
        np.zeros((1, 3, 0, 8), np.uint8),
    ],
)
def test_wrong_pixels_are_refused(pixels):
    with pytest.raises(EncoderError, match=r"uint8 RGB of shape"):
        check_pixels(pixels)


def test_unit_rows():
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0]])
    assert rows.dtype == np.float32
