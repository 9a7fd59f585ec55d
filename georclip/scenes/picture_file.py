"""One picture file of any mode and depth to uint8 RGB."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from georclip.errors import SceneError
from georclip.scenes.quality import fill_invalid
from georclip.scenes.whole import read_whole
from georclip.values import Window

MOST_PIXELS = 100_000_000
"""Pictures beyond this are refused: a few kB of a compressed file can ask for any memory."""
_LARGE_PIXELS = 16_000_000
"""Decoded, these take 64 MB and more."""

_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""What is left to Pillow. Others go GDAL's way: some of Pillow's start programs (EPS)."""
_SENSOR_FORMATS = frozenset({"JPEG2000", "TIFF"})
_PRINT_MODES = frozenset({"CMYK", "LAB"})
_ORIENTATION_TAG = 0x0112
_BITS_TAG = 258
_PNG_DEPTH_AT = 24

logging.getLogger("PIL").addHandler(logging.NullHandler())  # says what it leaves to GDAL, aloud


def read_picture(
    path: Path, *, max_side_px: int, one_large: AbstractContextManager[object] | None = None
) -> npt.NDArray[np.uint8]:
    """Decode a picture as an encoder should see it.

    8 bits a channel are left alone, and grey, palettes, CMYK and Lab become RGB. TIFF, JPEG 2000
    and anything deeper than 8 bits gets the bands and the stretch that a scene of its own would
    get. What is transparent or nodata gets the mean colour of the rest, as in a scene's chips.
    The orientation that a camera wrote is applied. Of several frames the first counts.

    Args:
        path: The file.
        max_side_px: Larger pictures are reduced, antialiased, until their short side is this.
        one_large: Held while a picture that takes much memory is decoded: a lock, where several
            threads decode.

    Returns:
        uint8 RGB, (height, width, 3).

    Raises:
        SceneError: GDAL cannot use it.
        ValueError: It has too many pixels, or none that is not transparent.
        Exception: Whatever a decoder raises over a broken file.
    """
    try:
        with Image.open(path, formats=_known_formats()) as opened:
            _check_size(opened.size)
            large = opened.width * opened.height > _LARGE_PIXELS
            with one_large if large and one_large else nullcontext():
                return _reduced(_decode(opened, path, max_side_px), max_side_px)
    except Image.DecompressionBombError:
        raise ValueError(f"has more than {MOST_PIXELS:,} pixels: reduce it") from None
    except UnidentifiedImageError:
        return _reduced(_read_raster(path, max_side_px, 1), max_side_px)


def read_part(path: Path, window: Window, *, max_side_px: int) -> npt.NDArray[np.uint8]:
    """Decode a part of a picture or scene, with the bands and the stretch that the whole gets.

    Args:
        path: The file, of any size.
        window: The part.
        max_side_px: As in `read_picture`, of the part.

    Returns:
        uint8 RGB, (height, width, 3).

    Raises:
        SceneError: GDAL cannot use it, or the part reaches beyond it.
        ValueError: The part has too many pixels, or none that is valid.
    """
    return _reduced(_read_raster(path, max_side_px, 1, window), max_side_px)


def _decode(opened: Image.Image, path: Path, max_side_px: int) -> Image.Image:
    if _is_for_gdal(opened, path):
        turned = int(opened.getexif().get(_ORIENTATION_TAG, 1))
        return _read_raster(path, max_side_px, turned)
    opened.draft(None, (2 * max_side_px, 2 * max_side_px))  # JPEG: decodes no more than needed
    ImageOps.exif_transpose(opened, in_place=True)
    return _to_rgb(opened)


def _reduced(picture: Image.Image, max_side_px: int) -> npt.NDArray[np.uint8]:
    shrink = max_side_px / min(picture.size)
    if shrink < 1:
        size = (round(picture.width * shrink), round(picture.height * shrink))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.uint8)


@lru_cache(maxsize=1)
def _known_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _check_size(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise ValueError(f"has {size[0]} x {size[1]} pixels, more than {MOST_PIXELS:,}: reduce it")


def _is_for_gdal(opened: Image.Image, path: Path) -> bool:
    """Whether GDAL reads this better: Pillow cuts 16 bits to 8, and knows no nodata or bands."""
    if opened.mode.startswith(("I", "F")):
        return True
    if opened.format == "PNG":
        with open(path, "rb") as file:
            return file.read(_PNG_DEPTH_AT + 1)[-1] == 16
    if opened.format == "TIFF":
        bits = opened.tag_v2.get(_BITS_TAG, (1,))  # type: ignore[attr-defined]
        # GDAL would leave 1 and 4 bits as 0 to 1 and 0 to 15, and ink as if it were light
        return min(bits) >= 8 and opened.mode not in _PRINT_MODES
    return opened.format in _SENSOR_FORMATS


def _read_raster(
    path: Path, max_side_px: int, orientation: int, window: Window | None = None
) -> Image.Image:
    try:
        pixels, valid = read_whole(
            path, least_side_px=2 * max_side_px, most_px=MOST_PIXELS, window=window
        )
    except SceneError as error:
        prefix = f"{os.path.abspath(path)}: "
        raise SceneError(str(error).removeprefix(prefix)) from None
    picture = _filled(np.moveaxis(pixels, 0, -1), valid)
    if orientation == 1:
        return picture
    picture.getexif()[_ORIENTATION_TAG] = orientation
    return ImageOps.exif_transpose(picture)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    pixels = np.asarray(picture.convert("RGBA"))
    return _filled(pixels[..., :3], pixels[..., 3] > 0)


def _filled(pixels: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_] | None) -> Image.Image:
    """(height, width, 3) as a picture, with the mean colour where nothing is known."""
    if valid is not None and not valid.all():
        if not valid.any():
            raise ValueError("is transparent all over")
        filled, _ = fill_invalid(np.moveaxis(pixels, -1, 0), valid, valid.shape)
        pixels = np.moveaxis(filled, 0, -1)
    return Image.fromarray(np.ascontiguousarray(pixels))
