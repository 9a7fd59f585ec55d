"""Pixels as data URIs of a size that a page can bear."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Valid = npt.NDArray[np.bool_]

_QUALITIES = (82, 74, 66, 56, 46, 36, 26)
"""WebP's, best first: the first that fits is taken."""
_BASE64 = 4 / 3


def data_uri(pixels: Pixels, valid: Valid | None, *, most_bytes: int) -> str:
    """Encode a picture as WebP.

    Args:
        pixels: uint8 RGB, (3, height, width).
        valid: bool, (height, width): pixels that are not are left transparent; None: all are.
        most_bytes: Of the data URI; one that takes more at the least quality is made smaller.
    """
    image = _image(pixels, valid)
    while True:
        for quality in _QUALITIES:
            data = io.BytesIO()
            image.save(data, "WEBP", quality=quality, method=4)
            if data.tell() * _BASE64 <= most_bytes:
                break
        if data.tell() * _BASE64 <= most_bytes or min(image.size) < 32:
            return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode("ascii")
        smaller = (image.width * 3 // 4, image.height * 3 // 4)
        image = image.resize(smaller, Image.Resampling.BOX)


def _image(pixels: Pixels, valid: Valid | None) -> Image.Image:
    rgb = np.moveaxis(pixels, 0, -1)
    if valid is None or valid.all():
        return Image.fromarray(np.ascontiguousarray(rgb))
    alpha = np.where(valid, 255, 0).astype(np.uint8)
    shown = np.where(valid[..., None], rgb, 0)
    return Image.fromarray(np.ascontiguousarray(np.dstack([shown, alpha])))
