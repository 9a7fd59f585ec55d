"""One raster, opened, checked and described."""

from __future__ import annotations

import math
import os
import posixpath
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import numpy as np
import numpy.typing as npt

from georclip.errors import SceneError
from georclip.georeference import Georeference, normalise_crs
from georclip.scenes.access import Access, is_remote
from georclip.scenes.dates import find_acquired
from georclip.scenes.identity import scene_identity
from georclip.scenes.pixels import Area, BandReader
from georclip.scenes.raster import (
    GDAL_ERRORS,
    Dataset,
    absolute_uri,
    gdal_settings,
    open_raster,
    reason,
)
from georclip.scenes.rendering import AUTO, Stretch, Values, choose_bands, find_stretch
from georclip.scenes.stac import is_item_name, resolve_item
from georclip.values import Rendering, Scene

_SAMPLE_SIDE_PX = 1024
_SCANNED_PX = 16_000_000
"""Rasters without overviews beyond this are sampled in windows, not read through."""
_GRID = 10
_GRID_WINDOW_PX = 128


def open_scene(
    uri: str,
    *,
    bands: tuple[int, int, int] | None = None,
    stretch: Stretch = AUTO,
    acquired: datetime | None = None,
    full_hash: bool = False,
    access: Access | None = None,
) -> Scene:
    """Open a raster, check that its pixels can be placed and shown, and describe it.

    Args:
        uri: Path or URL of a raster, or of a STAC item.
        bands: 1-based bands shown as red, green and blue; None finds them.
        stretch: "auto", "none" or (low, high) in sensor values: see `find_stretch`.
        acquired: When it was taken (naive: UTC); None looks in tags, STAC and the file name.
        full_hash: Identify it by every block instead of a sample.
        access: What the file may name elsewhere; None: only things in its folder and below.

    Raises:
        SceneError: It cannot be used; one line that says why and what to do.
    """
    access = access or Access()
    uri = absolute_uri(uri)
    if is_item_name(uri) and (is_remote(uri) or os.path.isfile(uri)):
        uri, item_time = resolve_item(uri, access)
        acquired = acquired or item_time
    try:
        with gdal_settings(uri), open_raster(uri, access=access) as dataset:
            return _describe(dataset, uri, bands, stretch, acquired, full_hash=full_hash)
    except SceneError as error:
        message = str(error)
        raise SceneError(message if message.startswith(uri) else f"{uri}: {message}") from None
    except GDAL_ERRORS as error:
        raise SceneError(
            f"{uri}: cannot be understood ({reason(error)}): the file may be damaged; fetch or "
            "write it again"
        ) from None


def scene_name(uri: str) -> str:
    """The file name at the end of a path or URL."""
    if not is_remote(uri):
        return os.path.basename(uri)
    return unquote(posixpath.basename(urlsplit(uri).path)) or uri


def _describe(
    dataset: Dataset,
    uri: str,
    bands: tuple[int, int, int] | None,
    stretch: Stretch,
    acquired: datetime | None,
    *,
    full_hash: bool,
) -> Scene:
    check_pixels(dataset)
    place = _georeference(dataset)
    rendering = find_rendering(dataset, uri, bands, stretch)
    name = scene_name(uri)
    if acquired is None:
        acquired = find_acquired(dataset.tags(), dataset.tags(ns="IMAGERY"), name)
    elif acquired.tzinfo is None:
        acquired = acquired.replace(tzinfo=UTC)
    return Scene(
        scene_id=scene_identity(dataset, uri, full=full_hash),
        uri=uri,
        name=name,
        crs=place.crs,
        transform=place.transform,
        width=dataset.width,
        height=dataset.height,
        band_count=dataset.count,
        dtype=dataset.dtypes[rendering.bands[0] - 1],
        nodata=dataset.nodata,
        gsd_m=place.gsd_m(dataset.width / 2, dataset.height / 2),
        acquired=None if acquired is None else acquired.astimezone(UTC),
        rendering=rendering,
    )


def check_pixels(dataset: Dataset) -> None:
    """Refuse a raster without pixels that can be shown.

    Raises:
        SceneError: It holds none itself, or complex numbers.
    """
    if dataset.count == 0:
        inner = dataset.subdatasets
        if inner:
            raise SceneError(
                f"holds {len(inner)} rasters and none itself: convert the one wanted with "
                f"gdal_translate {inner[0]!r} scene.tif"
            )
        raise SceneError("holds no band: there is nothing to search in it")
    if dataset.width < 1 or dataset.height < 1:
        raise SceneError(f"has {dataset.width} x {dataset.height} pixels: there is nothing in it")
    if any(kind.startswith("complex") for kind in dataset.dtypes):
        raise SceneError(
            f"holds complex numbers ({dataset.dtypes[0]}): convert it to amplitude first, "
            "for example with a VRT pixel function or gdal_calc.py"
        )


def _georeference(dataset: Dataset) -> Georeference:
    """Tie a raster to the ground.

    Raises:
        SceneError: It has no georeference, or one that leads nowhere on Earth.
    """
    transform = dataset.transform
    if dataset.crs is None or transform.is_identity:
        missing = "transform" if dataset.crs is not None else "CRS"
        if dataset.crs is None and transform.is_identity:
            missing = "CRS and no transform"
        hint = "georeference it, for example with gdal_translate -a_srs EPSG:... -a_ullr ..."
        if dataset.rpcs is not None:
            hint = "it has RPCs: orthorectify it, for example with gdalwarp -rpc"
        raise SceneError(f"has no georeference (no {missing}): {hint}")
    if not all(map(math.isfinite, transform)) or transform.determinant == 0:
        raise SceneError("its transform maps pixels to no area: georeference it again")
    place = Georeference(crs=normalise_crs(_wkt(dataset)), transform=tuple(transform)[:6])
    gsd = place.gsd_m(dataset.width / 2, dataset.height / 2)
    if not (math.isfinite(gsd) and gsd > 0):
        raise SceneError(
            f"its centre has no lon/lat in {place.crs[:40]}: the CRS and the transform do not "
            "belong together; georeference it again"
        )
    return place


def _wkt(dataset: Dataset) -> str:
    try:
        return str(dataset.crs.to_wkt(version="WKT2_2019"))
    except Exception:  # GDAL cannot say it in WKT 2: what it has is better than nothing
        return str(dataset.crs.to_wkt())


def find_rendering(
    dataset: Dataset,
    uri: str,
    asked: tuple[int, int, int] | None = None,
    stretch: Stretch = AUTO,
) -> Rendering:
    """Find how a raster's values are shown: bands, and one stretch from a sample of all of it.

    Args:
        dataset: Open.
        uri: For messages.
        asked: See `choose_bands`.
        stretch: See `find_stretch`.

    Raises:
        SceneError: What is asked cannot be, no pixel is valid, or the file cannot be read.
    """
    bands, bands_from = choose_bands(dataset, asked)
    reader = BandReader(dataset, uri, bands)
    if reader.always_valid and reader.dtype == np.uint8 and stretch == AUTO:
        nothing = np.zeros((3, 1, 1), dtype=np.uint8)  # left alone whatever it holds
        return find_stretch(nothing, np.ones((1, 1), dtype=np.bool_), bands, bands_from)
    values, valid = _sample(reader)
    if not valid.any():
        raise SceneError("holds no valid pixel (all nodata or masked): there is nothing in it")
    return find_stretch(values, valid, bands, bands_from, stretch)


def _sample(reader: BandReader) -> tuple[Values, npt.NDArray[np.bool_]]:
    """About a million pixels from all over a raster: (3, height, width) and (height, width)."""
    width, height = reader.dataset.width, reader.dataset.height
    if width * height > _SCANNED_PX and not reader.dataset.overviews(reader.bands[0]):
        parts = [reader.read(area) for area in _grid(width, height)]
        valid = np.concatenate(
            [
                np.ones(values.shape[1:], dtype=np.bool_) if known is None else known
                for values, known in parts
            ],
            axis=1,
        )
        if valid.any():
            return np.concatenate([values for values, _ in parts], axis=2), valid
    factor = max(1.0, width / _SAMPLE_SIDE_PX, height / _SAMPLE_SIDE_PX)
    shape = (max(1, round(height / factor)), max(1, round(width / factor)))
    values, known = reader.read((0, 0, width, height), shape, averaged=False)
    return values, np.ones(values.shape[1:], dtype=np.bool_) if known is None else known


def _grid(width: int, height: int) -> Iterator[Area]:
    """Small windows of one size, spread evenly."""
    side_x, side_y = min(_GRID_WINDOW_PX, width), min(_GRID_WINDOW_PX, height)
    for row in range(_GRID):
        for col in range(_GRID):
            yield (
                round((width - side_x) * (col + 0.5) / _GRID),
                round((height - side_y) * (row + 0.5) / _GRID),
                side_x,
                side_y,
            )
