"""Hits read back from a file that georclip wrote, to be written in another format."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from georclip.errors import ExportError, QueryError
from georclip.export.asked import read_question, read_text
from georclip.export.records import ABSENT, OPTIONAL, PROPERTIES, HitRecord, Hits, Kind, Provenance
from georclip.export.writing import format_of
from georclip.printable import printable
from georclip.values import Query

if TYPE_CHECKING:
    import geopandas

log = logging.getLogger("georclip")

_LAST_LON, _LAST_LAT = 360.0, 90.000001
"""Degrees: what is beyond is no place. Others write longitudes from 0 to 360."""
_MOST = 2**53
"""Of whole numbers: every format holds them exactly."""


def read_hits(path: Path) -> Hits:
    """Read hits, best first; of several questions in the order of the file.

    Args:
        path: FILE.geojson, .geojsonseq, .gpkg or .parquet, written by georclip.

    Raises:
        ExportError: Missing, unreadable, or no hits of georclip.
    """
    if not path.is_file():
        raise ExportError(f"there is no file {path}: name hits that georclip wrote")
    format = format_of(path)
    if format not in _READERS:
        raise ExportError(f"hits cannot be read from {path}: give one of {', '.join(_READERS)}")
    try:
        hits = _READERS[format](path)
    except ExportError:
        raise
    except Exception as error:  # parsers and GDAL's drivers raise what they like
        reason = " ".join(str(error).split())
        raise ExportError(f"{path} cannot be read as {format}: {reason}") from error
    records = hits.records
    if not hits.answers_many:
        records = tuple(sorted(records, key=lambda record: record.rank))
    return replace(hits, records=records, read_from=os.path.abspath(path))


def _read_geojson(path: Path) -> Hits:
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not isinstance(document.get("features"), list):
        raise ExportError(f"{path} is no FeatureCollection: give hits that georclip wrote")
    found = _from_features(document["features"], path)
    return Hits(records=found, provenance=_provenance(document.get("georclip"), path))


def _read_geojsonseq(path: Path) -> Hits:
    text = path.read_text(encoding="utf-8").replace("\x1e", "\n")
    features = [json.loads(line) for line in text.split("\n") if line.strip()]
    return Hits(records=_from_features(features, path), provenance=Provenance())


def _read_gpkg(path: Path) -> Hits:
    import geopandas
    import pyogrio

    from georclip.export.geopackage import LAYER

    frame = geopandas.read_file(path, layer=LAYER)
    metadata = pyogrio.read_info(path, layer=LAYER).get("layer_metadata")
    return Hits(records=_from_frame(frame, path), provenance=_provenance(metadata, path))


def _read_geoparquet(path: Path) -> Hits:
    import geopandas

    frame = geopandas.read_parquet(path)
    return Hits(
        records=_from_frame(frame, path), provenance=_provenance(frame.attrs.get("georclip"), path)
    )


_READERS: Mapping[str, Callable[[Path], Hits]] = {
    "geojson": _read_geojson,
    "geojsonseq": _read_geojsonseq,
    "gpkg": _read_gpkg,
    "geoparquet": _read_geoparquet,
}


def _from_features(features: Iterable[Any], path: Path) -> tuple[HitRecord, ...]:
    import shapely

    found: list[HitRecord] = []
    for number, item in enumerate(features, start=1):
        shape = item["geometry"]
        try:
            footprint = None if shape is None else shapely.from_geojson(json.dumps(shape))
        except shapely.errors.ShapelyError as error:
            why = printable(error)[:200]
            raise ExportError(f"feature {path}: {number} has no geometry: {why}") from error
        found.append(_record(item["properties"], footprint, f"{path}: {number}"))
    return tuple(found)


def _from_frame(frame: geopandas.GeoDataFrame, path: Path) -> tuple[HitRecord, ...]:
    rows = frame.drop(columns=frame.geometry.name).to_dict("records")
    return tuple(
        _record(row, footprint, f"{path}: {number}")
        for number, (row, footprint) in enumerate(zip(rows, frame.geometry, strict=True), start=1)
    )


def _record(values: Mapping[str, Any], footprint: Any, where: str) -> HitRecord:  # noqa: ANN401
    """Check one hit's properties and footprint; `where` names it in errors."""
    parts: dict[str, Any] = {}
    for name, kind in PROPERTIES.items():
        if name not in values and name in ABSENT:
            continue
        if name not in values:
            raise ExportError(f"feature {where} has no {name}: give hits that georclip wrote")
        value = values[name]
        if kind == "texts":
            parts[name] = tuple(_unicode(text, f"{where}: {name}") for text in _texts(value))
        elif _is_null(value):
            if name not in OPTIONAL:
                raise ExportError(f"feature {where} has no value of {name}: it is no hit")
            parts[name] = None
        else:
            parts[name] = _convert(value, kind, f"{where}: {name}")
    query = values.get("query")
    return HitRecord(
        **parts,
        footprint=_area(footprint, where),
        query=None if _is_null(query) else _unicode(_one_line(query), f"{where}: query"),
    )


def _area(footprint: Any, where: str) -> Any:  # noqa: ANN401
    """Check a footprint, and take it without heights, as a Polygon where it is one."""
    if footprint is None or footprint.geom_type not in ("Polygon", "MultiPolygon"):
        raise ExportError(f"feature {where} is no area: give hits that georclip wrote")
    if not _lies_on_earth(footprint):
        raise ExportError(
            f"feature {where} is empty, or lies nowhere on Earth: give hits that georclip wrote"
        )
    if footprint.geom_type == "MultiPolygon" and len(footprint.geoms) == 1:
        footprint = footprint.geoms[0]
    if footprint.has_z:
        import shapely

        return shapely.force_2d(footprint)
    return footprint


def _lies_on_earth(footprint: Any) -> bool:  # noqa: ANN401
    west, south, east, north = footprint.bounds  # not a number where it is empty
    inside = _LAST_LON >= east >= west >= -_LAST_LON and _LAST_LAT >= north >= south >= -_LAST_LAT
    return bool(inside)


def _texts(value: object) -> tuple[str, ...]:
    """Ids as a list, or as one text parted by blanks."""
    if isinstance(value, list):
        return tuple(map(str, value))
    return tuple(value.split()) if isinstance(value, str) else ()


def _one_line(value: object) -> str:
    return " ".join(str(value).split())


def _is_null(value: object) -> bool:
    # pandas' missing values (NaN, NaT) are the only ones unlike themselves
    return value is None or value != value


def _convert(value: Any, kind: Kind, where: str) -> float | int | bool | str | datetime:  # noqa: ANN401
    try:
        if kind == "time":
            return _time(value)
        if kind == "text":
            return _unicode(str(value), where)
        if kind == "bool":
            return bool(value)
        number = float(value)
        if not math.isfinite(number):
            raise ValueError("not finite")
        if kind == "int" and abs(number) > _MOST:
            raise ValueError("too large")
        return int(number) if kind == "int" else number
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise ExportError(
            f"feature {where} is {_shown(value)}, which is no {kind}: {printable(error)}"
        ) from error


def _unicode(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ExportError(f"feature {where} is {_shown(text)}, which is no Unicode text") from None
    return text


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]} ..."


def _time(value: Any) -> datetime:  # noqa: ANN401
    stamp = datetime.fromisoformat(value) if isinstance(value, str) else value.to_pydatetime()
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)


def _provenance(member: object, path: Path) -> Provenance:
    """What a file says about where its hits come from, as far as it does."""
    known = member if isinstance(member, Mapping) else {}
    rows = str(known.get("rows_considered", ""))
    return Provenance(
        query=str(known.get("query") or ""),
        queries=_queries(known.get("queries")),
        encoder=str(known.get("encoder") or ""),
        rows_considered=int(rows) if rows.isdecimal() else None,
        version=str(known.get("version") or ""),
        convincing=_truth(known.get("convincing")),
        question=_question(known.get("question"), path),
        index=_index(known.get("index"), path),
    )


def _question(member: object, path: Path) -> Query | None:
    """The question, where the file keeps one that can be asked again."""
    if member is None:
        return None
    try:
        return read_question(member)
    except (QueryError, RecursionError) as error:
        log.warning("the question that %s keeps cannot be asked again: %s", path, error)
        return None


def _index(member: object, path: Path) -> str:
    """The index that hits come from; "" where the file names none that can be."""
    if member is None or member == "":
        return ""
    try:
        return read_text(member, "its name")
    except QueryError as error:
        log.warning("%s names no index that can be asked again: %s", path, error)
        return ""


def _truth(found: object) -> bool | None:
    """A truth value as JSON has it, or as text in a table of metadata."""
    return {"true": True, "false": False}.get(str(found).lower())


def _queries(found: object) -> tuple[str, ...]:
    """Several questions: a list, or the JSON of one."""
    listed = json.loads(found) if isinstance(found, str) else found
    return tuple(map(str, listed)) if isinstance(listed, list) else ()
