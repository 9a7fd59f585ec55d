"""Scenes as layers of a QGIS project: where QGIS finds them, and how they are shown.

A scene from an index is shown as its encoder saw it: the same bands, the same stretch. Where
hits come from a file, the raster itself is asked for its bands. Loads rasterio when a local
raster is there to be asked.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from georclip.export.records import Hits
from georclip.values import Rendering, Scene

_VSI = {"http://": "/vsicurl/http://", "https://": "/vsicurl/https://", "s3://": "/vsis3/"}

_EIGHT_BIT = ("uint8",)


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
    """What a raster says about itself."""

    crs: str | None
    bands: tuple[int, int, int]
    eight_bit: bool
    alpha: int | None
    palette: tuple[tuple[int, int, int, int], ...]


def raster_layers(hits: Hits, *, folder: Path) -> tuple[list[RasterLayer], list[str]]:
    """Describe the scenes of hits, in the order of their best hit.

    Args:
        hits: With or without their scenes.
        folder: Where the project will lie, absolute.

    Returns:
        The layers, and the uris of scenes that are gone.
    """
    known = {scene.uri: scene for scene in hits.scenes}
    names = {record.uri: record.scene for record in hits.records}
    layers: list[RasterLayer] = []
    missing: list[str] = []
    for uri, name in names.items():
        scene = known.get(uri)
        local = "://" not in uri and not uri.startswith("/vsi")
        if local and not Path(uri).exists():
            missing.append(uri)
            continue
        described = _describe(uri) if local else None
        layer = _layer(scene, described, name=name, source=source_of(uri, folder=folder))
        if layer is None:
            missing.append(uri)
        else:
            layers.append(layer)
    return layers, missing


def source_of(uri: str, *, folder: Path) -> str:
    """Where QGIS finds a scene from a project in `folder`."""
    for scheme, prefix in _VSI.items():
        if uri.startswith(scheme):
            rest = uri.removeprefix(scheme)
            return prefix + (rest if scheme == "s3://" else quote(rest, safe="/:?&=%+~@,;!$'()*#"))
    if "://" in uri or uri.startswith("/vsi"):
        return uri
    try:
        relative = os.path.relpath(uri, folder)
    except ValueError:  # another drive
        return uri
    relative = relative.replace(os.sep, "/")
    return relative if relative.startswith("../") else f"./{relative}"


def _layer(
    scene: Scene | None, described: _Description | None, *, name: str, source: str
) -> RasterLayer | None:
    """Join what the index and the raster say; None where neither says enough."""
    crs = scene.crs if scene is not None else described.crs if described is not None else None
    if crs is None:
        return None
    palette = described.palette if described is not None else ()
    if scene is not None:
        bands, stretch = scene.rendering.bands, _stretch(scene.rendering, scene.dtype)
    elif described is not None:
        bands, stretch = described.bands, None if described.eight_bit else ()
    else:
        return None
    return RasterLayer(
        name=name,
        source=source,
        crs=crs,
        bands=bands,
        stretch=stretch,
        alpha=described.alpha if described is not None else None,
        palette=palette,
    )


def _stretch(rendering: Rendering, dtype: str) -> tuple[tuple[float, float], ...] | None:
    pairs = tuple(zip(rendering.low, rendering.high, strict=True))
    left_alone = dtype in _EIGHT_BIT and all(pair == (0.0, 255.0) for pair in pairs)
    return None if left_alone else pairs


def _describe(uri: str) -> _Description | None:
    """Ask a local raster for its bands; None where it cannot be opened."""
    import rasterio
    from rasterio.enums import ColorInterp
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(uri) as dataset:
            meanings: Sequence[ColorInterp] = dataset.colorinterp
            palette: tuple[tuple[int, int, int, int], ...] = ()
            if ColorInterp.palette in meanings:
                entries = dataset.colormap(meanings.index(ColorInterp.palette) + 1)
                palette = tuple((value, *rgba[:3]) for value, rgba in sorted(entries.items()))
            crs = dataset.crs
            code = None if crs is None else crs.to_string()
            alpha = meanings.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in meanings else None
            return _Description(
                crs=code,
                bands=_default_bands(meanings),
                eight_bit=dataset.dtypes[0] in _EIGHT_BIT,
                alpha=alpha,
                palette=palette,
            )
    except RasterioError:
        return None


def _default_bands(meanings: Sequence[object]) -> tuple[int, int, int]:
    names = [getattr(meaning, "name", "") for meaning in meanings]
    if all(colour in names for colour in ("red", "green", "blue")):
        red, green, blue = (names.index(colour) + 1 for colour in ("red", "green", "blue"))
        return red, green, blue
    return (1, 2, 3) if len(names) >= 3 else (1, 1, 1)
