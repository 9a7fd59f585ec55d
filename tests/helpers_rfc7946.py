"""What a GeoJSON document breaks of RFC 7946: written from the RFC, unaware of the exporter.

Every finding is "place: what is wrong (section)". Where the RFC says SHOULD, this says must.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

GEOMETRY_DEPTHS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
TYPES = {*GEOMETRY_DEPTHS, "GeometryCollection", "Feature", "FeatureCollection"}
DEFINED = ("coordinates", "geometries", "geometry", "properties", "features")
MAX_DECIMALS = 7


def findings(text: str) -> list[str]:
    """Everything that is wrong with a document; [] for a good one."""
    try:
        document = json.loads(text, parse_float=_Number, parse_constant=_refuse_constant)
    except ValueError as error:
        return [f"document: not JSON: {error} (2)"]
    if not isinstance(document, dict):
        return ["document: not an object (2)"]
    return list(_check_object(document, "document"))


class _Number(float):
    """A float that remembers how it was written."""

    def __new__(cls, text: str) -> _Number:
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _check_object(value: dict[str, Any], place: str) -> Iterator[str]:
    kind = value.get("type")
    if kind not in TYPES:
        yield f"{place}: type is {kind!r} (1.4)"
        return
    if "crs" in value:
        yield f"{place}: has a crs (4)"
    if kind == "FeatureCollection":
        yield from _check_collection(value, place)
    elif kind == "Feature":
        yield from _check_feature(value, place)
    else:
        yield from _check_geometry(value, place)
    yield from _check_bbox(value, place)


def _check_collection(value: dict[str, Any], place: str) -> Iterator[str]:
    for member in ("coordinates", "geometries", "geometry", "properties"):
        if member in value:
            yield f"{place}: a FeatureCollection has no {member} (7.1)"
    features = value.get("features")
    if not isinstance(features, list):
        yield f"{place}: features is no array (3.3)"
        return
    seen: set[Any] = set()
    for number, feature in enumerate(features):
        here = f"{place}.features[{number}]"
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            yield f"{here}: is no Feature (3.3)"
            continue
        identifier = feature.get("id")
        if identifier is not None and identifier in seen:
            yield f"{here}: id {identifier!r} is there twice (3.2)"
        seen.add(identifier)
        yield from _check_object(feature, here)


def _check_feature(value: dict[str, Any], place: str) -> Iterator[str]:
    for member in ("coordinates", "geometries", "features"):
        if member in value:
            yield f"{place}: a Feature has no {member} (7.1)"
    if "properties" not in value or not isinstance(value["properties"], dict | None):
        yield f"{place}: properties is neither object nor null (3.2)"
    identifier = value.get("id")
    if "id" in value and (
        isinstance(identifier, bool) or not isinstance(identifier, str | int | float)
    ):
        yield f"{place}: id is neither text nor number (3.2)"
    if "geometry" not in value:
        yield f"{place}: has no geometry (3.2)"
    elif value["geometry"] is not None:
        geometry = value["geometry"]
        if not isinstance(geometry, dict) or geometry.get("type") not in (
            *GEOMETRY_DEPTHS,
            "GeometryCollection",
        ):
            yield f"{place}: geometry is no geometry (3.2)"
        else:
            yield from _check_object(geometry, f"{place}.geometry")


def _check_geometry(value: dict[str, Any], place: str) -> Iterator[str]:
    for member in ("geometry", "properties", "features"):
        if member in value:
            yield f"{place}: a geometry has no {member} (7.1)"
    kind = value["type"]
    if kind == "GeometryCollection":
        for number, part in enumerate(value.get("geometries", [])):
            yield from _check_object(part, f"{place}.geometries[{number}]")
        return
    shape = value.get("coordinates")
    wrong = list(_check_nesting(shape, GEOMETRY_DEPTHS[kind], f"{place}.coordinates"))
    yield from wrong
    if wrong:
        return
    lines = {
        "LineString": lambda: [shape],
        "MultiLineString": lambda: shape,
        "Polygon": lambda: shape,
        "MultiPolygon": lambda: [ring for polygon in shape for ring in polygon],
    }.get(kind, list)()
    for line in lines:
        if any(180 < abs(b[0] - a[0]) < 360 for a, b in pairwise(line)):
            yield f"{place}: an edge crosses the antimeridian (3.1.9)"
    polygons = {"Polygon": [shape], "MultiPolygon": shape}.get(kind, [])
    for number, polygon in enumerate(polygons):
        yield from _check_polygon(polygon, f"{place}.polygon[{number}]")


def _check_nesting(value: Any, depth: int, place: str) -> Iterator[str]:
    if not isinstance(value, list) or not value:
        yield f"{place}: is no array with members (3.1.1)"
    elif depth:
        for number, part in enumerate(value):
            yield from _check_nesting(part, depth - 1, f"{place}[{number}]")
    else:
        yield from _check_position(value, place)


def _check_position(value: list[Any], place: str) -> Iterator[str]:
    if len(value) not in (2, 3):
        yield f"{place}: a position has 2 or 3 numbers, not {len(value)} (3.1.1)"
        return
    if any(isinstance(part, bool) or not isinstance(part, int | float) for part in value):
        yield f"{place}: holds something that is no number (3.1.1)"
        return
    if abs(value[0]) > 180 or abs(value[1]) > 90:
        yield f"{place}: {value} is out of range (4)"
    yield from _check_decimals(value, place)


def _check_decimals(values: list[Any], place: str) -> Iterator[str]:
    for value in values:
        written = getattr(value, "text", str(value))
        mantissa, _, exponent = written.lower().partition("e")
        found = re.search(r"\.(\d+)$", mantissa)
        decimals = (len(found[1]) if found else 0) - int(exponent or 0)
        if decimals > MAX_DECIMALS:
            yield f"{place}: {written} has more than {MAX_DECIMALS} decimals (11.2)"


def _check_polygon(rings: list[list[list[float]]], place: str) -> Iterator[str]:
    for number, ring in enumerate(rings):
        here = f"{place}.ring[{number}]"
        if len(ring) < 4:
            yield f"{here}: has {len(ring)} positions, not 4 or more (3.1.6)"
        if ring[0] != ring[-1]:
            yield f"{here}: is not closed (3.1.6)"
        lon, lat = ring[0][:2]  # small rings far from 0 would lose their area to rounding
        area = sum(
            (a[0] - lon) * (b[1] - lat) - (b[0] - lon) * (a[1] - lat) for a, b in pairwise(ring)
        )
        if area == 0:
            yield f"{here}: has no area (3.1.6)"
        elif (area > 0) != (number == 0):
            yield f"{here}: runs the wrong way round (3.1.6)"


def _check_bbox(value: dict[str, Any], place: str) -> Iterator[str]:
    if "bbox" not in value:
        return
    bbox = value["bbox"]
    if (
        not isinstance(bbox, list)
        or len(bbox) != 4
        or any(isinstance(part, bool) or not isinstance(part, int | float) for part in bbox)
    ):
        yield f"{place}: bbox is not four numbers (5)"
        return
    west, south, east, north = bbox
    if max(abs(west), abs(east)) > 180 or max(abs(south), abs(north)) > 90:
        yield f"{place}: bbox {bbox} is out of range (5)"
    if south > north:
        yield f"{place}: bbox has south above north (5)"
    yield from _check_decimals(bbox, f"{place}.bbox")
    groups = list(_position_groups(value))
    positions = [position for group in groups for position in group]
    if not positions:
        yield f"{place}: has a bbox and no positions (5)"
        return
    lats = [position[1] for position in positions]
    if min(lats) != south or max(lats) != north:
        yield f"{place}: bbox latitudes {south}, {north} are not those there (5)"
    spans = [(min(p[0] for p in group), max(p[0] for p in group)) for group in groups]
    inside = all(_within(span, west, east) for span in spans)
    tight = any(s[0] == west for s in spans) and any(s[1] == east for s in spans)
    if not inside or not tight:
        yield f"{place}: bbox longitudes {west}, {east} are not those there (5.2)"
    width = east - west if east >= west else east - west + 360
    if inside and width > _narrowest(spans) + 1e-9:
        yield f"{place}: bbox goes the long way round (5.2)"


def _within(span: tuple[float, float], west: float, east: float) -> bool:
    if west <= east:
        return west <= span[0] and span[1] <= east
    return span[0] >= west or span[1] <= east


def _narrowest(spans: list[tuple[float, float]]) -> float:
    """Degrees of the narrowest range of longitudes that holds all spans."""
    width = 360.0
    for start in {span[0] for span in spans}:
        ends = [(b if a >= start else b + 360) - start for a, b in spans]
        width = min(width, max(ends))
    return width


def _position_groups(value: Any) -> Iterator[list[list[float]]]:
    """Positions of each polygon, line or point: what lies together."""
    if isinstance(value.get("features"), list):
        for feature in value["features"]:
            if isinstance(feature, dict):
                yield from _position_groups(feature)
    elif isinstance(value.get("geometry"), dict):
        yield from _position_groups(value["geometry"])
    elif isinstance(value.get("geometries"), list):
        for part in value["geometries"]:
            yield from _position_groups(part)
    elif isinstance(value.get("coordinates"), list):
        shape = value["coordinates"]
        if value["type"].startswith("Multi"):
            for part in shape:
                yield list(_flat(part))
        else:
            yield list(_flat(shape))


def _flat(value: list[Any]) -> Iterator[list[float]]:
    if value and not isinstance(value[0], list):
        if all(isinstance(part, int | float) for part in value):
            yield value
    else:
        for part in value:
            yield from _flat(part)
