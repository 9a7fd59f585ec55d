"""Scenes as layers of a QGIS project: where QGIS finds them, and how they are shown.

A scene from an index is shown as its encoder saw it: the same bands, the same stretch. Where
hits come from a file, the raster itself is asked for its bands. Loads rasterio.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from georclip.errors import SceneError
from georclip.export.permission import refusal
from georclip.export.records import Hits
from georclip.scenes.access import Access
from georclip.scenes.raster import GDAL_ERRORS, open_raster, reason
from georclip.values import Rendering, Scene

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_VSI = {"http://": "/vsicurl/http://", "https://": "/vsicurl/https://", "s3://": "/vsis3/"}

_URL_SIGNS = "/:?&=%+~@,;!$'()*#"
_PREVIEW_PX = 512
"""Longer side of the read from which an unknown stretch is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterLayer:
    """One scene below the hits.

    Attributes:
        name: Shown in the layer tree.
        source: Path relative to the project, absolute path, or GDAL's virtual path.
        crs: Authority code, or WKT.
        bands: 1-based, shown as red, green, blue; one band three times is shown in grey.
        stretch: (low, high) in sensor values per shown band, or None for values as they are.
        alpha: 1-based band of transparency, or None.
        palette: (value, red, green, blue) entries of the one band, () without a palette.
    """

    name: str
    source: str
    crs: str
    bands: tuple[int, int, int]
    stretch: tuple[tuple[float, float], ...] | None
    alpha: int | None
    palette: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Description:
    """What a raster says about itself.

    Attributes:
        crs: None without one.
        bands: To be shown where the index does not say.
        stretch: The same, in sensor values; None for values as they are.
        alpha: 1-based band of transparency, or None.
        palette: Of the one band, () without a palette.
        scaling: (scale, offset) of every band.
    """

    crs: str | None
    bands: tuple[int, int, int]
    stretch: tuple[tuple[float, float], ...] | None
    alpha: int | None
    palette: tuple[tuple[int, int, int, int], ...]
    scaling: tuple[tuple[float, float], ...]

    def as_qgis_reads(
        self, stretch: tuple[tuple[float, float], ...] | None, bands: tuple[int, int, int]
    ) -> tuple[tuple[float, float], ...] | None:
        """A stretch of sensor values after each band's scale and offset, which QGIS applies."""
        used = [self.scaling[band - 1] for band in bands]
        if all(factors == (1.0, 0.0) for factors in used):
            return stretch
        pairs = stretch or ((0.0, 255.0),) * 3
        return tuple(
            (low * scale + offset, high * scale + offset)
            for (low, high), (scale, offset) in zip(pairs, used, strict=True)
        )


def raster_layers(
    hits: Hits, *, folder: Path, access: Access
) -> tuple[list[RasterLayer], dict[str, str]]:
    """Describe the scenes of hits, in the order of their best hit.

    Args:
        hits: With or without their scenes.
        folder: Where the project will lie, absolute.
        access: What a file of hits may name beside scenes in its own folder and below.

    Returns:
        The layers, and the uris of scenes that cannot or may not be opened, each with the reason.
    """
    known = {scene.uri: scene for scene in hits.scenes}
    names = {record.uri: record.scene for record in hits.records}
    layers: list[RasterLayer] = []
    missing: dict[str, str] = {}
    for uri, name in names.items():
        why = _why_not(uri, hits.read_from, access)
        if why:
            missing[uri] = why
            continue
        layer = _layer(known.get(uri), uri, name=name, source=source_of(uri, folder=folder))
        if layer is None:
            missing[uri] = "it cannot be opened"
        else:
            layers.append(layer)
    return layers, missing


def _why_not(uri: str, read_from: str | None, access: Access) -> str:
    """Why a scene may not be read; "" where it may, as every scene of a search."""
    if read_from is None:
        return ""
    why = refusal(uri, read_from, access)
    if why:
        return why
    try:
        with open_raster(uri, access=access):  # looks at what the raster itself names
            return ""
    except SceneError as error:
        return str(error).removeprefix(f"{uri}: ")
    except GDAL_ERRORS as error:
        return reason(error)


def source_of(uri: str, *, folder: Path) -> str:
    """Where QGIS finds a scene from a project in `folder`."""
    for scheme, prefix in _VSI.items():
        if uri.startswith(scheme):
            rest = uri.removeprefix(scheme)
            return prefix + (rest if scheme == "s3://" else quote(rest, safe=_URL_SIGNS))
    if _is_remote(uri):
        return uri
    try:
        relative = os.path.relpath(uri, folder)
    except ValueError:  # another drive
        return uri
    relative = relative.replace(os.sep, "/")
    return relative if relative.startswith("../") else f"./{relative}"


def _is_remote(uri: str) -> bool:
    return "://" in uri or uri.startswith("/vsi")


def _layer(scene: Scene | None, uri: str, *, name: str, source: str) -> RasterLayer | None:
    """Join what the index and the raster say; None where neither says enough."""
    ask = scene is None or not _is_remote(uri)  # a server is asked only where nothing is known
    said = _describe(uri, find_stretch=scene is None) if ask else None
    if ask and said is None:
        return None
    crs = scene.crs if scene is not None else said.crs if said is not None else None
    if crs is None:
        return None
    bands, stretch = (1, 1, 1), None
    if scene is not None:
        bands, stretch = scene.rendering.bands, _stretch(scene.rendering, scene.dtype)
    if said is not None:
        if scene is None or max(bands) > len(said.scaling):  # the file is another by now
            bands, stretch = said.bands, said.stretch
        stretch = said.as_qgis_reads(stretch, bands)
    return RasterLayer(
        name=name,
        source=source,
        crs=crs,
        bands=bands,
        stretch=stretch,
        alpha=said.alpha if said is not None else None,
        palette=said.palette if said is not None else (),
    )


def _stretch(rendering: Rendering, dtype: str) -> tuple[tuple[float, float], ...] | None:
    pairs = tuple(zip(rendering.low, rendering.high, strict=True))
    left_alone = dtype == "uint8" and all(pair == (0.0, 255.0) for pair in pairs)
    return None if left_alone else pairs


def _describe(uri: str, *, find_stretch: bool) -> _Description | None:
    """Ask a raster for its CRS and bands; None where it cannot be opened."""
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.Env(GDAL_HTTP_CONNECTTIMEOUT="10"), rasterio.open(uri) as dataset:
            crs = dataset.crs or dataset.gcps[1]
            meanings = [meaning.name for meaning in dataset.colorinterp]
            bands = _default_bands(meanings)
            stretched = find_stretch and dataset.dtypes[0] != "uint8"
            return _Description(
                crs=crs.to_string() if crs else None,
                bands=bands,
                stretch=_percentiles(dataset, bands) if stretched else None,
                alpha=meanings.index("alpha") + 1 if "alpha" in meanings else None,
                palette=_palette(dataset, meanings),
                scaling=tuple(zip(dataset.scales, dataset.offsets, strict=True)),
            )
    except (RasterioError, OSError):
        return None


def _default_bands(meanings: Sequence[str]) -> tuple[int, int, int]:
    if all(colour in meanings for colour in ("red", "green", "blue")):
        red, green, blue = (meanings.index(colour) + 1 for colour in ("red", "green", "blue"))
        return red, green, blue
    return (1, 2, 3) if len(meanings) >= 3 else (1, 1, 1)


def _percentiles(
    dataset: DatasetReader, bands: tuple[int, int, int]
) -> tuple[tuple[float, float], ...]:
    """2nd and 98th percentile per band of a decimated read; (0, 1) of a band without values."""
    import numpy as np

    shrink = max(dataset.width, dataset.height) / _PREVIEW_PX
    sides = (dataset.height, dataset.width)
    shape = tuple(max(1, round(side / max(shrink, 1.0))) for side in sides)
    pairs: list[tuple[float, float]] = []
    for band in bands:
        values = dataset.read(band, out_shape=shape, masked=True).compressed()
        values = values[np.isfinite(values)]
        low, high = np.percentile(values, (2, 98)) if values.size else (0.0, 1.0)
        pairs.append((float(low), float(high) if high > low else float(low) + 1.0))
    return tuple(pairs)


def _palette(
    dataset: DatasetReader, meanings: Sequence[str]
) -> tuple[tuple[int, int, int, int], ...]:
    if "palette" not in meanings:
        return ()
    entries = dataset.colormap(meanings.index("palette") + 1)
    return tuple((value, rgba[0], rgba[1], rgba[2]) for value, rgba in sorted(entries.items()))
