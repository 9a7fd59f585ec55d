"""Changes as GeoJSON, GeoPackage, GeoParquet, CSV or a table: one door to all, as for hits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.errors import ExportError
from georclip.export.change_records import CHANGE_PROPERTIES, change_members, change_records
from georclip.export.files import replacing
from georclip.export.writing import check_output, format_of
from georclip.search.change_values import ChangeResult

if TYPE_CHECKING:
    import geopandas

CHANGE_FORMATS = ("geojson", "geojsonseq", "gpkg", "geoparquet", "csv", "table")

LAYER = "changes"
"""In a GeoPackage."""


def check_change_output(path: Path | None, format: str | None, *, overwrite: bool) -> None:
    """Refuse, before a search, what could not be written after it.

    Args:
        path: The file, or None for stdout.
        format: A name in `CHANGE_FORMATS`; None for what the suffix says, or GeoJSON on stdout.
        overwrite: A file that is there may be replaced.

    Raises:
        ExportError: As `write_changes` and `dumps_changes` would.
    """
    chosen = format or (None if path is None else format_of(path))
    if chosen is not None and chosen not in CHANGE_FORMATS:
        known = ", ".join(CHANGE_FORMATS)
        raise ExportError(f"changes are not written as {chosen}: use one of {known}")
    check_output(path, chosen, overwrite=overwrite)


def dumps_changes(result: ChangeResult, format: str, *, width: int | None = None) -> str:
    """Write changes as text, for stdout.

    Args:
        result: What to write.
        format: A name in `CHANGE_FORMATS` that is not binary.
        width: Columns of the terminal, for the table.

    Raises:
        ExportError: An unknown format, or one that needs a file.
    """
    check_change_output(None, format, overwrite=False)
    if format in ("geojson", "geojsonseq"):
        return _dumps_geojson(result, format)
    if format == "csv":
        from georclip.export.tabular import csv_of

        return csv_of(change_records(result), tuple(CHANGE_PROPERTIES))
    from georclip.export.change_table import dumps_change_table

    return dumps_change_table(change_records(result), width=width)


def write_changes(
    result: ChangeResult, path: Path, format: str | None = None, *, overwrite: bool = False
) -> Path:
    """Write changes to a file, whole or not at all.

    Args:
        result: What to write.
        path: The file; its suffix names the format unless `format` does.
        format: A name in `CHANGE_FORMATS`.
        overwrite: Replace a file that is there.

    Raises:
        ExportError: Unknown format, a file in the way, or a folder that cannot be written.
    """
    check_change_output(path, format, overwrite=overwrite)
    write = _file_writer(format or format_of(path))
    with replacing(path, overwrite=overwrite) as draft:
        write(result, draft)
    return path


def changes_to_geodataframe(result: ChangeResult) -> geopandas.GeoDataFrame:
    """Put changes into a GeoDataFrame. Loads geopandas.

    Returns:
        One row a place, the largest change first: a column a property, and `geometry`, the
        footprint in EPSG:4326. `attrs["georclip"]` says where the changes come from.
    """
    from georclip.export.geodataframe import frame_of

    frame = frame_of(change_records(result), CHANGE_PROPERTIES)
    frame.attrs["georclip"] = change_members(result)
    return frame


def _dumps_geojson(result: ChangeResult, format: str) -> str:
    from georclip.export.geojson import collection, feature, sequence
    from georclip.export.records import properties

    features = [
        feature(record.chip_id, record.footprint, properties(record, CHANGE_PROPERTIES))
        for record in change_records(result)
    ]
    if format == "geojsonseq":
        return sequence(features)
    return collection(features, change_members(result))


def _file_writer(format: str) -> Callable[[ChangeResult, Path], None]:
    if format == "gpkg":
        return _write_geopackage
    if format == "geoparquet":
        return _write_geoparquet

    def write(result: ChangeResult, path: Path) -> None:
        path.write_bytes(dumps_changes(result, format).encode("utf-8", "replace"))

    return write


def _write_geopackage(result: ChangeResult, path: Path) -> None:
    from georclip.export.change_style import changes_qml
    from georclip.export.geopackage import write_layer, write_styles

    metadata = {name: str(value) for name, value in change_members(result).items()}
    write_layer(changes_to_geodataframe(result), path, LAYER, metadata=metadata)
    qml = changes_qml([change.change for change in result.changes])
    write_styles({LAYER: ("georclip changes", qml)}, path)


def _write_geoparquet(result: ChangeResult, path: Path) -> None:
    from georclip.export.geodataframe import write_frame

    write_frame(changes_to_geodataframe(result), path)
