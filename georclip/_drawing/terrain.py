"""The land before anybody built on it: sea, surf, beach, scrub and a river."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from georclip._drawing.canvas import noise

Field = npt.NDArray[np.float32]

_COAST = ((0, 715), (250, 690), (900, 680), (1180, 730), (1450, 650), (1800, 540), (2100, 500),
          (2400, 560))  # fmt: skip
_BEACH_FROM_M = 1010.0
"""The shore is harbour wall north of this, sand south of it."""


def coast_x_m(y_m: Field | float) -> Field:
    """Where the shore lies, metres from the left edge, before its wiggles."""
    ys, xs = zip(*_COAST, strict=True)
    return np.asarray(np.interp(y_m, ys, xs), np.float32)


def river_y_m(x_m: Field | float) -> Field:
    """Middle line of the river, metres from the top edge."""
    x = np.asarray(x_m, np.float32)
    bends = 55 * np.sin(x / 300 + 0.6) + 28 * np.sin(x / 131)
    return np.asarray(1600 + bends - 0.045 * (x - 600), np.float32)


def paint_terrain(
    width_px: int, height_px: int, pixel_size_m: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Paint the empty land.

    Returns:
        uint8 RGB, (height, width, 3).
    """
    shape = (height_px, width_px)
    x = ((np.arange(width_px, dtype=np.float32) + 0.5) * pixel_size_m)[None, :]
    y = ((np.arange(height_px, dtype=np.float32) + 0.5) * pixel_size_m)[:, None]
    cells = [size_m / pixel_size_m for size_m in (150.0, 60.0, 22.0, 9.0)]
    inland = x - coast_x_m(y) + 14 * noise(shape, cells, rng)  # m from the shore, positive on land
    water = _sea(shape, inland, y, pixel_size_m, rng)
    land = _land(shape, inland, y, pixel_size_m, rng)
    picture = _mix(water, land, _step(inland, 0.0, 2.0))
    picture = _river(picture, x, y, inland, pixel_size_m, rng)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _sea(
    shape: tuple[int, int], inland: Field, y: Field, pixel_size_m: float, rng: np.random.Generator
) -> Field:
    deep, shallow = _colour(24, 50, 62), _colour(66, 104, 100)
    depth = np.clip(-inland / 260 + 0.12 * noise(shape, _cells(240, 80, pixel_size_m), rng), 0, 1)
    water = _mix(shallow, deep, np.sqrt(depth))
    waves = noise(shape, _cells(14, 5, pixel_size_m), rng, stretch=0.35)
    water *= (1 + 0.035 * waves)[..., None]
    sandy = _step(np.broadcast_to(y, shape), _BEACH_FROM_M, 80.0)
    lines = inland + 6 * noise(shape, _cells(160, 45, pixel_size_m), rng)
    froth = 0.5 + 0.35 * noise(shape, _cells(12, 4, pixel_size_m), rng, stretch=0.5)
    for offset, width, strength in ((-6, 9, 1.0), (-34, 9, 0.85), (-68, 7, 0.5)):
        crest = np.exp(-(((lines - offset) / width) ** 2)) * np.clip(froth * strength, 0, 1)
        water = _mix(water, _colour(232, 236, 234), np.clip(1.5 * crest, 0, 1) * sandy)
    return water


def _land(
    shape: tuple[int, int], inland: Field, y: Field, pixel_size_m: float, rng: np.random.Generator
) -> Field:
    patches = noise(shape, _cells(180, 60, pixel_size_m), rng)
    tufts = noise(shape, _cells(16, 6, pixel_size_m), rng)
    land = _mix(_colour(146, 134, 104), _colour(98, 104, 70), _step(patches, -0.2, 0.8))
    land = _mix(land, _colour(62, 74, 46), 0.7 * _step(tufts + 0.5 * patches, 1.0, 1.0))
    land *= (1 + 0.05 * tufts)[..., None]
    sandy = _step(np.broadcast_to(y, shape), _BEACH_FROM_M, 60.0)
    dune = 1 - _step(inland + 9 * tufts, 74.0, 10.0)
    land = _mix(land, _colour(206, 190, 156) * (1 + 0.02 * patches)[..., None], dune * sandy)
    return _mix(land, _colour(158, 142, 116), (1 - _step(inland, 13.0, 5.0)) * sandy)


def _river(
    picture: Field, x: Field, y: Field, inland: Field, pixel_size_m: float, rng: np.random.Generator
) -> Field:
    shape = picture.shape[:2]
    slope = np.gradient(river_y_m(x)[0], x[0])[None, :]
    away = np.abs(y - river_y_m(x)) / np.sqrt(1 + slope**2)
    away = away + 3.0 * noise(shape, _cells(50, 14, pixel_size_m), rng)
    half_width = 41 + 45 * np.exp(-np.clip(x - coast_x_m(y), 0, None) / 130)
    beyond = (away - half_width).astype(np.float32)
    on_land = _step(inland, -8.0, 12.0)
    bank = _mix(picture, _colour(70, 84, 52), 0.8 * (1 - _step(beyond, 16.0, 6.0)) * on_land)
    bank = _mix(bank, _colour(150, 138, 112), (1 - _step(beyond, 5.0, 2.5)) * on_land)
    ripples = noise(shape, _cells(30, 6, pixel_size_m), rng)
    water = _colour(62, 82, 72) * (1 + 0.05 * ripples)[..., None]
    return _mix(bank, water, (1 - _step(beyond, 0.0, 1.5)) * on_land)


def _cells(coarse_m: float, fine_m: float, pixel_size_m: float) -> list[float]:
    middle = (coarse_m * fine_m) ** 0.5
    return [coarse_m / pixel_size_m, middle / pixel_size_m, fine_m / pixel_size_m]


def _colour(red: int, green: int, blue: int) -> Field:
    return np.array([red, green, blue], np.float32)


def _step(values: Field, at: float, softness: float) -> Field:
    """0 below `at`, 1 above, smooth over `softness` on either side."""
    t = np.clip((values - at) / (2 * softness) + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _mix(under: Field, over: Field, share: Field) -> Field:
    weight = np.asarray(share, np.float32)[..., None]
    return np.asarray(under * (1 - weight) + over * weight, np.float32)
