"""A heat map as a file: a cloud-optimised GeoTIFF, with a QGIS style of its name beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import georclip
from georclip.errors import ExportError
from georclip.export.files import check_target, replacing
from georclip.export.heat_style import heat_qml

if TYPE_CHECKING:
    from georclip.search.heat import HeatMap
    from georclip.values import EncoderSpec

SUFFIXES = (".tif", ".tiff")
SHOWN_FROM = 50.0
"""Percentile of the scores up to which QGIS draws nothing."""

_BLOCK_PX = 256


def check_heat_target(path: Path, *, overwrite: bool) -> None:
    """Say early what stands in the way of the two files.

    Raises:
        ExportError: Another suffix than .tif or .tiff, no such folder, or a file without
            `overwrite`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ExportError(f"{path}: a heat map is a GeoTIFF: name a file that ends in .tif")
    for target in (path, style_path(path)):
        check_target(target, overwrite=overwrite)


def style_path(path: Path) -> Path:
    """Where QGIS looks for the style of a raster."""
    return path.with_suffix(".qml")


def write_heat(
    heat: HeatMap, path: Path, *, question: str, encoder: EncoderSpec, overwrite: bool = False
) -> tuple[Path, Path]:
    """Write a heat map.

    One band of float32, DEFLATE with the predictor of floats, tiles of 256 px, overviews where it
    is larger than a tile, NaN as nodata, statistics. Tags say the question, the encoder, the
    scene and when it was taken, the windows' side and the stride, m, and georclip's version.

    Args:
        heat: To write.
        path: FILE.tif; FILE.qml goes beside it.
        question: As asked.
        encoder: What made the scores.
        overwrite: Replace files that are there.

    Returns:
        The raster and its style.

    Raises:
        ExportError: Something is in the way, or the folder cannot be written.
    """
    check_heat_target(path, overwrite=overwrite)
    style = style_path(path)
    scores = heat.values[np.isfinite(heat.values)].astype(np.float64)
    with replacing(path, overwrite=overwrite) as draft:
        _write_raster(draft, heat, scores, _tags(heat, question, encoder))
    with replacing(style, overwrite=overwrite) as draft:
        draft.write_text(heat_qml(*_shown_range(scores)), encoding="utf-8")
    return path, style


def _shown_range(scores: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    if not scores.size:
        return 0.0, 1.0
    low, high = float(np.percentile(scores, SHOWN_FROM)), float(scores.max())
    return low, max(high, low + 1e-6)


def _tags(heat: HeatMap, question: str, encoder: EncoderSpec) -> dict[str, str]:
    acquired = heat.scene.acquired
    return {
        "GEORCLIP_VERSION": georclip.__version__,
        "QUESTION": question,
        "ENCODER": encoder.name,
        "ENCODER_WEIGHTS_SHA256": encoder.weights_sha256,
        "SCENE": heat.scene.name,
        "SCENE_ID": heat.scene.scene_id,
        "ACQUIRED": "" if acquired is None else f"{acquired:%Y-%m-%dT%H:%M:%SZ}",
        "WINDOW_M": f"{heat.side_m:.6g}",
        "STRIDE_M": f"{heat.stride_m:.6g}",
        **({} if acquired is None else {"TIFFTAG_DATETIME": f"{acquired:%Y:%m:%d %H:%M:%S}"}),
    }


def _write_raster(
    path: Path,
    heat: HeatMap,
    scores: np.ndarray[Any, np.dtype[np.float64]],
    tags: dict[str, str],
) -> None:
    import rasterio
    from affine import Affine
    from rasterio.errors import RasterioError

    rows, columns = heat.values.shape
    profile = {
        "driver": "COG", "width": columns, "height": rows, "count": 1, "dtype": "float32",
        "crs": heat.scene.crs, "transform": Affine(*heat.transform), "nodata": float("nan"),
        "compress": "DEFLATE", "predictor": "FLOATING_POINT", "blocksize": _BLOCK_PX,
        "overview_resampling": "AVERAGE", "bigtiff": "IF_SAFER",
    }  # fmt: skip
    try:
        with rasterio.Env(), rasterio.open(path, "w", **profile) as target:
            target.write(heat.values, 1)
            target.set_band_description(1, "cosine with the question")
            target.update_tags(**tags)
            target.update_tags(1, **_statistics(heat, scores))
    except RasterioError as error:
        raise ExportError(
            f"cannot write {path.name}: {str(error).splitlines()[0]}: name another folder"
        ) from error


def _statistics(heat: HeatMap, scores: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, str]:
    """As GDAL keeps them, so that nobody has to read the band to stretch it."""
    if not scores.size:
        return {}
    return {
        "STATISTICS_MINIMUM": repr(float(scores.min())),
        "STATISTICS_MAXIMUM": repr(float(scores.max())),
        "STATISTICS_MEAN": repr(float(scores.mean())),
        "STATISTICS_STDDEV": repr(float(scores.std())),
        "STATISTICS_VALID_PERCENT": f"{100 * scores.size / heat.values.size:.4g}",
    }
