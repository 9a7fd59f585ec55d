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
        if self._rectangles is None or not self._has_area:
            return self._judge_by_shape(bounds, crossing=bounds[:, 0] > bounds[:, 2])
        west, south, east, north = np.ascontiguousarray(bounds.T)
        crossing = west > east
        inside, met = np.zeros_like(crossing), np.zeros_like(crossing)
        for left, bottom, right, top in self._rectangles.tolist():
            shares = (west < right) & (east > left) & (south < top) & (north > bottom)
            across = (left <= west) & (east <= right)
            along = (bottom <= south) & (north <= top)
            inside |= shares & (across | along)
            met |= shares
        if crossing.any():
            inside &= ~crossing
            met = np.where(crossing, self._near(bounds), met)
        return Verdict(inside=inside, unsure=met & ~inside)

    def judge_pages(self, bounds: npt.NDArray[np.float64]) -> Verdict:
        """Boxes around many chips: inside only where each chip's own box must be.

        Args:
            bounds: (n, 4); west = -180 and east = 180 where a chip crosses the date line.
        """
        if self._rectangles is None or not self._has_area:
            return self._judge_by_shape(bounds, crossing=np.zeros(len(bounds), dtype=np.bool_))
        west, south, east, north = np.ascontiguousarray(bounds.T)
        inside, met = np.zeros(len(bounds), dtype=np.bool_), np.zeros(len(bounds), dtype=np.bool_)
        for left, bottom, right, top in self._rectangles.tolist():
            met |= (west < right) & (east > left) & (south < top) & (north > bottom)
            inside |= (left <= west) & (east <= right) & (bottom <= south) & (north <= top)
        return Verdict(inside=inside, unsure=met & ~inside)

    def _judge_by_shape(
        self, bounds: npt.NDArray[np.float64], *, crossing: npt.NDArray[np.bool_]
    ) -> Verdict:
        """The same for any area; what has no area of its own is left to outlines."""
        near = self._near(bounds)
        if not self._has_area:
            return Verdict(inside=np.zeros_like(near), unsure=near)
        inside, unsure, plain = np.zeros_like(near), near & crossing, near & ~crossing
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
