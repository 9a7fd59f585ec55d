"""Pictures of captions to pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from georclip.captions.naming import some
from georclip.captions.records import CaptionedImage
from georclip.errors import CaptionError


def decode_images(
    images: Sequence[CaptionedImage], *, max_side_px: int
) -> list[npt.NDArray[np.uint8]]:
    """Decode every picture once, into memory.

    Args:
        images: What to decode.
        max_side_px: Larger pictures are reduced, antialiased, until their short side is this.

    Returns:
        uint8 RGB, (height, width, 3) each, in the order given.

    Raises:
        CaptionError: Pictures are broken; all of them are named.
    """
    pixels: list[npt.NDArray[np.uint8]] = []
    broken: list[str] = []
    for image in images:
        try:
            with Image.open(image.path) as opened:
                picture = opened.convert("RGB")
        except (OSError, SyntaxError, ValueError):
            broken.append(str(image.path))
            continue
        shrink = max_side_px / min(picture.size)
        if shrink < 1:
            size = (round(picture.width * shrink), round(picture.height * shrink))
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        pixels.append(np.asarray(picture, dtype=np.uint8))
    if broken:
        raise CaptionError(f"{len(broken)} of {len(images)} images are broken: {some(broken)}")
    return pixels
