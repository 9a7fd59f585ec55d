"""Overlapping chips of one object -> one hit: greedy, on the ground.

The best chip stands for its object, and takes along every worse one that shares more than a fifth
of the smaller footprint with it; then the best of those that are left, and so on. Areas are those
of Lambert's cylindrical equal-area projection, x = lon, y = sin(lat) (Snyder, Map Projections,
USGS Professional Paper 1395, page 76), so that a share means the same at every latitude.

Boxes around footprints decide most pairs: what two footprints share lies between what their boxes
share and that less the part of either box that its footprint leaves free. The first objects are
compared with every chip that is left; further ones only with those around them, which a search
tree finds, so that many objects do not cost the square of their number.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely
from shapely import MultiPolygon, Polygon

from georclip.geometry import equal_area
from georclip.values import Grouping, Scene

if TYPE_CHECKING:
    from georclip.index.outlines import Outlines

MOST_SHARED = 0.2
"""Share of the smaller footprint up to which two chips are two objects."""

_ROUNDING = 1e-6
"""Of a share: chips that are cut to share exactly `MOST_SHARED` stay apart."""

_PLAIN_PAIRS = 1_000_000
"""Pairs compared before a search tree is laid out: pools of up to 2,000 chips want none."""
_APART_DEG = 1_000.0
"""Between groups in the search tree, more than the world is wide."""

_Geometries = npt.NDArray[np.object_]
_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """Chips that stand for one object, by their place in the ranking.

    Attributes:
        best: Its best chip.
        members: The others, best first.
    """

    best: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """Footprints in the equal-area plane, degrees on both axes.

    Attributes:
        outlines: (n,) polygons.
        boxes: float64, (4, n): west, south, east, north.
        areas: float64, (n,).
        groups: int64, (n,): chips of different groups are never one object.
    """

    outlines: _Geometries
    boxes: _Floats
    areas: _Floats
    groups: _Integers

    def take(self, places: _Integers) -> Ground:
        """The footprints at some places, in that order."""
        return Ground(
            outlines=self.outlines[places],
            boxes=np.ascontiguousarray(self.boxes[:, places]),
            areas=self.areas[places],
            groups=self.groups[places],
        )


def lay_out(
    footprints: Sequence[Polygon | MultiPolygon] | _Geometries, acquisitions: Sequence[Hashable]
) -> Ground:
    """Project footprints, and number their acquisitions.

    Args:
        footprints: EPSG:4326, split at the date line.
        acquisitions: What chips must have in common to be one object, as `acquisition_of` says.
    """
    found = np.empty(len(footprints), dtype=np.object_)
    found[:] = footprints
    outlines = np.asarray(shapely.transform(found, equal_area), dtype=np.object_)
    numbers: dict[Hashable, int] = {}
    groups = [numbers.setdefault(one, len(numbers)) for one in acquisitions]
    return Ground(
        outlines=outlines,
        boxes=np.ascontiguousarray(shapely.bounds(outlines).reshape(-1, 4).T),
        areas=np.asarray(shapely.area(outlines), dtype=np.float64),
        groups=np.array(groups, dtype=np.int64),
    )


def acquisition_of(scene: Scene, grouping: Grouping) -> Hashable:
    """Name what chips must have in common to be taken for one object.

    Scenes that were taken at the same time are parts of one acquisition; one without a time is
    an acquisition of its own.
    """
    if grouping == "place":
        return None
    return scene.acquired if scene.acquired is not None else scene.scene_id


def acquisitions_of(outlines: Outlines, grouping: Grouping) -> list[Hashable]:
    """`acquisition_of` the scene of each chip."""
    if grouping == "place":
        return [None] * len(outlines)
    pairs = zip(outlines.acquired, outlines.scenes, strict=True)
    return [number if acquired is None else acquired for acquired, number in pairs]


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
    return group_ground(lay_out(footprints, acquisitions), most, most_shared=most_shared)


def group_ground(
    ground: Ground,
    most: int,
    *,
    most_shared: float = MOST_SHARED,
    plain_pairs: int = _PLAIN_PAIRS,
) -> list[Object]:
    """`group_objects` of footprints that are laid out.

    Args:
        ground: The footprints, best first.
        most: Objects wanted.
        most_shared: As in `group_objects`.
        plain_pairs: Pairs compared before a search tree is laid out, which changes no answer.
    """
    pairs = _Pairs(ground, limit=most_shared + _ROUNDING)
    left = np.ones(len(ground.areas), dtype=np.bool_)
    objects: list[Object] = []
    around: _Around | None = None
    compared = 0
    for best in range(len(left)):
        if len(objects) == most:
            break
        if not left[best]:
            continue
        if around is None and compared >= plain_pairs:
            around = _Around(ground, np.flatnonzero(left))
        if around is None:
            behind = slice(best + 1, None)
            compared += len(left) - best - 1
            members = best + 1 + np.flatnonzero(pairs.same(best, behind, left[behind]))
        else:
            some = around.behind(best)
            members = some[pairs.same(best, some, left[some])]
        left[members] = False
        objects.append(Object(best=best, members=tuple(members.tolist())))
    return objects


class _Pairs:
    """Says which footprints share too much ground with another to be objects of their own."""

    def __init__(self, ground: Ground, *, limit: float) -> None:
        self._ground = ground
        self._limit = limit
        west, south, east, north = ground.boxes
        self._free = (east - west) * (north - south) - ground.areas

    def same(
        self, best: int, rest: slice | _Integers, asked: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Those of `rest` that are asked for and of one object with `best`, bool (rest,)."""
        ground, free = self._ground, self._free
        west, south, east, north = ground.boxes
        wide = np.minimum(east[rest], east[best]) - np.maximum(west[rest], west[best])
        high = np.minimum(north[rest], north[best]) - np.maximum(south[rest], south[best])
        at_most = np.maximum(wide, 0.0) * np.maximum(high, 0.0)
        enough = self._limit * np.minimum(ground.areas[rest], ground.areas[best])
        near = asked & (at_most > enough) & (ground.groups[rest] == ground.groups[best])
        same: npt.NDArray[np.bool_] = near & (at_most - free[rest] - free[best] > enough)
        unsure = np.flatnonzero(near & ~same)
        if len(unsure):
            shared = _shared(ground.outlines[rest][unsure], ground.outlines[best])
            same[unsure] = shared > enough[unsure]
        return same


class _Around:
    """Finds the footprints of one group whose boxes meet.

    Boxes are of parts: that of a whole footprint at the date line spans the world. Groups lie
    apart from each other, since many acquisitions may show one place.
    """

    def __init__(self, ground: Ground, some: _Integers) -> None:
        parts, owners = shapely.get_parts(ground.outlines[some], return_index=True)
        self._owners = some[owners]  # ascending
        self._starts = np.searchsorted(self._owners, np.arange(len(ground.areas) + 1))
        west, south, east, north = shapely.bounds(parts).reshape(-1, 4).T
        apart = _APART_DEG * ground.groups[self._owners]
        self._boxes = shapely.box(west + apart, south, east + apart, north)
        self._tree = shapely.STRtree(self._boxes)

    def behind(self, best: int) -> _Integers:
        """Footprints behind `best` that may share ground with it, ascending."""
        own = slice(self._starts[best], self._starts[best + 1])
        found = self._owners[self._tree.query(self._boxes[own])[1]]
        return np.unique(found[found > best])


def _shared(outlines: _Geometries, other: Polygon | MultiPolygon) -> _Floats:
    """Area that each of some outlines shares with another, (n,)."""
    both = np.array([*outlines, other], dtype=np.object_)
    broken = ~shapely.is_valid(both)
    if broken.any():  # only an index from elsewhere holds such; areas of them would raise
        both[broken] = shapely.make_valid(both[broken])
    return np.asarray(shapely.area(shapely.intersection(both[:-1], both[-1])), dtype=np.float64)
