"""Boxes, footprints and areas of interest in lon/lat: pure, no projection, no I/O.

A box is (west, south, east, north) in degrees, CRS84; west > east crosses the date line
(RFC 7946, 5.2). Geometries are split at the date line (RFC 7946, 3.1.9), so that every
longitude lies within [-180, 180] and no edge jumps from one side of a map to the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from georclip.errors import QueryError

AnyGeometry = TypeVar("AnyGeometry", bound=BaseGeometry)
BBox = tuple[float, float, float, float]

_SLIVER_DEG = 1e-9
"""Parts narrower than this (0.1 mm) are rounding, not ground."""


def parse_bbox(values: Sequence[str] | Sequence[float] | str) -> BBox:
    """Read a box as typed or handed over.

    Args:
        values: "W,S,E,N", or four strings or numbers: degrees, lon/lat.

    Returns:
        (west, south, east, north); west > east crosses the date line.

    Raises:
        QueryError: Not four numbers, out of range, or a box without area.
    """
    parts: list[str | float] = list(values.split(",")) if isinstance(values, str) else list(values)
    shown = ",".join(str(part).strip() for part in parts)
    if len(parts) != 4:
        raise QueryError(
            f"bbox {shown!r} has {len(parts)} values, not 4: give west,south,east,north in degrees"
        )
    try:
        west, south, east, north = (float(part) for part in parts)
    except (TypeError, ValueError):
        raise QueryError(
            f"bbox {shown!r} holds something that is no number: "
            "give west,south,east,north in degrees, such as -76.8,34.6,-76.5,34.8"
        ) from None
    if not all(math.isfinite(value) for value in (west, south, east, north)):
        raise QueryError(f"bbox {shown!r} holds a value that is not finite: give four numbers")
    if max(abs(south), abs(north)) > 90:
        raise QueryError(
            f"bbox {shown!r} has a latitude beyond 90 degrees: "
            "the order is west,south,east,north, in degrees and not in metres"
        )
    if max(abs(west), abs(east)) > 180:
        raise QueryError(
            f"bbox {shown!r} has a longitude beyond 180 degrees: "
            "a box over the date line has west > east, such as 170,-20,-170,-10"
        )
    if south >= north:
        relation = "equal to" if south == north else "greater than"
        raise QueryError(
            f"bbox {shown!r} has south {relation} north: the order is west,south,east,north"
        )
    if west == east or (west == 180 and east == -180):
        raise QueryError(f"bbox {shown!r} has no width: west and east must differ")
    return west, south, east, north


def bbox_polygon(bbox: BBox) -> Polygon | MultiPolygon:
    """Draw a box as an area, counter-clockwise, split at the date line where west > east."""
    west, south, east, north = bbox
    if west < east:
        return shapely.box(west, south, east, north, ccw=True)
    return split_at_date_line(shapely.box(west, south, east + 360.0, north, ccw=True))


def unwrap(ring: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Make the longitudes of a closed line continuous, so that they may leave [-180, 180].

    A ring that winds around a pole is led along the pole, which makes it an area in lon/lat.

    Args:
        ring: (n, 2) lon, lat in degrees, neighbours less than 180 degrees apart; the last
            point may repeat the first.

    Returns:
        (m, 2), first point not repeated.
    """
    points = np.array(ring, dtype=np.float64)
    if len(points) > 1 and np.array_equal(points[0], points[-1]):
        points = points[:-1]
    closed = np.unwrap(np.append(points[:, 0], points[0, 0]), period=360.0)
    points[:, 0] = closed[:-1]
    winding = closed[-1] - closed[0]
    if abs(winding) < 180.0:
        return points
    pole = math.copysign(90.0, points[:, 1].mean())
    closing = [[closed[-1], points[0, 1]], [closed[-1], pole], [closed[0], pole]]
    return np.vstack([points, closing])


def split_at_date_line(geometry: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    """Bring an area whose longitudes may lie beyond +-180 into range, split where it crosses.

    Args:
        geometry: Continuous longitudes, such as 179 to 181; latitudes beyond 90 are cut off.

    Returns:
        Counter-clockwise parts with holes clockwise, lon within [-180, 180].
    """
    if not geometry.is_valid:
        geometry = cast("Polygon | MultiPolygon", shapely.make_valid(geometry))
    west, south, east, north = geometry.bounds
    if -180.0 <= west and east <= 180.0 and -90.0 <= south and north <= 90.0:
        return _joined(_polygons(geometry))
    first = math.floor((west + 180.0) / 360.0)
    last = math.floor((east + 180.0) / 360.0)
    parts: list[Polygon] = []
    for turn in range(first, last + 1):
        shift = 360.0 * turn
        strip = shapely.box(-180.0 + shift, -90.0, 180.0 + shift, 90.0)
        for part in _polygons(geometry.intersection(strip)):
            if part.bounds[2] - part.bounds[0] >= _SLIVER_DEG:
                parts.append(_shifted(part, -shift))
    if len(parts) > 1:  # what goes all the way round meets itself there
        parts = _polygons(shapely.union_all(parts))
    return _joined(parts)


def geometry_bounds(geometry: BaseGeometry) -> BBox:
    """Bound a split geometry by the narrowest box.

    Returns:
        (west, south, east, north); west > east where the box crosses the date line.

    Raises:
        ValueError: The geometry is empty.
    """
    if geometry.is_empty:
        raise ValueError("an empty geometry has no bounds")
    boxes = shapely.bounds(shapely.get_parts(geometry))
    boxes = boxes[~np.isnan(boxes[:, 0])]
    south, north = float(boxes[:, 1].min()), float(boxes[:, 3].max())
    west, east = float(boxes[:, 0].min()), float(boxes[:, 2].max())
    widest, reach = west + 360.0 - east, west  # the gap over the date line
    for part_west, part_east in sorted(boxes[:, [0, 2]].tolist()):
        if part_west - reach > widest:
            widest, west, east = part_west - reach, part_west, reach
        reach = max(reach, part_east)
    return west, south, east, north


def bounds_overlap(bounds: npt.NDArray[np.float64], bbox: BBox) -> npt.NDArray[np.bool_]:
    """Find boxes that share at least a point with another: candidates of an exact test.

    Args:
        bounds: (n, 4) west, south, east, north in degrees; west > east crosses the date line.
        bbox: The same order, and may cross too.

    Returns:
        bool, (n,). Touching counts, also at the date line, which is -180 as well as 180.
    """
    west, south, east, north = bbox
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    if west == -180.0 or west > east:
        spans.append((180.0, 180.0))
    if east == 180.0 or west > east:
        spans.append((-180.0, -180.0))
    crossing = bounds[:, 0] > bounds[:, 2]
    any_crossing = bool(crossing.any())
    found = np.zeros(len(bounds), dtype=np.bool_)
    for span_west, span_east in spans:
        starts = bounds[:, 0] <= span_east
        ends = bounds[:, 2] >= span_west
        found |= starts & ends
        if any_crossing:
            found |= crossing & (starts | ends)
    return found & (bounds[:, 1] <= north) & (bounds[:, 3] >= south)


def equal_area(lonlat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Project points so that areas compare at every latitude.

    Lambert's cylindrical equal-area projection, x = lon, y = sin(lat), scaled to degrees on both
    axes (Snyder, Map Projections, USGS Professional Paper 1395, page 76).

    Args:
        lonlat: (n, 2), degrees.

    Returns:
        (n, 2).
    """
    return np.column_stack([lonlat[:, 0], np.rad2deg(np.sin(np.deg2rad(lonlat[:, 1])))])


def passes_aoi(footprint: Polygon | MultiPolygon, aoi: BaseGeometry) -> bool:
    """Say whether a footprint shares area with an AOI, or touches it where that has no area."""
    return bool(footprints_pass_aoi(np.array([footprint], dtype=object), aoi)[0])


def footprints_pass_aoi(
    footprints: npt.NDArray[np.object_], aoi: BaseGeometry
) -> npt.NDArray[np.bool_]:
    """Apply `passes_aoi` to many footprints at once.

    Args:
        footprints: (n,) polygons and multipolygons, lon/lat, split at the date line.
        aoi: lon/lat, split at the date line; any type, also a collection.

    Returns:
        bool, (n,).
    """
    found = np.zeros(len(footprints), dtype=np.bool_)
    for part in _at_both_sides(_simple_parts(aoi)):
        shapely.prepare(part)
        met = shapely.intersects(part, footprints)
        if part.area > 0:  # of two areas that meet, those that only touch share none
            met[met] = ~shapely.touches(part, footprints[met])
        found |= met
    return found


def _simple_parts(geometry: BaseGeometry) -> Iterable[BaseGeometry]:
    """Take collections apart, down to geometries of one kind; empty ones are dropped."""
    if geometry.geom_type == "GeometryCollection":
        for part in shapely.get_parts(geometry):
            yield from _simple_parts(part)
    elif not geometry.is_empty:
        yield geometry


def _at_both_sides(parts: Iterable[BaseGeometry]) -> Iterable[BaseGeometry]:
    """Repeat what has no area and lies on the date line on the line's other side."""
    for part in parts:
        yield part
        if part.area == 0 and max(abs(part.bounds[0]), abs(part.bounds[2])) == 180.0:
            turn = -math.copysign(360.0, part.bounds[0] + part.bounds[2])
            yield _shifted(part, turn)


def _shifted(geometry: AnyGeometry, degrees: float) -> AnyGeometry:
    """Move a geometry east."""
    offset = np.array([degrees, 0.0])
    return shapely.transform(geometry, lambda points: points + offset)


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    return [
        part
        for simple in _simple_parts(geometry)
        for part in shapely.get_parts(simple)
        if isinstance(part, Polygon) and part.area > 0
    ]


def _joined(parts: list[Polygon]) -> Polygon | MultiPolygon:
    turned = [orient(part) for part in parts]
    if len(turned) == 1:
        return turned[0]
    return MultiPolygon(turned)
