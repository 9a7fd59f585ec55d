"""Ranks on a map: the better hit keeps its label where two would collide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from georclip.export.sheet.marks import Mark
from georclip.export.sheet.markup import Markup, tag
from georclip.export.sheet.places import LEAST_MARK
from georclip.export.sheet.projection import View

_SIGN_WIDTH, _LINE_HEIGHT = 9.0, 14.0
"""Of bold digits at the size that the style sheet gives them, units."""

Box = tuple[float, float, float, float]


def place_labels(view: View, marks: Sequence[Mark]) -> list[Markup]:
    """Write what fits beside marks, best first.

    Args:
        view: The map.
        marks: Best first.
    """
    taken: list[Box] = []
    written: list[Markup] = []
    for mark in marks:
        width = _SIGN_WIDTH * len(mark.label) + 2
        for x, y in _candidates(view, mark, width):
            box = (x, y - _LINE_HEIGHT, x + width, y)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= view.width and y <= view.height
            if inside and not any(_collide(box, other) for other in taken):
                taken.append(box)
                written.append(
                    tag("text", mark.label, x=x + 1, y=y - 3, class_="rank", data_of=mark.target)
                )
                break
    return written


def _candidates(view: View, mark: Mark, width: float) -> Iterator[tuple[float, float]]:
    """Lower left corners of a label: inside the outline's corners, or around a dot."""
    points = np.concatenate(view.rings(mark.footprint))
    (west, top), (east, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    if max(east - west, bottom - top) < LEAST_MARK:
        x, y, gap = (west + east) / 2, (top + bottom) / 2, mark.radius + 3
        yield x + gap, y + _LINE_HEIGHT / 2
        yield x - gap - width, y + _LINE_HEIGHT / 2
        yield x - width / 2, y - gap
        yield x - width / 2, y + gap + _LINE_HEIGHT
        return
    if east - west < width + 4 or bottom - top < _LINE_HEIGHT + 4:  # no room inside
        yield east + 2, top + _LINE_HEIGHT
        yield west - width - 2, top + _LINE_HEIGHT
        yield west, top - 1
        yield west, bottom + _LINE_HEIGHT + 1
        return
    yield west + 3, top + _LINE_HEIGHT + 2
    yield east - width - 3, top + _LINE_HEIGHT + 2
    yield west + 3, bottom - 3
    yield east - width - 3, bottom - 3
    yield (west + east - width) / 2, (top + bottom + _LINE_HEIGHT) / 2


def _collide(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
