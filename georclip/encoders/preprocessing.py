"""Pictures as people have them to pictures as image towers take them: numpy and Pillow only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from georclip.errors import EncoderError

Triple = tuple[float, float, float]

CLIP_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
"""Per-channel mean of RGB in [0, 1] that OpenAI's CLIP, and most of its descendants, subtract."""
CLIP_STD: Triple = (0.26862954, 0.26130258, 0.27577711)
"""Per-channel divisor that goes with `CLIP_MEAN`. ImageNet's figures are wrong for these towers."""
HALF: Triple = (0.5, 0.5, 0.5)
"""Mean and divisor of the towers that map [0, 1] to [-1, 1] (LAION's ViT-L-14)."""


def check_pixels(pixels: npt.NDArray[np.uint8]) -> None:
    """Refuse anything but a batch of uint8 RGB pictures.

    Raises:
        EncoderError: Not uint8, or not (n, 3, height, width) with at least one pixel.
    """
    shaped = pixels.ndim == 4 and pixels.shape[1] == 3 and min(pixels.shape[2:]) > 0
    if pixels.dtype != np.uint8 or not shaped:
        raise EncoderError(
            "encode_images takes uint8 RGB of shape (n, 3, height, width), "
            f"not {pixels.dtype} of shape {pixels.shape}"
        )


def resize(pixels: npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    """Resize pictures to squares, bicubic, antialiased where they shrink.

    A picture that is no square is squashed, not cropped: chips are square on the ground, and
    unequal sides mean unequal pixels.

    Args:
        pixels: uint8 RGB, (n, 3, height, width).
        size_px: Side of the square, px.

    Returns:
        uint8 RGB, (n, 3, size_px, size_px).
    """
    if pixels.shape[2:] == (size_px, size_px):
        return pixels
    out = np.empty((len(pixels), 3, size_px, size_px), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        for channel in range(3):  # as Pillow does, without laying colours side by side and apart
            band = Image.fromarray(np.ascontiguousarray(picture[channel]))
            resized = band.resize((size_px, size_px), Image.Resampling.BICUBIC, reducing_gap=None)
            out[number, channel] = np.asarray(resized)
    return out


def preprocess(
    pixels: npt.NDArray[np.uint8], size_px: int, mean: Triple, std: Triple
) -> npt.NDArray[np.float32]:
    """Resize and normalise a batch for an image tower.

    Args:
        pixels: uint8 RGB, (n, 3, height, width).
        size_px: Side that the tower takes, px.
        mean: Subtracted from RGB in [0, 1].
        std: Divides what is left.

    Returns:
        float32, (n, 3, size_px, size_px), contiguous.
    """
    resized = resize(pixels, size_px)
    out = np.empty(resized.shape, dtype=np.float32)
    for channel in range(3):  # x / (255 std) - mean / std, without a second array
        np.multiply(resized[:, channel], np.float32(1 / (255 * std[channel])), out=out[:, channel])
        out[:, channel] -= np.float32(mean[channel] / std[channel])
    return out


def unit_rows(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Scale rows to length 1 in float32: (n, dim) to (n, dim)."""
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = rows / np.maximum(lengths, np.float32(1e-12))
    return scaled
