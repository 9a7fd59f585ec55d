"""The answer to a question about two times, with ways to carry it elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.search import change_values

if TYPE_CHECKING:
    import geopandas


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeResult(change_values.ChangeResult):
    """Places where a score rose or fell between two times, the largest change first."""

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """Changes as a GeoDataFrame: footprints in EPSG:4326, one column per property."""
        from georclip.export.change_writing import changes_to_geodataframe

        return changes_to_geodataframe(self)

    def to_geojson(self) -> str:
        """Changes as an RFC 7946 FeatureCollection."""
        from georclip.export.change_writing import dumps_changes

        return dumps_changes(self, "geojson")

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the changes; the suffix names the format.

        Args:
            path: FILE.geojson, .geojsonseq, .gpkg, .parquet or .csv.
            overwrite: Replace a file that is there.

        Raises:
            ExportError: Unknown suffix, a file in the way, or a folder that cannot be written.
        """
        from georclip.export.change_writing import write_changes

        return write_changes(self, Path(path), overwrite=overwrite)
