"""From pixels to the ground: footprints and true pixel sizes, whatever the CRS."""

from __future__ import annotations

import math
from contextlib import suppress
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
        across, down = self._axes_gsd_m(np.array([col], float), np.array([row], float))[0]
        return float(across), float(down)

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
            if traceable and float(_bends_m(outline[None, : len(ring)])[0]) <= self._tolerance_m(
                window
            ):
                if len(outline) == len(ring):  # no pole inside: the half points are not needed
                    outline = outline[::2]
                break
            segments *= 2
        area = split_at_date_line(Polygon(outline))
        if area.is_empty:
            raise SceneError(f"window {window} covers no ground: check the raster's transform")
        return area

    def place(
        self, windows: npt.ArrayLike
    ) -> tuple[list[Polygon | MultiPolygon | None], npt.NDArray[np.float64]]:
        """Place many windows at once: what `footprint`, and `gsd_m` of their centres, give.

        Args:
            windows: (n, 4) of (col_off, row_off, width, height), px.

        Returns:
            n outlines, None where `footprint` would raise; (n,) ground metres per pixel.
        """
        areas = np.asarray(windows, dtype=np.float64).reshape(-1, 4)
        axes = self._axes_gsd_m(areas[:, 0] + areas[:, 2] / 2, areas[:, 1] + areas[:, 3] / 2)
        shortest = axes.min(axis=1)
        tolerances = np.where(shortest > 0, _BEND_PX * shortest, 0.0)
        found: list[Polygon | MultiPolygon | None] = [None] * len(areas)
        odd: list[int] = []
        left, segments = np.arange(len(areas)), 1
        while left.size and segments < _MOST_SEGMENTS:
            rings = self._rings(areas[left], 2 * segments)
            plain = _is_plain(rings)
            odd += left[~plain].tolist()
            left, rings = left[plain], rings[plain]
            straight = _bends_m(rings) <= tolerances[left]
            drawn, valid = _polygons_of(rings[straight][:, ::2])
            for number, polygon, good in zip(left[straight].tolist(), drawn, valid, strict=True):
                if good:
                    found[number] = polygon
                else:
                    odd.append(number)
            left, segments = left[~straight], 2 * segments
        for number in (*odd, *left.tolist()):  # over the date line, around a pole, off the Earth
            col, row, width, height = areas[number].tolist()
            with suppress(SceneError):
                found[number] = self.footprint((col, row, width, height))
        return found, np.sqrt(axes[:, 0] * axes[:, 1])

    def _axes_gsd_m(
        self, col: npt.NDArray[np.float64], row: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Apply `axis_gsd_m` to pixel coordinates (n,): (n, 2), m."""
        lon, lat = self.lonlat(
            np.stack([col - 0.5, col + 0.5, col, col], axis=-1),
            np.stack([row, row, row - 0.5, row + 0.5], axis=-1),
        )
        reached = (np.isfinite(lon) & np.isfinite(lat)).all(axis=-1)
        lat = np.clip(lat, -90.0, 90.0)
        lengths = np.full((len(lon), 2), np.nan)
        lon, lat = lon[reached], lat[reached]
        _, _, length = _GEOD.inv(lon[:, ::2], lat[:, ::2], lon[:, 1::2], lat[:, 1::2])
        lengths[reached] = length
        return lengths

    def _rings(self, areas: npt.NDArray[np.float64], segments: int) -> npt.NDArray[np.float64]:
        """Walk around (n, 4) windows: (n, 4 * segments, 2) lon, lat; not finite off the Earth."""
        across, down = _walk(segments)
        cols = across * areas[:, 2, None] + areas[:, 0, None]
        rows = down * areas[:, 3, None] + areas[:, 1, None]
        return np.stack(self.lonlat(cols, rows), axis=-1)

    def _ring(
        self, window: tuple[float, float, float, float], segments: int
    ) -> npt.NDArray[np.float64]:
        """Walk around a window: (4 * segments, 2) lon, lat."""
        ring: npt.NDArray[np.float64] = self._rings(np.array([window], float), segments)[0]
        if not np.isfinite(ring).all():
            raise SceneError(
                f"window {window} lies partly where its CRS has no lon/lat: "
                "clip the raster to the Earth"
            )
        return ring

    def _tolerance_m(self, window: tuple[float, float, float, float]) -> float:
        col, row, width, height = window
        shortest = min(self.axis_gsd_m(col + width / 2, row + height / 2))
        return _BEND_PX * shortest if shortest > 0 else 0.0


def footprint_area_m2(footprint: Polygon | MultiPolygon) -> float:
    """Area on the WGS 84 ellipsoid, m²."""
    return abs(sum(_GEOD.geometry_area_perimeter(part)[0] for part in shapely.get_parts(footprint)))


def _walk(segments: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Shares of width and of height, once around a window: (4 * segments,) each."""
    ahead, still = np.arange(segments) / segments, np.zeros(segments)
    across = np.concatenate([ahead, still + 1, 1 - ahead, still])
    return across, np.concatenate([still, ahead, still + 1, 1 - ahead])


def _bends_m(outlines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Farthest that every second point lies from the middle of its neighbours: (n,), m.

    Args:
        outlines: (n, points, 2) lon, lat.
    """
    before, between = outlines[:, ::2], outlines[:, 1::2]
    after = np.roll(before, -1, axis=1)
    off = between - (before + after) / 2
    off[..., 0] = (off[..., 0] + 90.0) % 180.0 - 90.0  # the last neighbour may be one turn away
    off[..., 0] *= np.cos(np.radians(between[..., 1]))
    farthest: npt.NDArray[np.float64] = np.hypot(off[..., 0], off[..., 1]).max(axis=1)
    farthest *= math.radians(_EARTH_RADIUS_M)
    return farthest


def _is_plain(rings: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell rings (n, points, 2) that lie on the Earth and neither cross the date line nor wind."""
    with np.errstate(invalid="ignore"):
        steps = np.abs(rings - np.roll(rings, 1, axis=1))[..., 0]
    inside = (np.abs(rings) <= (180.0, 90.0)).all(axis=(1, 2))  # false for what is not finite
    plain: npt.NDArray[np.bool_] = inside & (steps.max(axis=1) <= _LONGEST_STEP_DEG)
    return plain


def _polygons_of(
    rings: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
    """Counter-clockwise polygons of rings (n, points, 2), and which of them are valid areas."""
    following = np.roll(rings, -1, axis=1)
    areas = (rings[..., 0] * following[..., 1] - following[..., 0] * rings[..., 1]).sum(axis=1)
    closed = np.concatenate([rings, rings[:, :1]], axis=1)
    turned = np.where((areas < 0)[:, None, None], closed[:, ::-1], closed)
    polygons = np.asarray(shapely.polygons(shapely.linearrings(turned)))
    return polygons, shapely.is_valid(polygons) & (areas != 0)


@lru_cache(maxsize=64)
def _to_lonlat(crs: str) -> Transformer:
    return Transformer.from_crs(CRS.from_user_input(crs).to_2d(), "EPSG:4326", always_xy=True)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else "no reason given"
