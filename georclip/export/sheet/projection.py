"""From lon/lat to a flat picture: web Mercator, or plain degrees near the poles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from georclip.geometry import geometry_bounds

MERCATOR_LATITUDE_DEG = 85.0
_METRES_PER_DEG = 111_320.0

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A flat picture of the Earth in degrees of longitude, y growing to the north.

    Attributes:
        west: Longitudes are led into [west, west + 360), so that nothing near the date line is
            torn apart.
        plain: Latitudes as they are, for places near the poles; else spherical Mercator.
    """

    west: float
    plain: bool

    def project(self, lonlat: npt.ArrayLike) -> Points:
        """Project points (..., 2) that are continuous, as `led` makes them."""
        points = np.array(lonlat, dtype=np.float64)
        if not self.plain:
            limit = math.radians(MERCATOR_LATITUDE_DEG)
            latitude = np.clip(np.radians(points[..., 1]), -limit, limit)
            points[..., 1] = np.degrees(np.arctanh(np.sin(latitude)))
        return points

    def latitude(self, y: float) -> float:
        """The latitude that lies at a projected y, degrees."""
        return y if self.plain else math.degrees(math.atan(math.sinh(math.radians(y))))

    def led(self, footprint: BaseGeometry) -> Polygon | MultiPolygon:
        """A footprint in one piece, its longitudes continuous, in degrees."""
        parts = [self._led_part(part) for part in shapely.get_parts(footprint)]
        whole = shapely.union_all(parts) if len(parts) > 1 else parts[0]
        return whole if isinstance(whole, (Polygon, MultiPolygon)) else parts[0]

    def _led_part(self, part: BaseGeometry) -> Polygon:
        middle = (part.bounds[0] + part.bounds[2]) / 2
        turns = math.floor((middle - self.west) / 360.0)
        offset = np.array([-360.0 * turns, 0.0])
        return cast("Polygon", shapely.transform(part, lambda points: points + offset))

    def metres(self, y: float) -> float:
        """Ground metres of one degree of longitude at a projected y."""
        return _METRES_PER_DEG * math.cos(math.radians(self.latitude(y)))


def choose_projection(footprints: Sequence[BaseGeometry]) -> Projection:
    """A projection that shows footprints without tearing them apart.

    Args:
        footprints: At least one; EPSG:4326, split at the date line.
    """
    parts = [part for footprint in footprints for part in shapely.get_parts(footprint)]
    west, south, east, north = geometry_bounds(MultiPolygon(parts))
    around = west - (west + 360.0 - east if west <= east else west - east) / 2
    polar = max(-south, north) > MERCATOR_LATITUDE_DEG
    return Projection(west=around, plain=polar)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A rectangle of the projected plane, and its picture of `width` x `height` units.

    Attributes:
        projection: How lon/lat get onto the plane.
        bounds: West, south, east, north on the plane.
        width: Of the picture, in units of the SVG.
        height: Of the picture.
    """

    projection: Projection
    bounds: tuple[float, float, float, float]
    width: float
    height: float

    @property
    def units(self) -> float:
        """Units of the picture per projected degree."""
        return self.width / (self.bounds[2] - self.bounds[0])

    def place(self, lonlat: npt.ArrayLike) -> Points:
        """Points (..., 2) of continuous lon/lat as x to the right and y downwards, in units."""
        plane = self.projection.project(lonlat)
        west, _, _, north = self.bounds
        return np.stack(
            [(plane[..., 0] - west) * self.units, (north - plane[..., 1]) * self.units], axis=-1
        )

    def rings(self, footprint: BaseGeometry) -> list[Points]:
        """Outer rings of a footprint, each (n, 2) in units, the last point not repeated."""
        parts = shapely.get_parts(self.projection.led(footprint))
        return [self.place(shapely.get_coordinates(part.exterior)[:-1]) for part in parts]


def fit_view(
    projection: Projection,
    footprints: Iterable[BaseGeometry],
    *,
    margin: float,
    width: float,
    heights: tuple[float, float],
) -> View:
    """The view that shows footprints with some ground around them.

    Args:
        projection: Of the plane.
        footprints: At least one.
        margin: Left on each side, as a share of the longer one; a footprint's side at least.
        width: Of the picture, units.
        heights: Least and most height of the picture, units; the view is widened to fit.
    """
    outlines = [projection.led(footprint) for footprint in footprints]
    points = projection.project(shapely.get_coordinates(outlines))
    corners = projection.project(shapely.bounds(outlines).reshape(-1, 2, 2))
    side = float(np.median(np.ptp(corners, axis=1).max(axis=-1)))
    west, south = points.min(axis=0)
    east, north = points.max(axis=0)
    around = max(margin * max(east - west, north - south), side, 1e-5)
    west, south, east, north = west - around, south - around, east + around, north + around
    shape = (north - south) / (east - west)
    height = min(max(shape * width, heights[0]), heights[1])
    across = max(east - west, (north - south) * width / height)
    down = across * height / width
    x, y = (west + east) / 2, (south + north) / 2
    bounds = (x - across / 2, y - down / 2, x + across / 2, y + down / 2)
    return View(projection=projection, bounds=bounds, width=width, height=height)
