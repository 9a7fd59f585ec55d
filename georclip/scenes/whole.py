"""A raster, or a part of it, as one picture: rendered as a scene is, georeferenced or not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from georclip.errors import SceneError
from georclip.scenes.access import Access
from georclip.scenes.pixels import PixelReader
from georclip.scenes.raster import GDAL_ERRORS, gdal_settings, open_raster, reason
from georclip.scenes.scene import check_pixels, find_rendering
from georclip.values import Window

_DECODED_PX = 4_000_000
"""Rasters beyond this are decimated while they are read: 96 MB of 64-bit values otherwise."""


def read_whole(
    path: Path, *, least_side_px: int, most_px: int, window: Window | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]:
    """Read all of a local raster, or a part, with the bands and the stretch that a scene would get.

    Args:
        path: The file; what it names is read in its folder and below only.
        least_side_px: A large raster is decimated, averaging, but never below this short side. A
            strip that stays large even so is decimated along its length too, and loses its
            proportions: an encoder squeezes it into a square anyway.
        most_px: A file of more pixels than this is refused; of a part the part counts.
        window: The part, shown as it would be in a chip of the whole; None for all of it.

    Returns:
        uint8 RGB (3, height, width), and bool (height, width) or None where all are valid.

    Raises:
        SceneError: It cannot be used; one line that says why.
    """
    uri = os.path.abspath(path)
    try:
        with gdal_settings(uri), open_raster(uri, access=Access()) as dataset:
            check_pixels(dataset)
            part = window or Window(
                col_off=0, row_off=0, width=dataset.width, height=dataset.height
            )
            _check_part(part, dataset.width, dataset.height)
            width, height = part.width, part.height
            if width * height > most_px:
                raise SceneError(f"has {width} x {height} pixels, more than {most_px:,}: reduce it")
            reader = PixelReader(dataset, uri, find_rendering(dataset, uri))
            shape = _decimated(height, width, least_side_px)
            return reader.read_rendered((part.col_off, part.row_off, width, height), shape)
    except GDAL_ERRORS as error:
        raise SceneError(f"{uri}: cannot be understood ({reason(error)})") from None


def _check_part(part: Window, width: int, height: int) -> None:
    if (
        min(part.col_off, part.row_off) < 0
        or part.col_off + part.width > width
        or part.row_off + part.height > height
    ):
        raise SceneError(
            f"has {width} x {height} pixels, and the part {part.col_off},{part.row_off},"
            f"{part.width},{part.height} (col_off,row_off,width,height) reaches beyond them"
        )


def _decimated(height: int, width: int, least_side_px: int) -> tuple[int, int]:
    """The (height, width) to read: all of it, or as much as `_DECODED_PX` or the side allows."""
    if height * width <= _DECODED_PX:
        return height, width
    factor = max(1.0, min(height, width) / least_side_px)
    short, long = (max(1, round(side / factor)) for side in sorted((height, width)))
    longest = max(short, _DECODED_PX // short)
    long = min(long, longest)
    return (short, long) if height <= width else (long, short)
