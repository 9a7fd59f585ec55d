"""Hits as a GeoPackage that QGIS opens with its style. Loads geopandas.

Version 1.2, which GDAL 3.6 (Debian 12's QGIS) opens without a warning. The style lies in the
table `layer_styles`, as QGIS's own "save style in database" writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas
import pandas as pd
import pyogrio

from georclip.errors import ExportError
from georclip.export.geodataframe import to_geodataframe
from georclip.export.records import Hits, as_hits
from georclip.export.style import QUESTION_LABEL, RANK_LABEL, hits_qml
from georclip.values import SearchResult

LAYER = "hits"
GEOMETRY_COLUMN = "geom"

_DATASET_OPTIONS = {"VERSION": "1.2"}


def write_geopackage(result: SearchResult | Hits, path: Path) -> None:
    """Write the layer `hits` and its style to a new file.

    Args:
        result: What to write.
        path: A file that does not exist, ending in .gpkg.
    """
    hits = as_hits(result)
    metadata = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in hits.provenance.members().items()
        if value or value is False
    }
    write_layer(to_geodataframe(hits), path, LAYER, metadata=metadata)
    qml = hits_qml([record.score for record in hits.records], label=label_of(hits))
    write_styles({LAYER: ("georclip hits", qml)}, path)


def label_of(hits: Hits) -> str:
    """QGIS's expression for what is written on each hit."""
    return QUESTION_LABEL if hits.answers_many else RANK_LABEL


def write_layer(
    frame: geopandas.GeoDataFrame,
    path: Path,
    layer: str,
    *,
    metadata: Mapping[str, str] | None = None,
    append: bool = False,
) -> None:
    """Write areas as one layer of multipolygons.

    Args:
        frame: The features, EPSG:4326.
        path: The file, ending in .gpkg; it may hold other layers.
        layer: Name of the layer.
        metadata: Kept with the layer.
        append: Add to a layer that is there.
    """
    _write(
        frame,
        path,
        layer=layer,
        geometry_type="MultiPolygon",
        promote_to_multi=True,
        append=append,
        layer_metadata=dict(metadata) if metadata else None,
        dataset_options=None if path.exists() else _DATASET_OPTIONS,
        layer_options=None if append else {"GEOMETRY_NAME": GEOMETRY_COLUMN},
    )


def write_styles(styles: Mapping[str, tuple[str, str]], path: Path) -> None:
    """Add QGIS styles that are applied when a layer is opened.

    Args:
        styles: Layer to (name of the style, QML).
        path: A GeoPackage that holds the layers.
    """
    now = pd.Timestamp(datetime.now(UTC)).floor("ms")
    rows = [
        {
            "f_table_catalog": "",
            "f_table_schema": "",
            "f_table_name": layer,
            "f_geometry_column": GEOMETRY_COLUMN,
            "styleName": name,
            "styleQML": qml,
            "styleSLD": "",
            "useAsDefault": True,
            "description": "",
            "owner": "",
            "ui": None,
            "update_time": now,
        }
        for layer, (name, qml) in styles.items()
    ]
    _write(
        pd.DataFrame(rows),
        path,
        layer="layer_styles",
        layer_options={"FID": "id", "ASPATIAL_VARIANT": "GPKG_ATTRIBUTES"},
    )


def _write(frame: pd.DataFrame, path: Path, **options: Any) -> None:  # noqa: ANN401
    try:
        pyogrio.write_dataframe(frame, path, driver="GPKG", **options)
    except RuntimeError as error:  # the base of pyogrio's own errors: a full disk, for one
        reason = " ".join(str(error).split())
        raise ExportError(f"GDAL cannot write {path.name}: {reason}") from error
