from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Geod
from shapely import Polygon

from georclip.errors import SceneError
from georclip.geometry import geometry_bounds
from georclip.georeference import Georeference, footprint_area_m2, normalise_crs
from tests.conftest import PLACES

GEOD = Geod(ellps="WGS84")


def georeference(place: str, **options) -> Georeference:
    where = PLACES[place]
    return Georeference(
        crs=normalise_crs(where.crs), transform=tuple(where.transform(**options))[:6]
    )


@pytest.mark.parametrize("place", sorted(PLACES))
def test_known_systems_keep_their_code(place: str) -> None:
    assert normalise_crs(CRS(PLACES[place].crs).to_wkt()) == PLACES[place].crs


def test_a_system_of_ones_own_becomes_wkt() -> None:
    text = normalise_crs("+proj=laea +lat_0=12.3 +lon_0=45.6 +datum=WGS84 +units=m")
    assert text.startswith("PROJCRS[")
    assert normalise_crs(text) == text


@pytest.mark.parametrize(
    ("crs", "complaint"),
    [
        ("EPSG:999999", "does not know"),
        ("nonsense", "does not know"),
        ('LOCAL_CS["here",UNIT["metre",1]]', "Engineering CRS"),
        ("EPSG:4978", "Geocentric"),
        ("EPSG:5703", "Vertical"),
        ("+proj=eqc +R=3396190 +units=m", "not of the Earth"),
        ("+proj=longlat +R=1737400", "not of the Earth"),
    ],
)
def test_systems_that_lead_nowhere_are_refused(crs: str, complaint: str) -> None:
    with pytest.raises(SceneError, match=complaint) as caught:
        normalise_crs(crs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", sorted(PLACES))
@pytest.mark.parametrize("stretch", [1.0, 1.7])
def test_pixel_sides_are_geodesic_lengths(place: str, stretch: float) -> None:
    ground = georeference(place, stretch_y=stretch, rotation_deg=20)
    across, down = ground.axis_gsd_m(100, 50)
    lon, lat = ground.lonlat([95, 105, 100, 100], [50, 50, 45, 55])
    expected_across = GEOD.inv(lon[0], lat[0], lon[1], lat[1])[2] / 10
    expected_down = GEOD.inv(lon[2], lat[2], lon[3], lat[3])[2] / 10
    assert across == pytest.approx(expected_across, rel=1e-4)
    assert down == pytest.approx(expected_down, rel=1e-4)
    assert ground.gsd_m(100, 50) == pytest.approx(math.sqrt(across * down))


def test_pixels_in_feet_and_in_mercator_are_measured_in_metres() -> None:
    assert georeference("feet").gsd_m(10, 10) == pytest.approx(5 * 0.3048, rel=1e-3)
    assert georeference("utm").gsd_m(10, 10) == pytest.approx(2.0, rel=1e-3)
    mercator = georeference("mercator")
    lat = mercator.lonlat(10, 10)[1]
    assert mercator.gsd_m(10, 10) == pytest.approx(3 * math.cos(math.radians(lat)), rel=5e-3)


@given(
    place=st.sampled_from(sorted(PLACES)),
    rotation=st.sampled_from([0.0, 33.0, 180.0]),
    south_up=st.booleans(),
    size=st.sampled_from([1, 100, 3000]),
    offset=st.integers(-500, 500),
)
def test_footprints_are_right_to_half_a_pixel(place, rotation, south_up, size, offset) -> None:
    ground = georeference(place, rotation_deg=rotation, south_up=south_up)
    window = (offset, offset // 2, size, size)
    footprint = ground.footprint(window)
    assert footprint.is_valid
    for part in shapely.get_parts(footprint):
        assert part.exterior.is_ccw
    assert -180 <= footprint.bounds[0] <= footprint.bounds[2] <= 180
    steps = np.linspace(0, size, 67)
    still = np.zeros_like(steps)
    cols = np.concatenate([steps, steps, still, still + size]) + window[0]
    rows = np.concatenate([still, still + size, steps, steps]) + window[1]
    lon, lat = ground.lonlat(cols, rows)
    edge = shapely.boundary(footprint)
    away_deg = shapely.distance(edge, shapely.points(lon, lat))
    across = np.cos(np.radians(lat)).min()
    pixel_deg = ground.gsd_m(offset, offset) / 111_320
    assert away_deg.max() <= 0.5 * pixel_deg / across


def test_a_footprint_is_a_parallelogram_where_four_corners_do() -> None:
    footprint = georeference("lonlat").footprint((0, 0, 512, 512))
    assert isinstance(footprint, Polygon)
    assert len(footprint.exterior.coords) == 5


@pytest.mark.parametrize("place", ["dateline", "dateline_east"])
def test_footprints_over_the_date_line_are_split(place: str) -> None:
    ground = georeference(place)
    lon, _ = ground.lonlat(np.arange(-9000.0, 9000.0), np.zeros(18_000))
    col = int(np.abs(np.diff(np.sign(lon))).argmax()) - 9000
    assert abs(ground.lonlat(col, 0)[0]) > 179.9
    footprint = ground.footprint((col - 50, 0, 100, 100))
    assert footprint.geom_type == "MultiPolygon"
    west, _, east, _ = geometry_bounds(footprint)
    assert 179.9 < west
    assert east < -179.9
    area = (100 * ground.gsd_m(col, 50)) ** 2
    assert footprint_area_m2(footprint) == pytest.approx(area, rel=0.01)


def test_a_window_around_the_pole_holds_it() -> None:
    ground = Georeference(crs="EPSG:3031", transform=(10_000, 0, -500_000, 0, -10_000, 500_000))
    footprint = ground.footprint((0, 0, 100, 100))
    assert footprint.is_valid
    assert footprint.bounds[0] == -180
    assert footprint.bounds[1] == -90
    assert footprint.bounds[2] == 180
    assert footprint_area_m2(footprint) == pytest.approx(1.05e12, rel=0.02)


@pytest.mark.parametrize("flip", [1, -1])
def test_the_whole_earth_is_the_whole_earth(flip: int) -> None:
    ground = Georeference(crs="EPSG:4326", transform=(0.5, 0, -180, 0, -0.5 * flip, 90 * flip))
    footprint = ground.footprint((0, 0, 720, 360))
    assert geometry_bounds(footprint) == (-180, -90, 180, 90)
    assert footprint.area == pytest.approx(360 * 180)


def test_longitudes_from_0_to_360_are_brought_back() -> None:
    ground = Georeference(crs="EPSG:4326", transform=(0.5, 0, 0, 0, -0.5, 90))
    assert geometry_bounds(ground.footprint((340, 0, 40, 40))) == (170, 70, -170, 90)


def test_windows_off_the_earth_are_an_error() -> None:
    disk = normalise_crs("+proj=geos +h=35785831 +lon_0=0 +datum=WGS84")
    ground = Georeference(crs=disk, transform=(3000, 0, -5.5e6, 0, -3000, 5.5e6))
    assert ground.footprint((1800, 1800, 50, 50)).is_valid
    with pytest.raises(SceneError, match="no lon/lat"):
        ground.footprint((0, 0, 50, 50))
    assert math.isnan(ground.gsd_m(0, 0))


@given(
    place=st.sampled_from(sorted(PLACES)),
    rotation=st.sampled_from([0.0, 33.0, 180.0]),
    south_up=st.booleans(),
    size=st.sampled_from([1, 100, 3000, 40_000]),
    offset=st.integers(-9000, 9000),
)
def test_many_windows_are_placed_as_each_alone(place, rotation, south_up, size, offset) -> None:
    ground = georeference(place, rotation_deg=rotation, south_up=south_up)
    windows = [(offset + step * size // 2, offset // 2, size, size // 2 + 1) for step in range(7)]
    footprints, gsds = ground.place(windows)
    for window, footprint, gsd_m in zip(windows, footprints, gsds, strict=True):
        col, row, width, height = window
        try:
            alone = ground.footprint(window)
        except SceneError:
            assert footprint is None
            continue
        assert footprint is not None
        assert footprint.wkb == alone.wkb
        assert gsd_m == ground.gsd_m(col + width / 2, row + height / 2)


def test_windows_off_the_earth_are_not_placed_and_others_are() -> None:
    disk = normalise_crs("+proj=geos +h=35785831 +lon_0=0 +datum=WGS84")
    ground = Georeference(crs=disk, transform=(3000, 0, -5.5e6, 0, -3000, 5.5e6))
    windows = [(0, 0, 50, 50), (1800, 1800, 50, 50)]
    footprints, gsds = ground.place(windows)
    assert footprints == [None, ground.footprint(windows[1])]
    assert np.isnan(gsds).tolist() == [True, False]
