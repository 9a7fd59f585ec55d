"""Hits -> GeoJSON, GeoPackage and QGIS project, GeoParquet, CSV, HTML, a table; and back."""

from georclip.export.reading import read_hits
from georclip.export.records import HitRecord, Hits, as_batch
from georclip.export.writing import FORMATS, check_output, dumps_hits, write_hits

__all__ = [
    "FORMATS",
    "HitRecord",
    "Hits",
    "as_batch",
    "check_output",
    "dumps_hits",
    "read_hits",
    "write_hits",
]
