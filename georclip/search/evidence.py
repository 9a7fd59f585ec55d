"""Which part of a picture answers a question: its score falls without it, and stays with it alone.

Parts are hidden, one after the other, under the picture's mean colour (occlusion sensitivity:
Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014), and shown with
everything else hidden (deletion and insertion, as in Petsiuk et al., RISE, BMVC 2018). The encoder
goes on seeing ground of the size that it knows, which windows around a small object would not be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.search.spreading import Axis, spread

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder

Pixels = npt.NDArray[np.uint8]
Evidence = npt.NDArray[np.float64]

PART = 0.5
"""Sides of the part that is found, over the picture's: a quarter of its area."""
HIDDEN = (0.18, 10)
"""What is hidden at a time: its sides over the picture's, and at how many places a side."""
ALONE = (0.5, 5)
"""What is shown alone at a time, likewise."""

_CELLS = 32
_LEAST_SIDE_PX = 16
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A rectangle in a picture, in shares of its sides.

    Attributes:
        left: Where it begins, from the left edge.
        top: Where it begins, from the upper edge.
        width: Share of the picture's width, at most 1.
        height: Share of its height.
    """

    left: float
    top: float
    width: float
    height: float


WHOLE = Part(left=0.0, top=0.0, width=1.0, height=1.0)


def find_part(pixels: Pixels, question: npt.NDArray[np.float32], encoder: Encoder) -> Part:
    """Find the part, half as wide and half as high, that carries a picture's score.

    Args:
        pixels: uint8 RGB, (3, height, width); the whole of one of less than 16 px a side is
            returned.
        question: float32, (dim,), of unit length.
        encoder: Embeds the picture with parts of it hidden.
    """
    height, width = pixels.shape[1:]
    if min(height, width) < _LEAST_SIDE_PX:
        return WHOLE
    evidence = find_evidence(pixels, question, encoder)
    above = np.maximum(evidence - np.median(evidence), 0.0)
    rows, columns = evidence.shape
    high, wide = max(1, int(PART * rows)), max(1, int(PART * columns))
    top, left = _heaviest(above, high, wide)
    return Part(
        left=min(left / columns, 1.0 - PART),
        top=min(top / rows, 1.0 - PART),
        width=PART,
        height=PART,
    )


def find_evidence(pixels: Pixels, question: npt.NDArray[np.float32], encoder: Encoder) -> Evidence:
    """How much each place of a picture adds to its score.

    Args:
        pixels: uint8 RGB, (3, height, width).
        question: float32, (dim,), of unit length.
        encoder: Embeds the picture with parts of it hidden.

    Returns:
        (rows, columns) of cells, about 32 each: how far the score falls where a cell is hidden,
        and how high it is where the cell is shown alone. A part counts most in its middle. Both
        in standard deviations over the picture, summed.
    """
    total = np.zeros(())
    for (share, places), hidden in ((HIDDEN, True), (ALONE, False)):
        down = _axis(pixels.shape[1], share, places)
        across = _axis(pixels.shape[2], share, places)
        scores = _scores(_altered(pixels, down, across, hidden=hidden), question, encoder)
        wanted = -scores if hidden else scores
        grid = wanted.reshape(len(down.starts), len(across.starts))
        cells = spread(grid, down, across).astype(np.float64)
        total = total + (cells - cells.mean()) / (cells.std() + 1e-9)
    return total


def _axis(length: int, share: float, places: int) -> Axis:
    side = max(1, round(share * length))
    starts = np.unique(np.rint(np.linspace(0, length - side, places)).astype(int))
    return Axis(
        starts=tuple(starts.tolist()), side=side, stride=max(1, length // _CELLS), length=length
    )


def _altered(pixels: Pixels, down: Axis, across: Axis, *, hidden: bool) -> Iterator[Pixels]:
    """The picture with one part after the other hidden, or shown alone."""
    mean = np.rint(pixels.mean(axis=(1, 2))).astype(np.uint8)[:, None, None]
    nothing = np.broadcast_to(mean, pixels.shape)
    shown, covering = (pixels, nothing) if hidden else (nothing, pixels)
    for top in down.starts:
        for left in across.starts:
            part = np.s_[:, top : top + down.side, left : left + across.side]
            picture = shown.copy()
            picture[part] = covering[part]
            yield picture


def _scores(
    pictures: Iterator[Pixels], question: npt.NDArray[np.float32], encoder: Encoder
) -> npt.NDArray[np.float32]:
    parts = []
    while batch := list(islice(pictures, _BATCH)):
        parts.append(encoder.encode_images(np.stack(batch)) @ question)
    return np.concatenate(parts)


def _heaviest(weights: Evidence, high: int, wide: int) -> tuple[int, int]:
    """First row and column of the rectangle of cells that holds most, its middle counting most.

    Without that, a rectangle among many objects would as soon cut four of them as hold one.
    """
    held = _sums(_sums(weights, high).T, wide).T
    row, column = np.unravel_index(int(held.argmax()), held.shape)
    return int(row), int(column)


def _sums(values: Evidence, length: int) -> Evidence:
    """Sums over runs along the first axis, weights falling evenly from the middle to both ends."""
    near = 1.0 - np.abs(2.0 * (np.arange(length) + 0.5) / length - 1.0)
    places = len(values) - length + 1
    total = np.zeros((places, values.shape[1]))
    for offset, weight in enumerate(near):
        total += weight * values[offset : offset + places]
    return total
