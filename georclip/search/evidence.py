"""Which part of a picture answers a question: its score falls without it, and it answers alone.

Two witnesses. Parts are hidden, one after the other, under the picture's mean colour (occlusion
sensitivity: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014);
the encoder goes on seeing ground of the size that it knows, which finds things that are small in
their surroundings. And small windows are looked at alone, which finds what fills them.
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

SMALL, LARGE = 0.5, 0.7
"""Sides of the part that is found, over the picture's: a quarter of its area, or a half."""
ENOUGH = 0.6
"""Share of the evidence that a small part must hold: what is spread wider keeps a large one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """One way to ask for parts.

    Attributes:
        hidden: Parts are hidden; else they are looked at alone.
        share: Their sides, over the picture's.
        places: At how many places a side.
        weight: Of what it says.
    """

    hidden: bool
    share: float
    places: int
    weight: float


WITNESSES = (
    Witness(hidden=True, share=0.18, places=10, weight=1.0),
    Witness(hidden=False, share=0.35, places=7, weight=2.0),
)
"""Chosen among sixteen mixtures on drawn coasts and pictures laid side by side, other ones than
those that the published figures were measured on."""

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
    """Find the part that carries a picture's score.

    It is half as wide and half as high as the picture; 0.7 of it, where half a side holds less
    than 0.6 of the evidence.

    Args:
        pixels: uint8 RGB, (3, height, width); the whole of one of less than 16 px a side is
            returned.
        question: float32, (dim,), of unit length.
        encoder: Embeds the picture with parts of it hidden, and parts of it alone.
    """
    height, width = pixels.shape[1:]
    if min(height, width) < _LEAST_SIDE_PX:
        return WHOLE
    evidence = find_evidence(pixels, question, encoder)
    above = np.maximum(evidence - np.median(evidence), 0.0)
    part, held = _heaviest(above, SMALL)
    return part if held >= ENOUGH else _heaviest(above, LARGE)[0]


def find_evidence(pixels: Pixels, question: npt.NDArray[np.float32], encoder: Encoder) -> Evidence:
    """How much each place of a picture adds to its score.

    Args:
        pixels: uint8 RGB, (3, height, width).
        question: float32, (dim,), of unit length.
        encoder: Embeds the picture with parts of it hidden.

    Returns:
        (rows, columns) of cells, about 32 each: what the witnesses say, each in standard
        deviations over the picture, a part counting most in its middle; their weighted sum.
    """
    total = np.zeros(())
    for witness in WITNESSES:
        down = _axis(pixels.shape[1], witness)
        across = _axis(pixels.shape[2], witness)
        scores = _scores(_altered(pixels, down, across, witness), question, encoder)
        said = -scores if witness.hidden else scores
        grid = said.reshape(len(down.starts), len(across.starts))
        cells = spread(grid, down, across).astype(np.float64)
        total = total + witness.weight * (cells - cells.mean()) / (cells.std() + 1e-9)
    return total


def _axis(length: int, witness: Witness) -> Axis:
    side = max(1, round(witness.share * length))
    starts = np.unique(np.rint(np.linspace(0, length - side, witness.places)).astype(int))
    return Axis(
        starts=tuple(starts.tolist()), side=side, stride=max(1, length // _CELLS), length=length
    )


def _altered(pixels: Pixels, down: Axis, across: Axis, witness: Witness) -> Iterator[Pixels]:
    """The picture with one part after the other hidden; or the parts."""
    mean = np.rint(pixels.mean(axis=(1, 2))).astype(np.uint8)[:, None, None]
    for top in down.starts:
        for left in across.starts:
            part = np.s_[:, top : top + down.side, left : left + across.side]
            if witness.hidden:
                picture = pixels.copy()
                picture[part] = mean
                yield picture
            else:
                yield pixels[part]


def _scores(
    pictures: Iterator[Pixels], question: npt.NDArray[np.float32], encoder: Encoder
) -> npt.NDArray[np.float32]:
    parts = []
    while batch := list(islice(pictures, _BATCH)):
        parts.append(encoder.encode_images(np.stack(batch)) @ question)
    return np.concatenate(parts)


def _heaviest(weights: Evidence, side: float) -> tuple[Part, float]:
    """The part, of sides over the picture's, that holds most, and the share that it holds.

    Its middle counts most: among many objects a part would else as soon cut four as hold one.
    """
    rows, columns = weights.shape
    high, wide = max(1, int(side * rows)), max(1, int(side * columns))
    sums = _sums(_sums(weights, high).T, wide).T
    top, left = (int(place) for place in np.unravel_index(int(sums.argmax()), sums.shape))
    held = weights[top : top + high, left : left + wide].sum() / max(weights.sum(), 1e-9)
    part = Part(
        left=min(left / columns, 1.0 - side),
        top=min(top / rows, 1.0 - side),
        width=side,
        height=side,
    )
    return part, float(held)


def _sums(values: Evidence, length: int) -> Evidence:
    """Sums over runs along the first axis, weights falling evenly from the middle to both ends."""
    near = 1.0 - np.abs(2.0 * (np.arange(length) + 0.5) / length - 1.0)
    places = len(values) - length + 1
    total = np.zeros((places, values.shape[1]))
    for offset, weight in enumerate(near):
        total += weight * values[offset : offset + places]
    return total
