"""A scene below the hits of a map: what the map shows of it, fitted by an affine transform."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.errors import SceneError
from georclip.export.sheet.encoding import data_uri
from georclip.export.sheet.projection import View
from georclip.georeference import Georeference
from georclip.scenes.pixels import PixelReader
from georclip.scenes.raster import GDAL_ERRORS

_MOST_DECODED_PX = 30_000_000
"""Read for one backdrop; a larger part without overviews is left out."""
_MOST_MISFIT = 0.006
"""Of the longer side of the map: how far the affine transform may stray."""
_LEAST_SIDE = 6.0
"""Units: scenes smaller than this on a map are not worth a picture."""
_SAMPLES = 5

Affine = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """A picture of a part of a scene.

    Attributes:
        source: A data URI.
        width: Of the picture before the transform, any unit.
        height: The same.
        matrix: (a, b, c, d, e, f) of SVG's matrix(): from the picture to units of the map.
    """

    source: str
    width: float
    height: float
    matrix: Affine


def read_backdrop(
    reader: PixelReader, place: Georeference, view: View, *, most_bytes: int
) -> Backdrop | None:
    """Read what a map shows of a scene.

    Returns:
        None where the scene does not lie flat on the map, is tiny there, or would take long.
    """
    fitted = _fit(reader, place, view)
    if fitted is None:
        return None
    matrix, area = fitted
    across, down = math.hypot(*matrix[0:2]), math.hypot(*matrix[2:4])  # units per px of the scene
    sides = area[2] * across, area[3] * down
    if max(sides) < _LEAST_SIDE:
        return None
    shape = (
        max(1, min(area[3], round(sides[1]))),
        max(1, min(area[2], round(sides[0]))),
    )
    if _decoded_px(reader, area, shape) > _MOST_DECODED_PX:
        return None
    try:
        pixels, valid = reader.read_rendered(area, shape)
    except (SceneError, *GDAL_ERRORS):
        return None  # the chips say why
    a, b, c, d, e, f = matrix
    col, row = area[0], area[1]
    moved = (a, b, c, d, a * col + c * row + e, b * col + d * row + f)
    return Backdrop(
        source=data_uri(pixels, valid, most_bytes=most_bytes),
        width=area[2],
        height=area[3],
        matrix=moved,
    )


def _fit(
    reader: PixelReader, place: Georeference, view: View
) -> tuple[Affine, tuple[int, int, int, int]] | None:
    """The transform from a scene's pixels to a map, and the part of the scene on the map."""
    width, height = reader.dataset.width, reader.dataset.height
    area = (0, 0, width, height)
    for _ in range(3):  # of a large scene, the part on the map lies flatter than the whole
        fit = _affine(place, view, area)
        if fit is None:
            return None
        matrix, misfit = fit
        seen = _seen(matrix, view, (width, height))
        if seen is None:
            return None
        if seen == area:
            break
        area = seen
    return (matrix, area) if misfit <= _MOST_MISFIT * max(view.width, view.height) else None


def _affine(
    place: Georeference, view: View, area: tuple[int, int, int, int]
) -> tuple[Affine, float] | None:
    """Least squares over a grid of points, and the worst distance from it in units."""
    col, row, width, height = area
    shares = np.linspace(0.0, 1.0, _SAMPLES)
    cols, rows = (grid.ravel() for grid in np.meshgrid(col + shares * width, row + shares * height))
    lon, lat = place.lonlat(cols, rows)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    lon = np.unwrap(lon.reshape(_SAMPLES, _SAMPLES), period=360.0, axis=1)
    lon = np.unwrap(lon, period=360.0, axis=0).ravel()
    turn = math.floor((float(lon.mean()) - view.projection.west) / 360.0)
    points = view.place(np.stack([lon - 360.0 * turn, lat], axis=-1))
    terms = np.stack([cols, rows, np.ones_like(cols)], axis=-1)
    found, *_ = np.linalg.lstsq(terms, points, rcond=None)
    misfit = float(np.abs(terms @ found - points).max())
    (a, b), (c, d), (e, f) = found.tolist()
    return (a, b, c, d, e, f), misfit


def _seen(matrix: Affine, view: View, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """The part of a scene of `size` that the map shows, px; None for nothing."""
    a, b, c, d, e, f = matrix
    linear: npt.NDArray[np.float64] = np.array([[a, c], [b, d]])
    if abs(np.linalg.det(linear)) < 1e-12:
        return None
    corners = np.array(
        [[0, 0], [view.width, 0], [0, view.height], [view.width, view.height]], dtype=np.float64
    )
    pixels = np.linalg.solve(linear, (corners - (e, f)).T).T
    low = np.maximum(np.floor(pixels.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(pixels.max(axis=0)), size).astype(int)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _decoded_px(
    reader: PixelReader, area: tuple[int, int, int, int], shape: tuple[int, int]
) -> float:
    """Pixels that GDAL decodes for a decimated read: fewer where there are overviews."""
    factor = min(area[2] / shape[1], area[3] / shape[0])
    levels = [level for level in reader.dataset.overviews(reader.bands[0]) if level <= factor]
    return area[2] * area[3] / max(levels, default=1) ** 2
