"""Hits that lie far apart: which of them are drawn on one map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from georclip.export.sheet.projection import Projection, View

LEAST_MARK = 9.0
"""Units: footprints smaller than this on a map are drawn as marks."""
_NEAR = 0.06
"""Share of the whole extent within which neighbours belong to one place."""


def is_legible(view: View, footprints: Sequence[BaseGeometry]) -> bool:
    """Whether most footprints are large enough on a map to be seen as outlines."""
    sides = [np.ptp(np.concatenate(view.rings(one)), axis=0).max() for one in footprints]
    return float(np.median(sides)) >= LEAST_MARK


def group_by_place(
    projection: Projection, footprints: Sequence[BaseGeometry]
) -> list[tuple[int, ...]]:
    """Put footprints that lie near each other into one place (single linkage).

    Args:
        projection: Of the map.
        footprints: Best first.

    Returns:
        Numbers of footprints, those of the best one's place first.
    """
    centres = projection.project(
        [shapely.get_coordinates(shapely.centroid(projection.led(one)))[0] for one in footprints]
    )
    reach = _NEAR * float(np.ptp(centres, axis=0).max())
    left = list(range(len(centres)))
    groups: list[tuple[int, ...]] = []
    while left:
        found, waiting = [], [left.pop(0)]
        while waiting:
            current = waiting.pop()
            found.append(current)
            gaps = np.abs(centres[left] - centres[current]).max(axis=1) if left else np.empty(0)
            near = [number for number, gap in zip(left, gaps, strict=True) if gap <= reach]
            waiting += near
            left = [number for number in left if number not in near]
        groups.append(tuple(sorted(found)))
    return groups
