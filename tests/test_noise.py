"""Chips of noise alone are told from ground by their pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from georclip.scenes.chips import resolve_plan
from georclip.scenes.quality import is_noise, prove_correlated
from georclip.scenes.reader import ChipReader
from georclip.scenes.scene import open_scene
from georclip.values import ChipPlan
from tests.conftest import textured
from tests.helpers_reading import plainly_noise


def drawn_noise(kind: str, side: int, rng: np.random.Generator) -> np.ndarray:
    """One sensor's noise, 0 to 255, (3, side, side)."""
    shape = (3, side, side)
    if kind == "grey":
        noise = np.broadcast_to(rng.normal(120, 40, shape[1:]), shape)
    elif kind == "colour":
        noise = rng.normal(120, 40, shape)
    elif kind == "speckle":
        noise = np.broadcast_to(90 * rng.gamma(2, 0.5, shape[1:]), shape)
    elif kind == "black":
        noise = np.abs(rng.normal(0, 5, shape))
    elif kind == "white":
        noise = rng.normal(247, 2, shape)
    else:
        noise = np.array([30.0, 70.0, 110.0])[:, None, None] + rng.normal(0, 1.5, shape)
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


KINDS = ("grey", "colour", "speckle", "black", "white", "one colour")


@pytest.mark.parametrize("kind", KINDS)
@given(side=st.integers(64, 200), seed=st.integers(0, 100_000))
@settings(max_examples=25)
def test_noise_is_noise_whatever_it_lies_over(kind, side, seed) -> None:
    pixels = drawn_noise(kind, side, np.random.default_rng(seed))
    assert is_noise(pixels, None)
    assert plainly_noise(pixels, np.ones((side, side), dtype=bool))


@pytest.mark.parametrize("kind", KINDS)
def test_noise_around_what_is_not_there_is_noise(kind) -> None:
    rng = np.random.default_rng(1)
    pixels = drawn_noise(kind, 160, rng)
    valid = np.ones((160, 160), dtype=bool)
    valid[:, :50] = False
    pixels[:, :, :50] = 0
    assert is_noise(pixels, valid)
    valid[30:] = False
    assert not is_noise(pixels, valid)  # too little of it to be sure


@given(
    side=st.integers(70, 160),
    size=st.integers(8, 20),
    contrast=st.floats(40, 120),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40)
def test_a_thing_on_noisy_water_is_not_noise(side, size, contrast, seed) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.normal(60, 2.0, (3, side, side))
    row, col = rng.integers(0, side - size, 2)
    pixels[:, row : row + size, col : col + size] += contrast
    assert not is_noise(np.rint(pixels).astype(np.uint8), None)


def test_ground_is_not_noise() -> None:
    rows, cols = np.mgrid[0:160, 0:160]
    rng = np.random.default_rng(0)
    furrows = 110 + 30 * np.cos(2 * np.pi * rows / 3) + rng.normal(0, 6, (160, 160))
    swell = 80 + 2 * np.sin(cols / 9 + rows / 14) + rng.normal(0, 1.5, (160, 160))
    crowns = rng.normal(70, 25, (160, 160))
    crowns = (crowns + np.roll(crowns, 1, 0) + np.roll(crowns, 1, 1)) / 3
    for ground in (furrows, swell, crowns):
        pixels = np.broadcast_to(np.rint(ground), (3, 160, 160)).astype(np.uint8)
        assert not is_noise(pixels, None)
    assert not is_noise(textured(3, 160, 160), None)
    assert not is_noise(np.full((3, 160, 160), 9, dtype=np.uint8), None)  # blank, rather


def test_one_band_of_ground_is_enough() -> None:
    pixels = drawn_noise("colour", 128, np.random.default_rng(3))
    for band in range(3):
        one = pixels.copy()
        one[band] = textured(1, 128, 128)[0]
        assert not is_noise(one, None)


def test_proofs_are_by_chip() -> None:
    rng = np.random.default_rng(2)
    band = textured(1, 96, 400)[0]
    band[:, 200:] = rng.normal(90, 20, (96, 200)).clip(0, 255)
    columns = np.array([0, 60, 220, 300])
    assert prove_correlated(band, columns, 96).tolist() == [True, True, False, False]
    assert prove_correlated(band, columns, 8).all()  # never taken for noise


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("validity", ["none", "mask"])
def test_noise_is_left_out_of_scenes_and_counted(make_raster, dtype, validity) -> None:
    values = textured(3, 256, 384, "uint8").astype(float)
    values[:, :, 192:] = np.random.default_rng(4).normal(120, 25, (3, 256, 192)).clip(3, 250)
    values = (values * (1 if dtype == "uint8" else 12)).astype(dtype)
    valid = np.ones((256, 384), dtype=bool)
    valid[100:103, ::90] = False
    path = make_raster(values=values, valid=valid, validity=validity)
    scene = open_scene(str(path))
    plan = ChipPlan(size=96.0, unit="px", overlap=0.0)
    resolved = resolve_plan(scene, plan, None, 96)
    reader = ChipReader(scene, resolved, memory_bytes=2**26, max_side_px=384)
    kept = [one.image.chip.window.col_off for one in reader]
    assert reader.skipped.noise == resolved.chip_count // 2
    assert reader.skipped.total == reader.skipped.noise
    assert max(kept) < 192
