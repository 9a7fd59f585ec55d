"""One door to every format: by name, or by a file's suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.errors import ExportError
from georclip.export.files import check_target, replacing
from georclip.export.records import Hits, as_hits
from georclip.values import SearchResult

if TYPE_CHECKING:
    from georclip.scenes.access import Access

FORMATS: Mapping[str, tuple[str, ...]] = {
    "geojson": (".geojson", ".json"),
    "geojsonseq": (".geojsonseq", ".geojsons"),
    "gpkg": (".gpkg",),
    "qgz": (".qgz",),
    "geoparquet": (".parquet", ".geoparquet"),
    "csv": (".csv",),
    "html": (".html", ".htm"),
    "table": (),
}
"""Formats by name, and the suffixes that stand for each."""

BINARY = frozenset({"gpkg", "qgz", "geoparquet"})
"""Formats that need a file."""

_ONLY_BY_SUFFIX = frozenset({"gpkg", "qgz"})
"""Formats that GDAL and QGIS take for something else under another suffix."""


def format_of(path: Path) -> str:
    """Name the format that a file's suffix stands for.

    Raises:
        ExportError: None does.
    """
    for name, suffixes in FORMATS.items():
        if path.suffix.lower() in suffixes:
            return name
    known = ", ".join(suffix for suffixes in FORMATS.values() for suffix in suffixes[:1])
    raise ExportError(f"no format has the suffix of {path}: use one of {known}")


def check_output(path: Path | None, format: str | None, *, overwrite: bool) -> None:
    """Refuse, before a search, what could not be written after it.

    Args:
        path: The file, or None for stdout.
        format: A name in `FORMATS`; None for what the suffix says, or GeoJSON on stdout.
        overwrite: A file that is there may be replaced.

    Raises:
        ExportError: As `write_hits` and `dumps_hits` would.
    """
    if path is None:
        if format in BINARY:
            suffix = FORMATS[format][0]
            raise ExportError(f"{format} is no text: name a file, such as -o hits{suffix}")
        return
    chosen = format or format_of(path)
    _check_name(path, chosen)
    check_target(path, overwrite=overwrite)
    if chosen == "qgz":
        check_target(path.with_suffix(".gpkg"), overwrite=overwrite)


def _check_name(path: Path, format: str) -> None:
    suffix = path.suffix.lower()
    others = {name for name, suffixes in FORMATS.items() if suffix in suffixes} - {format}
    if others or (format in _ONLY_BY_SUFFIX and suffix not in FORMATS[format]):
        wanted = FORMATS[format][0] if FORMATS[format] else ".txt"
        raise ExportError(f"{format} files end in {wanted}, unlike {path}: rename it")


def dumps_hits(
    result: SearchResult | Hits,
    format: str,
    *,
    width: int | None = None,
    access: Access | None = None,
) -> str:
    """Write hits as text, for stdout.

    Args:
        result: What to write.
        format: A name in `FORMATS` that is not binary.
        width: Columns of the terminal, for the table.
        access: What a contact sheet may read beside scenes that a person named.

    Raises:
        ExportError: An unknown format, or one that needs a file.
    """
    check_output(None, format, overwrite=False)
    if format == "table":
        from georclip.export.tabular import dumps_table

        return dumps_table(result, width=width)
    if format == "html":
        from georclip.export.sheet import dumps_sheet

        return dumps_sheet(result, access)
    return _text_writer(format)(result)


def write_hits(
    result: SearchResult | Hits,
    path: Path,
    format: str | None = None,
    *,
    overwrite: bool = False,
    access: Access | None = None,
) -> tuple[Path, ...]:
    """Write hits to a file, whole or not at all.

    Args:
        result: A search's answer, or hits read from a file.
        path: The file; its suffix names the format unless `format` does.
        format: A name in `FORMATS`.
        overwrite: Replace a file that is there.
        access: What a contact sheet or a project may read beside scenes that a person named.

    Returns:
        What was written: for a QGIS project its GeoPackage, too.

    Raises:
        ExportError: Unknown format, a file in the way, or a folder that cannot be written.
    """
    check_output(path, format, overwrite=overwrite)
    chosen = format or format_of(path)
    hits = as_hits(result)
    if chosen == "qgz":
        from georclip.export.project import write_project

        return write_project(hits, path, overwrite=overwrite, access=access)
    write = _file_writer(chosen, access)
    with replacing(path, overwrite=overwrite) as draft:
        write(hits, draft)
    return (path,)


def _file_writer(format: str, access: Access | None) -> Callable[[Hits, Path], None]:
    if format == "gpkg":
        from georclip.export.geopackage import write_geopackage

        return write_geopackage
    if format == "geoparquet":
        from georclip.export.geodataframe import write_geoparquet

        return write_geoparquet

    def write(hits: Hits, path: Path) -> None:
        path.write_bytes(dumps_hits(hits, format, access=access).encode("utf-8", "replace"))

    return write


def _text_writer(format: str) -> Callable[[SearchResult | Hits], str]:
    if format == "csv":
        from georclip.export.tabular import dumps_csv

        return dumps_csv
    from georclip.export import geojson

    if format == "geojson":
        return geojson.dumps
    if format == "geojsonseq":
        return geojson.dumps_sequence
    raise _unknown(format)


def _unknown(format: str) -> ExportError:
    return ExportError(f"there is no format {format!r}: use one of {', '.join(FORMATS)}")
