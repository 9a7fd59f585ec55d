"""Hits over their scenes as a QGIS project: FILE.qgz, and FILE.gpkg beside it."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from georclip.export.files import check_target, replacing
from georclip.export.geopackage import label_of, write_geopackage
from georclip.export.qgs import ProjectView, project_xml
from georclip.export.rasters import RasterLayer, raster_layers
from georclip.export.records import Hits, as_hits
from georclip.printable import printable
from georclip.scenes.access import Access
from georclip.values import SearchResult

log = logging.getLogger("georclip")

_LONLAT = "EPSG:4326"
_WEB = "EPSG:3857"
_WEB_LATITUDE_DEG = 85.0
_MARGIN = 0.1
"""Of the hits' longer side, left around them when the project opens."""


def write_project(
    result: SearchResult | Hits,
    path: Path,
    *,
    overwrite: bool = False,
    access: Access | None = None,
) -> tuple[Path, ...]:
    """Write a project that opens on the hits, styled, with their scenes below.

    Scenes are named by relative paths where both lie on one drive; scenes on a server by
    GDAL's virtual paths. A scene that is gone, or may not be read, is left out, with a warning.

    Args:
        result: What to write.
        path: FILE.qgz.
        overwrite: Replace files that are there.
        access: What a file of hits may name beside scenes in its own folder and below.

    Returns:
        The GeoPackage and the project.

    Raises:
        ExportError: A file in the way, or a folder that cannot be written.
    """
    hits = as_hits(result)
    package = path.with_suffix(".gpkg")
    check_target(path, overwrite=overwrite)
    check_target(package, overwrite=overwrite)
    rasters, missing = raster_layers(hits, folder=path.resolve().parent, access=access or Access())
    for uri, why in missing.items():
        log.warning("the scene %s is left out of %s: %s", printable(uri), path, printable(why))
    view = choose_view(hits, () if missing else rasters)
    asked = hits.provenance.query
    if hits.provenance.queries:
        asked = f"{len(hits.provenance.queries)} questions"
    title = f"georclip: {asked}" if asked else "georclip hits"
    scores = [record.score for record in hits.records]
    document = project_xml(
        title=title,
        package=package.name,
        scores=scores,
        label=label_of(hits),
        rasters=rasters,
        view=view,
    )
    with (
        replacing(package, overwrite=overwrite) as package_draft,
        replacing(path, overwrite=overwrite) as draft,
    ):
        write_geopackage(hits, package_draft)
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{path.stem}.qgs", document)
    return package, path


def choose_view(hits: Hits, rasters: Sequence[RasterLayer]) -> ProjectView:
    """Choose the project's CRS and the part that it shows first.

    Args:
        hits: What is shown.
        rasters: All of their scenes, or () where some are unknown.

    Returns:
        In the scenes' own CRS where they share one that is projected, so that pixels stay as
        they are; else in web Mercator, or in lon/lat near the poles.
    """
    codes = {raster.crs for raster in rasters}
    footprints = [record.footprint for record in hits.records]
    if not footprints:
        return ProjectView(crs=_LONLAT, bounds=(-180.0, -90.0, 180.0, 90.0), geographic=True)
    if len(codes) == 1:
        crs = codes.pop()
        if CRS.from_user_input(crs).is_projected:
            try:
                return ProjectView(crs=crs, bounds=_bounds(footprints, crs), geographic=False)
            except ProjError:
                log.info("the hits lie outside %s: the project is in web Mercator", crs)
    polar = any(
        max(-footprint.bounds[1], footprint.bounds[3]) > _WEB_LATITUDE_DEG
        for footprint in footprints
    )
    crs = _LONLAT if polar else _WEB
    return ProjectView(crs=crs, bounds=_bounds(footprints, crs), geographic=polar)


def _bounds(footprints: Sequence[shapely.Geometry], crs: str) -> tuple[float, float, float, float]:
    """Bounds of footprints in a CRS, with a margin."""
    transformer = Transformer.from_crs(_LONLAT, crs, always_xy=True)
    points = shapely.get_coordinates(footprints)
    x, y = transformer.transform(points[:, 0], points[:, 1], errcheck=True)
    west, south, east, north = x.min(), y.min(), x.max(), y.max()
    margin = _MARGIN * max(east - west, north - south, 1e-5)
    return west - margin, south - margin, east + margin, north + margin
