"""The answer to a question, with ways to carry it elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from georclip import values

if TYPE_CHECKING:
    import geopandas

    from georclip.scenes.access import Access

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult(values.SearchResult):
    """The answer to a question, with ways to carry it elsewhere."""

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """Hits as a GeoDataFrame: footprints in EPSG:4326, one column per property of a hit."""
        from georclip.export.geodataframe import to_geodataframe

        return to_geodataframe(self)

    def to_geojson(self) -> str:
        """Hits as an RFC 7946 FeatureCollection."""
        from georclip.export import geojson

        return geojson.dumps(self)

    def write(
        self, path: PathLike, *, overwrite: bool = False, access: Access | None = None
    ) -> Path:
        """Write the hits; the suffix names the format.

        Args:
            path: FILE.geojson, .geojsonseq, .gpkg, .qgz, .parquet, .csv or .html.
            overwrite: Replace a file that is there.
            access: What a page may read beside local scenes: servers, and what VRTs name.

        Raises:
            ExportError: Unknown suffix, a file in the way, or a folder that cannot be written.
        """
        from georclip.export.writing import write_hits

        write_hits(self, Path(path), overwrite=overwrite, access=access)
        return Path(path)


def public(result: values.SearchResult) -> SearchResult:
    """The same answer, with those ways."""
    return SearchResult(**{part.name: getattr(result, part.name) for part in fields(result)})
