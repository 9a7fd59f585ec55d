"""What an index covers, as a GeoPackage for QGIS: a view that georclip never reads back."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas

from georclip.errors import GeorclipError
from georclip.export.files import replacing
from georclip.export.geopackage import write_layer, write_styles
from georclip.export.records import format_time
from georclip.export.style import outline_qml
from georclip.georeference import Georeference
from georclip.values import Chip, Scene

if TYPE_CHECKING:
    from georclip.index.store import IndexStore

log = logging.getLogger("georclip")

FILE_NAME = "footprints.gpkg"

_BATCH = 20_000
"""Chips held at once."""


def write_footprints(store: IndexStore, path: Path | None = None) -> Path:
    """Write the outlines of an index's scenes and chips, styled for QGIS.

    Args:
        store: An open index.
        path: A .gpkg file, replaced if it is there; None writes footprints.gpkg into the index.

    Returns:
        The file: layers `scenes` and `chips`, EPSG:4326.

    Raises:
        ExportError: The file cannot be written.
    """
    target = path or store.path / FILE_NAME
    with replacing(target, overwrite=True) as draft:
        write_layer(_scene_frame(tuple(store.scenes())), draft, "scenes")
        append = False
        for chips in _batches(store):
            write_layer(_chip_frame(chips), draft, "chips", append=append)
            append = True
        styles = {
            "scenes": ("georclip scenes", outline_qml(colour="#f0f921", width_mm=0.7)),
            "chips": ("georclip chips", outline_qml(colour="#5ec8f2", width_mm=0.2)),
        }
        write_styles(styles, draft)
    return target


def _batches(store: IndexStore) -> Iterator[Sequence[tuple[Chip, Scene]]]:
    """All chips, at least one batch, so that the layer is there for an empty index, too."""
    rows = store.select().rows
    for start in range(0, max(len(rows), 1), _BATCH):
        yield store.fetch(rows[start : start + _BATCH])


def _scene_frame(scenes: Sequence[Scene]) -> geopandas.GeoDataFrame:
    outlines = [_outline(scene) for scene in scenes]
    columns = {
        "scene": [scene.name for scene in scenes],
        "uri": [scene.uri for scene in scenes],
        "scene_id": [scene.scene_id for scene in scenes],
        "acquired": [format_time(scene.acquired) for scene in scenes],
        "gsd_m": [scene.gsd_m for scene in scenes],
        "crs": [scene.crs for scene in scenes],
    }
    return geopandas.GeoDataFrame(columns, geometry=geopandas.GeoSeries(outlines, crs="EPSG:4326"))


def _outline(scene: Scene) -> object:
    """A scene's outline; None, with a warning, where its CRS gives none."""
    georeference = Georeference(crs=scene.crs, transform=scene.transform)
    try:
        return georeference.footprint((0, 0, scene.width, scene.height))
    except GeorclipError as error:
        log.warning("%s has no outline: %s", scene.uri, error)
        return None


def _chip_frame(chips: Sequence[tuple[Chip, Scene]]) -> geopandas.GeoDataFrame:
    columns = {
        "chip_id": [chip.chip_id for chip, _ in chips],
        "scene": [scene.name for _, scene in chips],
        "uri": [scene.uri for _, scene in chips],
        "acquired": [format_time(scene.acquired) for _, scene in chips],
        "col_off": [chip.window.col_off for chip, _ in chips],
        "row_off": [chip.window.row_off for chip, _ in chips],
        "width": [chip.window.width for chip, _ in chips],
        "height": [chip.window.height for chip, _ in chips],
        "scale": [chip.scale for chip, _ in chips],
        "gsd_m": [chip.gsd_m for chip, _ in chips],
        "valid_fraction": [chip.valid_fraction for chip, _ in chips],
    }
    outlines = geopandas.GeoSeries([chip.footprint for chip, _ in chips], crs="EPSG:4326")
    return geopandas.GeoDataFrame(columns, geometry=outlines)
