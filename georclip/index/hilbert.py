"""Positions along a Hilbert curve: places that are near each other get numbers that are near."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ORDER = 16
"""Bits per axis: cells of about 0.005 degrees of longitude."""


def hilbert_keys(
    lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Distance along the curve that fills the lon/lat plane.

    The conversion is the one in Warren, "Hacker's Delight", and on Wikipedia's "Hilbert
    curve" (xy2d), for whole arrays.

    Args:
        lon: (n,), degrees; values beyond +-180 are taken around the globe.
        lat: (n,), degrees, within [-90, 90].

    Returns:
        (n,), from 0 to 4**16 - 1.
    """
    side = 1 << _ORDER
    x = _cells((lon + 180.0) % 360.0 / 360.0)
    y = _cells((lat + 90.0) / 180.0)
    key = np.zeros(len(x), dtype=np.int64)
    step = side >> 1
    while step:
        right = (x & step) > 0
        upper = (y & step) > 0
        key += step * step * ((3 * right.astype(np.int64)) ^ upper.astype(np.int64))
        mirrored = right & ~upper
        x = np.where(mirrored, side - 1 - x, x)
        y = np.where(mirrored, side - 1 - y, y)
        x, y = np.where(upper, x, y), np.where(upper, y, x)
        step >>= 1
    return key


def hilbert_order(bounds: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The order of boxes by their centres along the curve; equal keys stay as they came.

    Args:
        bounds: (n, 4) west, south, east, north, degrees; west > east crosses the date line.

    Returns:
        (n,) positions.
    """
    east = np.where(bounds[:, 0] > bounds[:, 2], bounds[:, 2] + 360.0, bounds[:, 2])
    keys = hilbert_keys((bounds[:, 0] + east) / 2, (bounds[:, 1] + bounds[:, 3]) / 2)
    return np.argsort(keys, kind="stable").astype(np.int64)


def _cells(share: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    cells = np.floor(share * (1 << _ORDER)).astype(np.int64)
    return np.clip(cells, 0, (1 << _ORDER) - 1)
