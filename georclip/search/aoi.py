"""An AOI file of any vector format and CRS -> one geometry in EPSG:4326. Loads geopandas."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from georclip.errors import QueryError
from georclip.geometry import unwrap
from georclip.search.place import clean_area, simple_parts

log = logging.getLogger("georclip")

_LONLAT_SUFFIXES = frozenset({".geojson", ".json", ".geojsonl", ".geojsonseq", ".geojsons"})
_STEPS = 64
"""Edges are cut into at least this many pieces of an AOI's longer side before they are
projected, since a straight edge of another CRS is bent in lon/lat."""


def read_aoi(path: str | os.PathLike[str]) -> BaseGeometry:
    """Join all features of a vector file into one area.

    Args:
        path: GeoJSON, GeoPackage, shapefile, FlatGeobuf, KML ...: what GDAL reads, any CRS.

    Returns:
        EPSG:4326, valid, not empty, split at the date line; lines and points are kept.

    Raises:
        QueryError: The file is missing, unreadable, without a CRS (GeoJSON needs none), or
            holds nothing.
    """
    name = os.fspath(path)
    source = f"the AOI {name}"
    if "://" not in name and not name.startswith("/vsi") and not Path(name).exists():
        raise QueryError(f"{source} does not exist: check the path")
    frame = _read_frame(name, source)
    shapes = [shape for shape in frame.geometry if shape is not None and not shape.is_empty]
    if not shapes:
        raise QueryError(f"{source} is empty: it holds no feature with a geometry")
    crs = frame.crs
    if crs is None:
        if Path(name).suffix.lower() not in _LONLAT_SUFFIXES:
            raise QueryError(
                f"{source} does not say its CRS: add it (a shapefile's .prj), or give GeoJSON"
            )
        crs = "EPSG:4326"
    joined = shapely.GeometryCollection([shapely.force_2d(shape) for shape in shapes])
    return clean_area(_to_lonlat(joined, crs, source), source=source)


def _read_frame(name: str, source: str) -> geopandas.GeoDataFrame:
    try:
        layers = [layer for layer, kind in pyogrio.list_layers(name) if kind is not None]
        if not layers:
            raise QueryError(f"{source} holds no layer with geometries: give a vector file")
        if pyogrio.read_info(name, layer=layers[0])["driver"] == "OGR_VRT":
            # A VRT names other files, which nobody typed.
            raise QueryError(f"{source} is a VRT, which points to other files: give those")
        frame = geopandas.read_file(name, layer=layers[0])
    except QueryError:
        raise
    except Exception as error:  # GDAL's drivers raise what they like
        reason = " ".join(str(error).split())
        raise QueryError(f"{source} cannot be read as vector data: {reason}") from error
    if len(layers) > 1:
        log.info("%s has %d layers: %r is used", source, len(layers), layers[0])
    return frame


def _to_lonlat(geometry: BaseGeometry, crs: object, source: str) -> BaseGeometry:
    """Project to EPSG:4326, keeping areas over the date line in one piece until they are split."""
    series = geopandas.GeoSeries([geometry], crs=crs)
    if series.crs.is_geographic:
        moved: BaseGeometry = series.to_crs("EPSG:4326").iloc[0]
        return moved
    west, south, east, north = geometry.bounds
    side = max(east - west, north - south)
    pieces = []
    for part in simple_parts(geometry):
        dense = part if side == 0 else shapely.segmentize(part, side / _STEPS)
        moved = geopandas.GeoSeries([dense], crs=crs).to_crs("EPSG:4326").iloc[0]
        if not np.isfinite(shapely.get_coordinates(moved)).all():
            raise QueryError(f"{source} reaches beyond where its CRS can be turned into lon/lat")
        pieces.append(_continuous(moved))
    return shapely.GeometryCollection(pieces)


def _continuous(part: BaseGeometry) -> BaseGeometry:
    """Let a projected area's or line's longitudes run on over the date line."""
    west, _, east, _ = part.bounds
    if east - west < 180.0 or part.geom_type == "Point":
        return part
    if isinstance(part, shapely.Polygon):
        shell = unwrap(part.exterior.coords)
        middle = shell[:, 0].mean()
        holes = [_near(unwrap(hole.coords), middle) for hole in part.interiors]
        return shapely.Polygon(shell, holes)
    points = np.array(part.coords)
    points[:, 0] = np.unwrap(points[:, 0], period=360.0)
    return shapely.LineString(points)


def _near(ring: np.ndarray, lon: float) -> np.ndarray:
    """Turn a hole by whole circles until it lies on its shell's side."""
    ring[:, 0] += 360.0 * np.round((lon - ring[:, 0].mean()) / 360.0)
    return ring
