"""Chips that show nothing, and pixels that are not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

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
_PROOF_VALUES = 1024 * 1024
_COUNTED_ROWS = 64
"""Rows counted at once: what fits a core's cache, and a byte."""


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


def prove_varied(band: Pixels, columns: npt.NDArray[np.intp], width: int) -> Valid:
    """Prove of many chips side by side at once that they are not blank: see `_varies`.

    Args:
        band: uint8, (height, any): rows that all chips show, every pixel of them valid.
        columns: (n,), where each chip begins.
        width: Of a chip, px.

    Returns:
        bool, (n,): True is proof; False says nothing, and `is_blank` decides.
    """
    rows = band[::_PROOF_STEP]
    windows = sliding_window_view(rows, width, axis=1)
    at_once = max(1, _PROOF_VALUES // (len(rows) * width))
    allowed = (1.0 - BLANK_SHARE) * band.shape[0] * width + 1
    parts = range(0, len(columns), at_once)
    found = [_vary(windows[:, columns[at : at + at_once]], allowed) for at in parts]
    return np.concatenate(found)


def _vary(some: Pixels, allowed: float) -> Valid:
    """Say of (rows, n, width) whether more than so many lie two above and two below a value."""
    middle = some[len(some) // 2].mean(axis=1, dtype=np.float32).astype(np.int16)
    proven: Valid = (middle >= 2) & (middle <= 253)
    for close in (some < _columnwise(middle + 2), some > _columnwise(middle - 2)):
        count = (~close).sum(axis=0, dtype=np.uint16).sum(axis=1, dtype=np.uint32)
        proven &= count > allowed
    return proven


def is_saturated(pixels: Pixels, valid: Valid | None, *, stretched: bool) -> bool:
    """Say whether a chip is to a large part pure black or pure white.

    Args:
        pixels: uint8, (3, height, width).
        valid: bool, (height, width), with at least one True; None: all.
        stretched: The scene's values were stretched, which clips a few to black and white.
    """
    share = CLIPPED_SHARE if stretched else SATURATED_SHARE
    count = pixels[0].size if valid is None else np.count_nonzero(valid)
    if np.count_nonzero(_at_ends(pixels[1])) / count < share:  # a bound for little
        return False
    dark = pixels.max(axis=0) <= _DARKEST
    bright = pixels.min(axis=0) >= _BRIGHTEST
    flat = dark | bright
    return bool((flat if valid is None else flat[valid]).mean() >= share)


def prove_unsaturated(
    band: Pixels, columns: npt.NDArray[np.intp], width: int, *, stretched: bool
) -> Valid:
    """Prove of many chips side by side at once that they are not saturated.

    What is pure black or white is at an end in each band: pixels that are so in one are a bound.

    Args:
        band: uint8, (height, any): rows that all chips show, every pixel of them valid.
        columns: (n,), where each chip begins.
        width: Of a chip, px.
        stretched: As for `is_saturated`, which decides where nothing is proven.

    Returns:
        bool, (n,): True is proof; False says nothing.
    """
    counts = np.zeros(band.shape[1] + 1, dtype=np.int64)
    for top in range(0, band.shape[0], _COUNTED_ROWS):
        ends = _at_ends(band[top : top + _COUNTED_ROWS])
        counts[1:] += ends.view(np.uint8).sum(axis=0, dtype=np.uint8)
    before = np.cumsum(counts)
    share = CLIPPED_SHARE if stretched else SATURATED_SHARE
    at_ends = before[columns + width] - before[columns]
    unsaturated: Valid = at_ends / (band.shape[0] * width) < share
    return unsaturated


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


def _at_ends(band: Pixels) -> Valid:
    """Which pixels are nearly black or nearly white: neighbours, when white wraps around to 0."""
    return np.asarray(band + np.uint8(256 - _BRIGHTEST) <= _DARKEST + 256 - _BRIGHTEST)


def _columnwise(values: npt.NDArray[np.int16]) -> Pixels:
    """Values to compare (rows, n, width) pixels with, kept within their range."""
    return np.clip(values, 0, 255).astype(np.uint8)[:, None]


def _colours(pixels: Pixels, valid: Valid | None) -> npt.NDArray[np.int16]:
    """Valid pixels as (3, n)."""
    chosen = pixels.reshape(3, -1) if valid is None else pixels[:, valid]
    return chosen.astype(np.int16)


def _thinned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A regular subset of about _LOOK_PX a side of the last two axes."""
    rows, cols = (max(1, side // _LOOK_PX) for side in array.shape[-2:])
    return array[..., ::rows, ::cols]
