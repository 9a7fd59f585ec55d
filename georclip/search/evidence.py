"""Which part of a picture answers a question: the one without which its score falls.

Parts are hidden, one after the other, under the picture's mean colour (occlusion sensitivity:
Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014). The encoder
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
HIDDEN = ((0.35, 7),)
"""What is hidden at a time: its sides over the picture's, and at how many places a side."""

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
    """How much a picture's score falls where something is hidden.

    Args:
        pixels: uint8 RGB, (3, height, width).
        question: float32, (dim,), of unit length.
        encoder: Embeds the picture with parts of it hidden.

    Returns:
        (rows, columns) of cells, about 32 each: falls of the score, each hidden part counting most
        in its middle, in standard deviations over the picture and summed over sizes of parts.
    """
    height, width = pixels.shape[1:]
    total = np.zeros(())
    for share, places in HIDDEN:
        down, across = _axis(height, share, places), _axis(width, share, places)
        scores = _scores(_hide(pixels, down, across), question, encoder)
        falls = -scores.reshape(len(down.starts), len(across.starts))
        cells = spread(falls, down, across).astype(np.float64)
        total = total + (cells - cells.mean()) / (cells.std() + 1e-9)
    return total


def _axis(length: int, share: float, places: int) -> Axis:
    side = max(1, round(share * length))
    starts = np.unique(np.rint(np.linspace(0, length - side, places)).astype(int))
    return Axis(
        starts=tuple(starts.tolist()), side=side, stride=max(1, length // _CELLS), length=length
    )


def _hide(pixels: Pixels, down: Axis, across: Axis) -> Iterator[Pixels]:
    """The picture with one part after the other under its mean colour."""
    mean = np.rint(pixels.mean(axis=(1, 2))).astype(np.uint8)[:, None, None]
    for top in down.starts:
        for left in across.starts:
            hidden = pixels.copy()
            hidden[:, top : top + down.side, left : left + across.side] = mean
            yield hidden


def _scores(
    pictures: Iterator[Pixels], question: npt.NDArray[np.float32], encoder: Encoder
) -> npt.NDArray[np.float32]:
    parts = []
    while batch := list(islice(pictures, _BATCH)):
        parts.append(encoder.encode_images(np.stack(batch)) @ question)
    return np.concatenate(parts)


def _heaviest(weights: Evidence, high: int, wide: int) -> tuple[int, int]:
    """First row and column of the rectangle of cells that holds most."""
    sums = np.pad(weights.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    held = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    row, column = np.unravel_index(int(held.argmax()), held.shape)
    return int(row), int(column)
