"""Hits as a GeoDataFrame, and as GeoParquet. Loads geopandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import geopandas
import pandas as pd

from georclip.export.records import Hits, Kind, Record, as_hits, joined
from georclip.values import SearchResult

_DTYPES: dict[Kind, str] = {
    "int": "int64",
    "float": "float64",
    "bool": "boolean",
    "text": "object",
    "texts": "object",
    "time": "datetime64[us, UTC]",
}


def to_geodataframe(result: SearchResult | Hits) -> geopandas.GeoDataFrame:
    """Put hits into a GeoDataFrame.

    Returns:
        One row a hit, best first: a column a property, and `geometry`, the footprint in
        EPSG:4326. `attrs["georclip"]` says where the hits come from.
    """
    hits = as_hits(result)
    frame = frame_of(hits.records, hits.columns)
    frame.attrs["georclip"] = hits.provenance.members()
    return frame


def frame_of(records: Sequence[Record], columns: Mapping[str, Kind]) -> geopandas.GeoDataFrame:
    """Put properties and footprints of records into a GeoDataFrame, a row each."""
    found = {name: column(records, name, kind) for name, kind in columns.items()}
    footprints = geopandas.GeoSeries([record.footprint for record in records], crs="EPSG:4326")
    return geopandas.GeoDataFrame(found, geometry=footprints)


def column(records: Sequence[Record], name: str, kind: Kind) -> pd.Series[Any]:
    """One property of all hits, of the same dtype whatever it holds."""
    values = [getattr(record, name) for record in records]
    if kind == "time":
        utc = [None if time is None else time.astimezone(UTC) for time in values]
        return pd.Series(utc, dtype=_DTYPES[kind])
    if kind == "texts":
        values = [joined(texts) for texts in values]
    return pd.Series(values, dtype=_DTYPES[kind])


def write_geoparquet(result: SearchResult | Hits, path: Path) -> None:
    """Write hits as GeoParquet 1.1 with a bbox covering, zstd-compressed."""
    write_frame(to_geodataframe(result), path)


def write_frame(frame: geopandas.GeoDataFrame, path: Path) -> None:
    """Write a GeoDataFrame as GeoParquet 1.1 with a bbox covering, zstd-compressed."""
    frame.to_parquet(
        path,
        index=False,
        compression="zstd",
        geometry_encoding="WKB",
        write_covering_bbox=True,
        schema_version="1.1.0",
    )
