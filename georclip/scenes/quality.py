"""Chips that show nothing, and pixels that are not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Valid = npt.NDArray[np.bool_]

BLANK_SHARE = 0.995
"""A chip is blank when this share of its valid pixels has one colour, to within one step of
255 a channel. Calm water varies more than that."""
SATURATED_SHARE = 0.25
"""A chip is saturated when this share of its valid pixels is pure black or pure white: fill that
no nodata value declares, and that would pass for snow or a beach."""
CLIPPED_SHARE = 0.5
"""The same where a stretch made pixels black or white: those are ground, and more may pass."""
_DARKEST, _BRIGHTEST = 2, 253  # JPEG compression lets black and white waver by so much
_LOOK_PX = 96
_PROOF_STEP = 16


def is_blank(pixels: Pixels, valid: Valid | None) -> bool:
    """Say whether a chip is one colour all over.

    Args:
        pixels: uint8, (3, height, width).
        valid: bool, (height, width), with at least one True; None: all.
    """
    if _varies(pixels[1], valid):
        return False
    colours = _colours(_thinned(pixels), None if valid is None else _thinned(valid))
    if colours.shape[1] and (np.ptp(colours, axis=1) > 2).any():
        around = np.median(colours, axis=1)
        close = (np.abs(colours - around[:, None]) <= 1).all(axis=0).mean()
        if close < 0.9:  # far from one colour: the full look would say the same
            return False
    colours = _colours(pixels, valid)
    around = np.median(colours, axis=1).astype(np.int16)
    close = (np.abs(colours.astype(np.int16) - around[:, None]) <= 1).all(axis=0)
    return bool(close.mean() >= BLANK_SHARE)


def is_saturated(pixels: Pixels, valid: Valid | None, *, stretched: bool) -> bool:
    """Say whether a chip is to a large part pure black or pure white.

    Args:
        pixels: uint8, (3, height, width).
        valid: bool, (height, width), with at least one True; None: all.
        stretched: The scene's values were stretched, which clips a few to black and white.
    """
    share = CLIPPED_SHARE if stretched else SATURATED_SHARE
    count = pixels[0].size if valid is None else np.count_nonzero(valid)
    # Black and white wrap around to neighbours. What is pure is so in green: a bound for little.
    wrapped = pixels[1] + np.uint8(256 - _BRIGHTEST)
    if np.count_nonzero(wrapped <= _DARKEST + 256 - _BRIGHTEST) / count < share:
        return False
    dark = pixels.max(axis=0) <= _DARKEST
    bright = pixels.min(axis=0) >= _BRIGHTEST
    flat = dark | bright
    return bool((flat if valid is None else flat[valid]).mean() >= share)


def fill_invalid(
    pixels: Pixels, valid: Valid | None, shape: tuple[int, int]
) -> tuple[Pixels, Valid]:
    """Give pixels that are not there the mean colour of those that are.

    Args:
        pixels: uint8, (3, height, width): as cut, possibly smaller than the chip.
        valid: bool, (height, width), with at least one True; None: all.
        shape: (height, width) of the whole chip; what was cut goes in its middle.

    Returns:
        uint8 (3, *shape) and bool shape, of their own memory.
    """
    height, width = pixels.shape[1:]
    known = np.zeros(shape, dtype=np.bool_)
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    middle = slice(top, top + height), slice(left, left + width)
    known[middle] = True if valid is None else valid
    filled = np.empty((3, *shape), dtype=np.uint8)
    filled[:, middle[0], middle[1]] = pixels
    if not known.all():
        mean = filled[:, known].mean(axis=1)
        filled[:, ~known] = np.rint(mean).astype(np.uint8)[:, None]
    return filled, known


def _varies(band: npt.NDArray[np.uint8], valid: Valid | None) -> bool:
    """Prove from some rows of one band that a chip is not blank; False proves nothing.

    Of a blank chip, all but 1 - BLANK_SHARE of the pixels lie within three neighbouring values.
    Where more than that many lie two above some value, and as many two below it, they cannot.
    """
    some = band[::_PROOF_STEP]
    middle = int(some[len(some) // 2].sum()) // band.shape[1]
    count: int = band.size
    if valid is not None:
        count = int(np.count_nonzero(valid))
        some = some[valid[::_PROOF_STEP]]
    allowed = (1.0 - BLANK_SHARE) * count + 1
    return bool(
        np.count_nonzero(some >= middle + 2) > allowed
        and np.count_nonzero(some <= middle - 2) > allowed
    )


def _colours(pixels: Pixels, valid: Valid | None) -> npt.NDArray[np.int16]:
    """Valid pixels as (3, n)."""
    chosen = pixels.reshape(3, -1) if valid is None else pixels[:, valid]
    return chosen.astype(np.int16)


def _thinned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A regular subset of about _LOOK_PX a side of the last two axes."""
    rows, cols = (max(1, side // _LOOK_PX) for side in array.shape[-2:])
    return array[..., ::rows, ::cols]
