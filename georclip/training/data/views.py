"""Random views of pictures from above: another cut, turn, scale or compression.

There is no up in a picture from above: right-angle turns and flips change nothing that a caption
says (left and right hardly occur). Cuts and coarser pixels stand for other ground sizes, a
neighbour's strip for chips that do not line up with what they show, JPEG for how scenes are kept.
"""

from __future__ import annotations

import io
import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from georclip.training.settings import TrainSettings

Pixels = npt.NDArray[np.uint8]

_ASPECT = 0.25  # natural logarithm of the most that a cut's sides differ by, each way
_UNCUT_SHARE = 0.15
_COARSEST = 2.5  # pixels of a coarsened view are at most this many times as wide
_JPEG_QUALITY = (30, 90)


def random_view(
    pixels: Pixels,
    side_px: int,
    rng: np.random.Generator,
    settings: TrainSettings,
) -> Pixels:
    """Show a picture in another way in which its captions stay true.

    Args:
        pixels: uint8, (height, width, 3).
        side_px: Side of the result, px.
        rng: Seeded generator.
        settings: Shares of views that are varied in each way.

    Returns:
        uint8, (3, side_px, side_px), contiguous.
    """
    coarser = 1.0
    if rng.random() < settings.coarse_share:
        coarser = math.exp(rng.uniform(0.0, math.log(_COARSEST)))
    view = _cut(pixels, side_px, rng, smallest=settings.smallest_crop, coarser=coarser)
    view = np.rot90(view, int(rng.integers(4)))
    if rng.random() < 0.5:
        view = view[:, ::-1]
    if rng.random() < settings.jpeg_share:
        view = _through_jpeg(view, int(rng.integers(*_JPEG_QUALITY, endpoint=True)))
    return np.ascontiguousarray(view.transpose(2, 0, 1))


def _cut(
    pixels: Pixels, side_px: int, rng: np.random.Generator, *, smallest: float, coarser: float
) -> Pixels:
    """A random part as a square of `side_px`, antialiased: uint8 (side_px, side_px, 3)."""
    height, width = pixels.shape[:2]
    whole = rng.random() < _UNCUT_SHARE
    part = 1.0 if whole else math.exp(rng.uniform(math.log(smallest), 0.0))  # of the area
    aspect = math.exp(rng.uniform(-_ASPECT, _ASPECT))
    cut_width = min(width, math.sqrt(part * width * height * aspect))
    cut_height = min(height, math.sqrt(part * width * height / aspect))
    left = rng.uniform(0.0, width - cut_width)
    top = rng.uniform(0.0, height - cut_height)
    box = (left, top, left + cut_width, top + cut_height)
    first_px = max(8, round(side_px / coarser))
    view = Image.fromarray(pixels).resize((first_px,) * 2, Image.Resampling.BILINEAR, box=box)
    if first_px != side_px:
        view = view.resize((side_px, side_px), Image.Resampling.BILINEAR)
    return np.asarray(view)


def _through_jpeg(view: Pixels, quality: int) -> Pixels:
    """What is left of a view after compression: uint8 (height, width, 3)."""
    kept = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(view)).save(kept, "JPEG", quality=quality)
    with Image.open(kept) as opened:
        return np.asarray(opened.convert("RGB"))
