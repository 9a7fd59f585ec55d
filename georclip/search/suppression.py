"""Overlapping chips of one object -> one hit: greedy, on the ground.

The best chip stands for its object, and takes along every worse one that shares more than a fifth
of the smaller footprint with it; then the best of those that are left, and so on. Areas are those
of Lambert's cylindrical equal-area projection, x = lon, y = sin(lat) (Snyder, Map Projections,
USGS Professional Paper 1395, page 76), so that a share means the same at every latitude.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely import MultiPolygon, Polygon

from georclip.values import Grouping, Scene

MOST_SHARED = 0.2
"""Share of the smaller footprint up to which two chips are two objects."""

_ROUNDING = 1e-6
"""Of a share: chips that are cut to share exactly `MOST_SHARED` stay apart."""

_Geometries = npt.NDArray[np.object_]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """Chips that stand for one object, by their place in the ranking.

    Attributes:
        best: Its best chip.
        members: The others, best first.
    """

    best: int
    members: tuple[int, ...]


def acquisition_of(scene: Scene, grouping: Grouping) -> Hashable:
    """Name what chips must have in common to be taken for one object.

    Scenes that were taken at the same time are parts of one acquisition; one without a time is
    an acquisition of its own.
    """
    if grouping == "place":
        return None
    return scene.acquired if scene.acquired is not None else scene.scene_id


def group_objects(
    footprints: Sequence[Polygon | MultiPolygon],
    acquisitions: Sequence[Hashable],
    most: int,
    *,
    most_shared: float = MOST_SHARED,
) -> list[Object]:
    """Join chips that show one object.

    Args:
        footprints: EPSG:4326, split at the date line; best first.
        acquisitions: Chips of different ones are never joined, as `acquisition_of` says.
        most: Objects wanted: those behind them are not looked for.
        most_shared: Share of the smaller footprint up to which chips stay apart, in [0, 1).

    Returns:
        At most `most` objects, best first: no two of one acquisition share more ground than that.
    """
    outlines = _equal_area(footprints)
    areas = shapely.area(outlines)
    boxes = shapely.bounds(outlines).reshape(-1, 4)
    numbers: dict[Hashable, int] = {}
    groups = np.array([numbers.setdefault(one, len(numbers)) for one in acquisitions], np.int64)
    left = np.ones(len(outlines), dtype=np.bool_)
    objects: list[Object] = []
    for best in range(len(outlines)):
        if len(objects) == most:
            break
        if not left[best]:
            continue
        left[best] = False
        enough = (most_shared + _ROUNDING) * np.minimum(areas, areas[best])
        at_most = _shared_boxes(boxes, boxes[best])
        near = np.flatnonzero(left & (groups == groups[best]) & (at_most > enough))
        shared = shapely.area(shapely.intersection(outlines[near], outlines[best]))
        same = near[shared > enough[near]]
        left[same] = False
        objects.append(Object(best=best, members=tuple(same.tolist())))
    return objects


def _shared_boxes(boxes: _Floats, box: _Floats) -> _Floats:
    """Area that each of (n, 4) boxes shares with one, (n,): no footprints in them share more."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    areas: _Floats = np.maximum(sides, 0.0).prod(axis=1)
    return areas


def _equal_area(footprints: Sequence[Polygon | MultiPolygon]) -> _Geometries:
    """Project footprints, in degrees on both axes."""
    found = np.empty(len(footprints), dtype=np.object_)
    found[:] = footprints
    broken = ~shapely.is_valid(found)
    if broken.any():  # only an index from elsewhere holds such; areas of them would raise
        found[broken] = shapely.make_valid(found[broken])
    return np.asarray(shapely.transform(found, _cylindrical), dtype=np.object_)


def _cylindrical(lonlat: _Floats) -> _Floats:
    return np.column_stack([lonlat[:, 0], np.rad2deg(np.sin(np.deg2rad(lonlat[:, 1])))])
