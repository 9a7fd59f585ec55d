"""Where a question looks: a box, an AOI, or what both share. Loads shapely, and no more."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

import numpy as np
import shapely
from shapely import GeometryCollection, affinity
from shapely.geometry.base import BaseGeometry

from georclip.errors import QueryError
from georclip.geometry import bbox_polygon, parse_bbox, split_at_date_line

log = logging.getLogger("georclip")


def find_area(
    *,
    bbox: Sequence[float] | Sequence[str] | str | None = None,
    aoi: str | os.PathLike[str] | BaseGeometry | None = None,
) -> BaseGeometry:
    """The area that a box, an AOI, or both leave.

    Args:
        bbox: West, south, east, north in degrees; west > east crosses the date line.
        aoi: A vector file, any CRS, or a geometry in EPSG:4326.

    Returns:
        EPSG:4326, valid, not empty, split at the date line.

    Raises:
        QueryError: Neither is given, one makes no sense, or the two do not meet.
    """
    box = _box(bbox) if bbox is not None else None
    if aoi is None:
        if box is None:
            raise QueryError("no area given: give a bbox or an AOI")
        return box
    if isinstance(aoi, BaseGeometry):
        area = clean_area(aoi, source="the AOI")
    else:
        from georclip.search.aoi import read_aoi  # loads geopandas

        area = read_aoi(aoi)
    return area if box is None else _shared(area, box)


def _box(bbox: Sequence[float] | Sequence[str] | str) -> BaseGeometry:
    """A box as an area; one that looks as if west and east were swapped is remarked on."""
    west, south, east, north = parse_bbox(bbox)
    width = east + 360.0 - west
    if west > east and width > 180.0:
        log.warning(
            "the bbox has west > east and was read as a box over the date line, %.6g degrees wide: "
            "if that is not meant, swap %g and %g",
            width, west, east,
        )  # fmt: skip
    return bbox_polygon((west, south, east, north))


def clean_area(geometry: BaseGeometry, *, source: str) -> BaseGeometry:
    """Repair an EPSG:4326 geometry and bring it into range.

    Args:
        geometry: Any type; longitudes may run beyond 180 (0 to 360 does, too).
        source: What an error is about: a file, or "the AOI".

    Returns:
        Valid, two-dimensional, lon within [-180, 180], lat within [-90, 90].

    Raises:
        QueryError: Empty, not finite, or no lon/lat.
    """
    flat = shapely.force_2d(geometry)
    if flat.is_empty:
        raise QueryError(f"{source} is empty: draw something in it")
    if not np.isfinite(shapely.get_coordinates(flat)).all():
        raise QueryError(f"{source} holds coordinates that are not finite numbers: repair it")
    west, south, east, north = flat.bounds
    if max(-south, north) > 90 or max(-west, east) > 540:
        raise QueryError(
            f"{source} reaches from {west:g},{south:g} to {east:g},{north:g}, which is no "
            "longitude and latitude: state its CRS, or swap the two"
        )
    parts = [_in_range(part) for part in _repaired(flat)]
    whole = shapely.union_all([part for part in parts if not part.is_empty])
    if whole.is_empty:
        raise QueryError(f"{source} is invalid beyond repair: draw it again")
    return whole


def _repaired(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Valid parts of one kind each; what an area loses all area in becomes a line or point."""
    repaired: list[BaseGeometry] = []
    for part in simple_parts(geometry):
        whole = simple_parts(shapely.make_valid(part))
        areas = [piece for piece in whole if piece.area > 0]
        repaired.extend(areas if areas else whole)
    return repaired


def simple_parts(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Points, lines and polygons that a geometry is made of, however deeply nested."""
    if isinstance(geometry, GeometryCollection) or geometry.geom_type.startswith("Multi"):
        return [piece for part in shapely.get_parts(geometry) for piece in simple_parts(part)]
    return [] if geometry.is_empty else [geometry]


def _in_range(geometry: BaseGeometry) -> BaseGeometry:
    """Bring longitudes beyond 180 back; areas are split at the date line."""
    west, _, east, _ = geometry.bounds
    if -180 <= west and east <= 180:
        return geometry
    if isinstance(geometry, shapely.Polygon):
        return split_at_date_line(geometry)
    pieces: list[BaseGeometry] = []
    for shift in (-360.0, 0.0, 360.0):
        strip = shapely.box(shift - 180.0, -90.0, shift + 180.0, 90.0)
        piece = geometry.intersection(strip)
        if not piece.is_empty:
            pieces.append(affinity.translate(piece, xoff=-shift))
    return shapely.union_all(pieces)


def _shared(area: BaseGeometry, box: BaseGeometry) -> BaseGeometry:
    """What an AOI and a box have in common, without the lines along which areas only touch."""
    shared: list[BaseGeometry] = []
    for part in simple_parts(area):
        pieces = simple_parts(part.intersection(box))
        shared.extend(piece for piece in pieces if piece.area > 0 or part.area == 0)
    if not shared:
        raise QueryError("the bbox and the AOI do not overlap: no place lies in both")
    return shapely.union_all(shared)
