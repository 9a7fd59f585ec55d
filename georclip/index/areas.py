"""What a box alone says about a chip: surely in an area, surely not, or to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from georclip.geometry import bounds_overlap

_MOST_BOXES = 16
"""Parts of an area that get a box of their own; beyond, one box serves for all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """What boxes say.

    Attributes:
        inside: bool, (n,): whatever has area and fills its box to all four sides passes.
        unsure: bool, (n,): neither inside nor away; its outline decides.
    """

    inside: npt.NDArray[np.bool_]
    unsure: npt.NDArray[np.bool_]


class Area:
    """An area that chips are tested against, box by box.

    Args:
        aoi: EPSG:4326, split at the date line.
    """

    def __init__(self, aoi: BaseGeometry) -> None:
        self.aoi = aoi
        self._boxes = _boxes(aoi)
        self._rectangles = _rectangles(aoi)
        self._has_area = aoi.area > 0 and aoi.geom_type != "GeometryCollection"
        if self._rectangles is None:
            shapely.prepare(aoi)

    def judge_chips(self, bounds: npt.NDArray[np.float64]) -> Verdict:
        """Boxes of chips: (n, 4) west, south, east, north; west > east crosses the date line.

        A chip's outline is one connected polygon that touches all four sides of its box. So an
        upright rectangle that covers the box's whole height (or width) and some of the other
        side shares area with it, wherever the outline runs; only a rectangle whose corner lies
        in the box has to be held against the outline.
        """
        near = self._near(bounds)
        plain = near & (bounds[:, 0] <= bounds[:, 2])
        if not self._has_area:
            return Verdict(inside=np.zeros_like(near), unsure=near)
        if self._rectangles is None:
            return self._judge_by_shape(bounds, near, plain)
        inside, unsure = np.zeros_like(near), near & ~plain
        west, south, east, north = bounds.T
        for left, bottom, right, top in self._rectangles.tolist():
            met = plain & (west < right) & (east > left) & (south < top) & (north > bottom)
            across = (left <= west) & (east <= right)
            along = (bottom <= south) & (north <= top)
            inside |= met & (across | along)
            unsure |= met
        return Verdict(inside=inside, unsure=unsure & ~inside)

    def judge_pages(self, bounds: npt.NDArray[np.float64]) -> Verdict:
        """Boxes around many chips: inside only where each chip's own box must be.

        Args:
            bounds: (n, 4); west = -180 and east = 180 where a chip crosses the date line.
        """
        near = self._near(bounds)
        if not self._has_area:
            return Verdict(inside=np.zeros_like(near), unsure=near)
        if self._rectangles is None:
            return self._judge_by_shape(bounds, near, near)
        inside = np.zeros_like(near)
        west, south, east, north = bounds.T
        for left, bottom, right, top in self._rectangles.tolist():
            inside |= (left <= west) & (east <= right) & (bottom <= south) & (north <= top)
        return Verdict(inside=inside, unsure=near & ~inside)

    def _judge_by_shape(
        self,
        bounds: npt.NDArray[np.float64],
        near: npt.NDArray[np.bool_],
        plain: npt.NDArray[np.bool_],
    ) -> Verdict:
        inside, unsure = np.zeros_like(near), near & ~plain
        boxes = shapely.box(*(bounds[plain, side] for side in range(4)))
        inside[plain] = shapely.contains(self.aoi, boxes)
        unsure[plain] = ~inside[plain] & shapely.intersects(self.aoi, boxes)
        return Verdict(inside=inside, unsure=unsure)

    def _near(self, bounds: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which boxes share at least a point with the area's; touching at 180 degrees counts."""
        found = np.zeros(len(bounds), dtype=np.bool_)
        for west, south, east, north in self._boxes.tolist():
            found |= bounds_overlap(bounds, (west, south, east, north))
        return found


def _boxes(aoi: BaseGeometry) -> npt.NDArray[np.float64]:
    """Boxes around the parts of an area, (n, 4), or around all of it where it has many."""
    if aoi.is_empty:
        return np.empty((0, 4))
    parts = shapely.get_parts(aoi)
    parts = parts[~shapely.is_empty(parts)]
    boxes: npt.NDArray[np.float64] = shapely.bounds(parts if len(parts) <= _MOST_BOXES else aoi)
    return boxes.reshape(-1, 4)


def _rectangles(aoi: BaseGeometry) -> npt.NDArray[np.float64] | None:
    """The upright rectangles that an area is made of, (n, 4); None where it is made otherwise."""
    parts = shapely.get_parts(aoi)
    if len(parts) == 0 or len(parts) > _MOST_BOXES:
        return None
    for part in parts:
        west, south, east, north = shapely.bounds(part).tolist()
        if shapely.get_type_id(part) != shapely.GeometryType.POLYGON or not (
            west < east and south < north
        ):
            return None
        corners = {(west, south), (east, south), (east, north), (west, north)}
        ring = shapely.get_coordinates(part)
        upright = ((ring[1:] == ring[:-1]).sum(axis=1) == 1).all()
        if len(ring) != 5 or {(x, y) for x, y in ring.tolist()} != corners or not upright:
            return None
    found: npt.NDArray[np.float64] = shapely.bounds(parts)
    return found
