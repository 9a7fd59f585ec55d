"""From pixels to the ground: footprints and true pixel sizes, whatever the CRS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, ProjError
from shapely import MultiPolygon, Polygon

from georclip.errors import SceneError
from georclip.geometry import split_at_date_line, unwrap

_GEOD = Geod(ellps="WGS84")
_EARTH_RADIUS_M = 6_378_137.0
_BEND_PX = 0.25
"""How far a footprint's edge may stray from the true one: half of what is promised."""
_MOST_SEGMENTS = 256
_LONGEST_STEP_DEG = 60.0
"""Steps longer than this may hide which way around the globe an edge runs."""


def normalise_crs(text: str) -> str:
    """Check a CRS and name it.

    Args:
        text: Anything pyproj reads: an authority code, WKT, PROJ JSON.

    Returns:
        An authority code such as "EPSG:32650" where there is one for exactly this, else WKT 2.

    Raises:
        SceneError: PROJ does not know it, or it cannot be tied to lon/lat on Earth.
    """
    try:
        crs = CRS.from_user_input(text)
    except CRSError as error:
        raise SceneError(
            f"PROJ does not know its CRS ({_first_line(error)}): "
            "assign one, for example with gdal_edit.py -a_srs EPSG:..."
        ) from None
    if crs.is_bound and crs.source_crs is not None:
        body = crs.source_crs
    else:
        body = crs
    if body.is_engineering or not (body.is_geographic or body.is_projected or body.is_compound):
        raise SceneError(
            f"its CRS {crs.name!r} ({crs.type_name}) names no places on the Earth's surface: "
            "georeference the raster in a geographic or projected CRS"
        )
    ellipsoid = crs.ellipsoid
    if ellipsoid is not None and abs(ellipsoid.semi_major_metre / _EARTH_RADIUS_M - 1) > 0.01:
        raise SceneError(
            f"its CRS {crs.name!r} is not of the Earth (radius "
            f"{ellipsoid.semi_major_metre / 1000:.0f} km): georclip answers in WGS 84 lon/lat "
            "of the Earth, so leave this raster out"
        )
    authority = crs.to_authority(min_confidence=100)
    named = ":".join(authority) if authority else crs.to_wkt()
    try:
        _to_lonlat(named)
    except ProjError as error:
        raise SceneError(
            f"PROJ has no way from its CRS {crs.name!r} to lon/lat ({_first_line(error)}): "
            "reproject the raster, for example with gdalwarp -t_srs EPSG:4326"
        ) from None
    return named


@dataclass(frozen=True, slots=True, kw_only=True)
class Georeference:
    """Ties the pixels of a raster to lon/lat (EPSG:4326).

    Attributes:
        crs: Authority code or WKT, as `normalise_crs` returns it.
        transform: (a, b, c, d, e, f): x = a * col + b * row + c, y = d * col + e * row + f,
            pixel corners to CRS units.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]

    def lonlat(
        self, cols: npt.ArrayLike, rows: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Place pixel coordinates, (0, 0) being the outer corner of the first pixel.

        Returns:
            Longitudes and latitudes in degrees, shaped as the input; not finite where the CRS
            does not reach.
        """
        col, row = np.asarray(cols, dtype=np.float64), np.asarray(rows, dtype=np.float64)
        a, b, c, d, e, f = self.transform
        lon, lat = _to_lonlat(self.crs).transform(a * col + b * row + c, d * col + e * row + f)
        return np.asarray(lon), np.asarray(lat)

    def axis_gsd_m(self, col: float, row: float) -> tuple[float, float]:
        """Measure a pixel's two sides on the WGS 84 ellipsoid (geodesics).

        Args:
            col: Pixel coordinate, px; fractions allowed.
            row: Pixel coordinate, px.

        Returns:
            Ground lengths of one step in columns and of one step in rows, m; NaN where the
            CRS does not reach.
        """
        cols = [col - 0.5, col + 0.5, col, col]
        rows = [row, row, row - 0.5, row + 0.5]
        lon, lat = self.lonlat(cols, rows)
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            return math.nan, math.nan
        lat = np.clip(lat, -90.0, 90.0)
        _, _, length = _GEOD.inv(lon[::2], lat[::2], lon[1::2], lat[1::2])
        return float(length[0]), float(length[1])

    def gsd_m(self, col: float, row: float) -> float:
        """Ground metres per pixel: geometric mean of both sides."""
        across, down = self.axis_gsd_m(col, row)
        return math.sqrt(across * down)

    def footprint(
        self, window: tuple[int, int, int, int] | tuple[float, float, float, float]
    ) -> Polygon | MultiPolygon:
        """Outline a window on the ground.

        Edges get as many points as they need to stay within half a pixel of the truth.

        Args:
            window: (col_off, row_off, width, height), px.

        Returns:
            EPSG:4326, (lon, lat), counter-clockwise, split at the date line.

        Raises:
            SceneError: A part of the outline lies where the CRS has no lon/lat.
        """
        segments = 1
        while True:
            ring = self._ring(window, 2 * segments)
            outline = unwrap(ring)
            if segments >= _MOST_SEGMENTS:
                break
            steps = np.abs(np.diff(outline[: len(ring), 0]))
            traceable = steps.max(initial=0.0) <= _LONGEST_STEP_DEG
            if traceable and self._bend_m(outline[: len(ring)]) <= self._tolerance_m(window):
                if len(outline) == len(ring):  # no pole inside: the half points are not needed
                    outline = outline[::2]
                break
            segments *= 2
        area = split_at_date_line(Polygon(outline))
        if area.is_empty:
            raise SceneError(f"window {window} covers no ground: check the raster's transform")
        return area

    def _ring(
        self, window: tuple[float, float, float, float], segments: int
    ) -> npt.NDArray[np.float64]:
        """Walk around a window: (4 * segments, 2) lon, lat."""
        col, row, width, height = window
        steps = np.arange(segments) / segments
        ahead, still = steps, np.zeros(segments)
        cols = np.concatenate([ahead, still + 1, 1 - ahead, still]) * width + col
        rows = np.concatenate([still, ahead, still + 1, 1 - ahead]) * height + row
        ring = np.stack(self.lonlat(cols, rows), axis=-1)
        if not np.isfinite(ring).all():
            raise SceneError(
                f"window {window} lies partly where its CRS has no lon/lat: "
                "clip the raster to the Earth"
            )
        return ring

    def _bend_m(self, outline: npt.NDArray[np.float64]) -> float:
        """Farthest that every second point lies from the middle of its neighbours, m."""
        before, between = outline[::2], outline[1::2]
        after = np.roll(before, -1, axis=0)
        off = between - (before + after) / 2
        off[:, 0] = (off[:, 0] + 90.0) % 180.0 - 90.0  # the last neighbour is one turn away
        off[:, 0] *= np.cos(np.radians(between[:, 1]))
        return float(np.hypot(off[:, 0], off[:, 1]).max() * math.radians(_EARTH_RADIUS_M))

    def _tolerance_m(self, window: tuple[float, float, float, float]) -> float:
        col, row, width, height = window
        shortest = min(self.axis_gsd_m(col + width / 2, row + height / 2))
        return _BEND_PX * shortest if shortest > 0 else 0.0


def footprint_area_m2(footprint: Polygon | MultiPolygon) -> float:
    """Area on the WGS 84 ellipsoid, m²."""
    return abs(sum(_GEOD.geometry_area_perimeter(part)[0] for part in shapely.get_parts(footprint)))


@lru_cache(maxsize=64)
def _to_lonlat(crs: str) -> Transformer:
    return Transformer.from_crs(CRS.from_user_input(crs).to_2d(), "EPSG:4326", always_xy=True)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else "no reason given"
