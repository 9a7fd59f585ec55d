"""Opening rasters with GDAL: settings, what is refused before a pixel is read, GCPs."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader  # unlike rasterio.open, takes a list of drivers
from rasterio.session import DummySession
from rasterio.vrt import WarpedVRT

from georclip.errors import SceneError
from georclip.scenes.access import Access, check_reference, check_sources, is_remote, is_vrt

Dataset = Any
"""An open rasterio dataset or warped view (rasterio ships no types)."""

GDAL_CACHE_BYTES = 48 * 1024 * 1024
"""Blocks kept decoded, for the whole process. GDAL would take 5 % of the machine's memory."""

GDAL_ERRORS = (RasterioError, CPLE_BaseError, ValueError, OSError, RuntimeError)
"""What rasterio raises when a file is not as it should be; CPLE_BaseError is GDAL's own."""

_SETTINGS = {
    "GDAL_CACHEMAX": GDAL_CACHE_BYTES,
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 120,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 100,  # bytes a second
    "GDAL_HTTP_LOW_SPEED_TIME": 30,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "VSI_CACHE": "YES",
    "VSI_CACHE_SIZE": 8 * 1024 * 1024,
}
_REMOTE_SETTINGS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
_SCHEMES = {
    "http://": "/vsicurl/http://",
    "https://": "/vsicurl/https://",
    "s3://": "/vsis3/",
    "gs://": "/vsigs/",
}
_NAMING_DRIVERS = frozenset(
    {
        *("ADBC", "DAAS", "DERIVED", "EEDA", "EEDAI", "GDALG", "GTI", "HTTP", "KMLSUPEROVERLAY"),
        *("MEM", "MRF", "NGW", "OGCAPI", "PLMOSAIC", "PLSCENES", "PostGISRaster", "Rasterlite"),
        *("STACIT", "STACTA", "TileDB", "WCS", "WMS", "WMTS"),
    }
)
"""Drivers whose files name data elsewhere, or that fetch on their own: not opened."""

logging.getLogger("rasterio").addHandler(logging.NullHandler())  # GDAL's own words: not ours


def gdal_settings(uri: str, *, threads: int = 1) -> Any:  # noqa: ANN401 - rasterio ships no types
    """GDAL's settings as a context manager: for opening, and again around each read.

    `threads` counts where a file is opened: drivers set their threads up there.
    """
    # DummySession: GDAL itself finds credentials; rasterio would need boto3 for that.
    return rasterio.Env(
        session=DummySession(),
        GDAL_NUM_THREADS=threads,
        **_SETTINGS,
        **(_REMOTE_SETTINGS if is_remote(uri) else {}),
    )


def absolute_uri(text: str) -> str:
    """Name a raster for good: URLs as they stand, local paths made absolute."""
    return text if is_remote(text) else os.path.abspath(text)


@contextmanager
def open_raster(uri: str, *, access: Access | None = None, threads: int = 1) -> Iterator[Dataset]:
    """Open a raster; one that is placed by GCPs comes as a warped view.

    Args:
        uri: As `absolute_uri` gives it.
        access: What the file may name; None where it was checked before (a Scene).
        threads: That decode the blocks of one read, where GDAL's driver can.

    Raises:
        SceneError: It cannot be opened.
    """
    drivers = _drivers(vrt=True)
    files: tuple[str, ...] = (uri,)
    if is_remote(uri):
        if access is not None and not access.allow_remote:
            drivers = _drivers(vrt=False)  # what a remote VRT names cannot be checked beforehand
    else:
        _check_local(uri)
        if access is not None:
            files = check_sources(uri, access)
        drivers = _drivers(vrt=is_vrt(uri))
    with gdal_settings(uri, threads=threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            if access is not None:
                _check_overviews(files, access)
            source = DatasetReader(_gdal_path(uri), driver=list(drivers))
            for band in source.indexes:  # loads overviews and masks while GDAL is kept quiet
                source.overviews(band)
        except GDAL_ERRORS as error:
            raise SceneError(_why_not_opened(uri, error, access)) from None
    try:
        if source.crs is None and len(source.gcps[0]) >= 3 and source.transform.is_identity:
            with _warped(source, uri) as view:
                yield view
        else:
            yield source
    finally:
        source.close()


def _check_overviews(files: tuple[str, ...], access: Access) -> None:
    """Refuse rasters whose tags name overviews in places that they may not name.

    Raises:
        SceneError: One does.
    """
    for file in files:
        drivers = _drivers(vrt=access.allow_remote if is_remote(file) else is_vrt(file))
        try:
            with DatasetReader(_gdal_path(file), driver=list(drivers)) as opened:
                named = opened.tags(ns="OVERVIEWS").get("OVERVIEW_FILE")
        except GDAL_ERRORS:
            continue  # opening the scene says more about it
        if named:
            folder = os.path.dirname(file)
            reference = named.removeprefix(":::BASE:::")  # GDAL's word for "beside the raster"
            if not is_remote(reference):
                reference = os.path.abspath(os.path.join(folder, reference))
            check_reference(file, "raster's overview tag", reference, folder, access)
            if os.path.isfile(reference):
                check_sources(reference, access, depth=1)


def reason(error: Exception) -> str:
    """Put GDAL's complaint in one line."""
    cause = error.__cause__ or error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return lines[0].strip().rstrip(".")[:200]


@contextmanager
def _warped(source: Dataset, uri: str) -> Iterator[Dataset]:
    crs = source.gcps[1]
    if crs is None:
        raise SceneError(f"{uri}: has ground control points without a CRS: assign one")
    alone = source.nodata is None and not any(c.name == "alpha" for c in source.colorinterp)
    try:
        view = WarpedVRT(source, src_crs=crs, crs=crs, add_alpha=alone)
    except GDAL_ERRORS as error:
        raise SceneError(
            f"{uri}: its ground control points cannot be fitted ({reason(error)}): "
            "warp it with gdalwarp first"
        ) from None
    with view:
        yield view


def _check_local(path: str) -> None:
    if not os.path.exists(path):
        raise SceneError(f"{path}: no such file: check the path")
    if os.path.isfile(path):
        if os.path.getsize(path) == 0:
            raise SceneError(f"{path}: the file is empty: fetch or write it again")
        if not os.access(path, os.R_OK):
            raise SceneError(f"{path}: may not be read: check its permissions")


def _gdal_path(uri: str) -> str:
    for scheme, prefix in _SCHEMES.items():
        if uri.startswith(scheme):
            return prefix + uri.removeprefix(scheme)
    return uri


@lru_cache(maxsize=2)
def _drivers(*, vrt: bool) -> tuple[str, ...]:
    with rasterio.Env() as env:
        names = set(env.drivers())
    return tuple(sorted(names - _NAMING_DRIVERS - (set() if vrt else {"VRT"})))


def _why_not_opened(uri: str, error: Exception, access: Access | None) -> str:
    why = reason(error)
    if is_remote(uri):
        hint = "check the address and the connection"
        if uri.lower().endswith(".vrt") and access is not None and not access.allow_remote:
            hint = "a VRT over the network needs --allow-remote"
        return f"{uri}: cannot be opened ({why}): {hint}"
    if "not recognized as being in a supported file format" in why or "not a supported" in why:
        return f"{uri}: is no raster that GDAL can read here: leave it out or convert it to GeoTIFF"
    return f"{uri}: cannot be opened ({why}): the file may be damaged; fetch or write it again"
