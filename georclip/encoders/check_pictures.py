"""Pictures that exported towers are compared on: seeded, the same on every machine."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Value = TypeVar("Value", bound=np.generic)
_EACH = 6
_SEED = 20240229


def check_pictures(side_px: int) -> npt.NDArray[np.uint8]:
    """Noise, coarse squares, and pictures with the spectrum of natural ones, a third of each.

    Args:
        side_px: Of the squares.

    Returns:
        uint8 RGB, (18, 3, side_px, side_px).
    """
    rng = np.random.default_rng(_SEED)
    shape = (_EACH, 3, side_px, side_px)
    noise = rng.integers(0, 256, shape, dtype=np.uint8)
    coarse = _enlarged(rng.integers(0, 256, (_EACH, 3, 8, 8), dtype=np.uint8), side_px)
    return np.concatenate([noise, coarse, _natural(rng, side_px)])


def _natural(rng: np.random.Generator, side_px: int) -> npt.NDArray[np.uint8]:
    """Octaves of noise, as strong as they are coarse, with edges: fields, roofs, shadows."""
    picture = np.zeros((_EACH, 3, side_px, side_px))
    cells = 2
    while cells <= side_px:
        shade = rng.normal(size=(_EACH, 1, cells, cells))  # brightness varies more than colour
        colour = rng.normal(size=(_EACH, 3, cells, cells))
        picture += _enlarged(shade + 0.3 * colour, side_px) / cells**0.5
        cells *= 2
    low, high = np.percentile(picture, (1, 99), axis=(1, 2, 3), keepdims=True)
    scaled = 30 + 200 * (picture - low) / (high - low)
    pixels: npt.NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return pixels


def _enlarged(cells: npt.NDArray[Value], side_px: int) -> npt.NDArray[Value]:
    """Repeat (..., n, n) into (..., side_px, side_px)."""
    places = np.arange(side_px) * cells.shape[-1] // side_px
    return cells[..., places, :][..., places]
