"""Hits as GeoJSON (RFC 7946), whole or as a text sequence (RFC 8142): json and shapely only."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.polygon import orient

from georclip.export.records import Hits, Property, as_hits, properties
from georclip.geometry import geometry_bounds
from georclip.values import SearchResult

DECIMALS = 7
"""Of coordinates: 7 decimals of a degree are a centimetre (RFC 7946, 11.2)."""

_RECORD_SEPARATOR = "\x1e"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A feature as it is written, and its footprint, rounded as there."""

    footprint: Polygon | MultiPolygon
    text: str


def dumps(result: SearchResult | Hits) -> str:
    """Write hits as a FeatureCollection, one feature a line.

    Ids are those of `feature_ids`. The member "georclip" says where hits come from (a foreign
    member: RFC 7946, 6.1). A collection without hits has no bbox.
    """
    hits = as_hits(result)
    return collection(_features(hits), hits.provenance.members())


def dumps_sequence(result: SearchResult | Hits) -> str:
    """Write hits as a GeoJSON text sequence: each feature between RS and a line feed."""
    return sequence(_features(as_hits(result)))


def collection(features: Iterable[Feature], members: Mapping[str, object]) -> str:
    """Write a FeatureCollection, one feature a line.

    Args:
        features: As `feature` makes them.
        members: The member "georclip".
    """
    written = list(features)
    lines = ['{"type": "FeatureCollection",']
    if written:
        lines.append(f'"bbox": {_dump(_bbox([one.footprint for one in written]))},')
    lines.append(f'"georclip": {_dump(members)},')
    text = ",\n".join(one.text for one in written)
    lines.append(f'"features": [\n{text}\n]}}' if text else '"features": []}')
    return "\n".join(lines) + "\n"


def sequence(features: Iterable[Feature]) -> str:
    """Write a GeoJSON text sequence (RFC 8142)."""
    return "".join(f"{_RECORD_SEPARATOR}{one.text}\n" for one in features)


def feature_ids(hits: Hits) -> Iterator[str]:
    """Name each feature, uniquely within its collection.

    A hit is called by its chip_id. Where several questions were asked, one chip may answer more
    than one: then a mark of the question follows, 8 hex digits of its SHA-256, and where the same
    question was asked again, how many times it was asked until then: the same question has
    the same ids in every collection that it is asked in once.
    """
    if not hits.answers_many:
        yield from (record.chip_id for record in hits.records)
        return
    times: Counter[str] = Counter()
    for record in hits.records:
        question = (record.query or "").encode("utf-8", "replace")
        name = f"{record.chip_id}-{hashlib.sha256(question).hexdigest()[:8]}"
        times[name] += 1
        yield name if times[name] == 1 else f"{name}-{times[name]}"


def _features(hits: Hits) -> Iterator[Feature]:
    columns = tuple(hits.columns)
    for record, name in zip(hits.records, feature_ids(hits), strict=True):
        yield feature(name, record.footprint, properties(record, columns))


def feature(
    name: str, footprint: Polygon | MultiPolygon, properties: Mapping[str, Property]
) -> Feature:
    """Write one feature.

    Args:
        name: Its id, unique within its collection.
        footprint: EPSG:4326, split at the date line.
        properties: In their order.
    """
    rounded = _rounded(footprint)
    members = {
        "type": "Feature",
        "id": name,
        "bbox": _bbox([rounded]),
        "geometry": _geometry(rounded),
        "properties": properties,
    }
    return Feature(footprint=rounded, text=_dump(members))


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _bbox(footprints: list[Polygon | MultiPolygon]) -> list[float]:
    """West, south, east, north; west > east across the date line (RFC 7946, 5.2)."""
    parts = [part for footprint in footprints for part in _parts(footprint)]
    return list(geometry_bounds(MultiPolygon(parts)))


def _parts(footprint: Polygon | MultiPolygon) -> list[Polygon]:
    return list(footprint.geoms) if isinstance(footprint, MultiPolygon) else [footprint]


def _rounded(footprint: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    """Round to `DECIMALS`, shells counter-clockwise; parts that vanish are left out."""
    parts = [
        orient(Polygon(_round_ring(part.exterior), [_round_ring(hole) for hole in part.interiors]))
        for part in _parts(footprint)
    ]
    kept = [part for part in parts if part.area > 0] or parts[:1]
    return kept[0] if len(kept) == 1 else MultiPolygon(kept)


def _round_ring(ring: shapely.LinearRing) -> np.ndarray[Any, np.dtype[np.float64]]:
    points = np.round(shapely.get_coordinates(ring), DECIMALS) + 0.0  # no negative zeros
    repeated = np.zeros(len(points), dtype=bool)
    repeated[1:] = (points[1:] == points[:-1]).all(axis=1)
    kept = points[~repeated]
    return kept if len(kept) >= 4 else points


def _geometry(footprint: Polygon | MultiPolygon) -> dict[str, Any]:
    polygons = [
        [shapely.get_coordinates(ring).tolist() for ring in (part.exterior, *part.interiors)]
        for part in _parts(footprint)
    ]
    if isinstance(footprint, MultiPolygon):
        return {"type": "MultiPolygon", "coordinates": polygons}
    return {"type": "Polygon", "coordinates": polygons[0]}
