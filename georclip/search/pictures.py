"""A picture file as a term of a question: FILE, or FILE#col_off,row_off,width,height."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.errors import QueryError, SceneError
from georclip.values import Window

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder

_PART = re.compile(r"(?P<file>.+)#(?P<numbers>[^#/\\]*)", re.DOTALL)
_NUMBERS = re.compile(r"(\d{1,9}),(\d{1,9}),(\d{1,9}),(\d{1,9})", re.ASCII)
_SIDES = 2
"""Sides of the tower's square that a picture is read at, at least: the tower's own resampling then
does the rest."""


def embed_picture(name: str, encoder: Encoder) -> npt.NDArray[np.float32]:
    """Embed a picture file: its middle square, as CLIP's towers take pictures.

    Args:
        name: As `split_part` takes it.
        encoder: What made the index's vectors.

    Returns:
        float32, (dim,), of unit length.

    Raises:
        QueryError: The file cannot be read as a picture; one line that says why.
        EncoderError: The encoder embeds no pictures.
    """
    path, window = split_part(name)
    pixels = _middle_square(_read(path, window, _SIDES * encoder.spec.image_size_px))
    vector: npt.NDArray[np.float32] = encoder.encode_images(pixels.transpose(2, 0, 1)[np.newaxis])[
        0
    ]
    return vector


def split_part(name: str) -> tuple[Path, Window | None]:
    """Part a file from the window of it that is asked for.

    Args:
        name: FILE, or FILE#col_off,row_off,width,height in pixels. A file whose own name is all
            of it goes first.

    Raises:
        QueryError: What follows "#" is no window.
    """
    path = Path(name)
    match = _PART.fullmatch(name)
    if match is None or path.is_file():
        return path, None
    numbers = _NUMBERS.fullmatch(match["numbers"])
    if numbers is None or "0" in (numbers[3].lstrip("0") or "0", numbers[4].lstrip("0") or "0"):
        raise QueryError(
            f'in {name!r} what follows "#" is no part of a picture: write '
            "FILE#col_off,row_off,width,height in pixels, such as scene.tif#1024,512,256,256"
        )
    col_off, row_off, width, height = map(int, numbers.groups())
    window = Window(col_off=col_off, row_off=row_off, width=width, height=height)
    return Path(match["file"]), window


def _read(path: Path, window: Window | None, side_px: int) -> npt.NDArray[np.uint8]:
    """A picture or a part of it, uint8 (height, width, 3)."""
    from georclip.scenes.picture_file import read_part, read_picture  # loads rasterio

    if not path.is_file():
        raise QueryError(f"there is no picture {path}: check the path")
    try:
        if window is not None:
            return read_part(path, window, max_side_px=side_px)
        return read_picture(path, max_side_px=side_px)
    except SceneError as error:
        reason = str(error).removeprefix(f"{path.absolute()}: ")
    except Exception as error:  # decoders raise what they like over a broken file
        reason = " ".join(str(error).split()) or type(error).__name__
    raise QueryError(f"the picture {path} cannot be used: {reason}")


def _middle_square(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])
