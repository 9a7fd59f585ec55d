"""Cutting a row of chips out of a strip."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from georclip.scenes.placing import ChipRow
from georclip.scenes.quality import prove_unsaturated, prove_varied
from georclip.scenes.strips import Pixels, Strip, Valid


class Cut(NamedTuple):
    """Pixels of a chip, views of memory that others use too.

    Attributes:
        pixels: uint8, (3, height, width).
        valid: bool, (height, width); None: all.
        sound: Proven to be neither blank nor saturated.
    """

    pixels: Pixels
    valid: Valid | None
    sound: bool


def cut_row(strip: Strip, row: ChipRow, places: range, left: int, factor: int) -> Iterator[Cut]:
    """Cut chips of a row out of a strip, which holds the rows that they show.

    At the scene's edge a decimated grid may not fit exactly.
    """
    window, scene = row.window(0), row.scene
    width, height = math.ceil(window.width / factor), math.ceil(window.height / factor)
    last_row = math.ceil(scene.height / factor)
    top = min(math.ceil(row.row_off / factor), last_row - height)
    pixels, valid = strip.rows(top, height)
    firsts = -((left - np.array(row.columns)[places.start :]) // factor)
    firsts = np.minimum(firsts, strip.width - width)
    sound = np.zeros(len(firsts), dtype=np.bool_)
    if valid is None:  # else each chip has its own pixels to look at
        stretched = scene.rendering.stretch_from != "none"
        sound = prove_varied(pixels[1], firsts, width)
        sound &= prove_unsaturated(pixels[1], firsts, width, stretched=stretched)
    for first, proven in zip(firsts.tolist(), sound.tolist(), strict=True):
        cols = slice(first, first + width)
        yield Cut(pixels[:, :, cols], None if valid is None else valid[:, cols], proven)
