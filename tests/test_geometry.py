from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import LineString, MultiPolygon, Point, Polygon, box

from georclip.errors import QueryError
from georclip.geometry import (
    bbox_polygon,
    bounds_overlap,
    footprints_pass_aoi,
    geometry_bounds,
    parse_bbox,
    passes_aoi,
    split_at_date_line,
    unwrap,
)

lons = st.integers(-180, 180).map(float)
lats = st.integers(-90, 90).map(float)


@st.composite
def boxes(draw):
    west, east = draw(st.tuples(lons, lons).filter(lambda pair: pair[0] != pair[1]))
    south, north = sorted(draw(st.tuples(lats, lats).filter(lambda pair: pair[0] != pair[1])))
    if (west, east) == (180.0, -180.0):
        east = -179.0
    return west, south, east, north


@pytest.mark.parametrize(
    "values",
    [
        "-76.8,34.6,-76.5,34.8",
        ("-76.8", "34.6", "-76.5", "34.8"),
        (-76.8, 34.6, -76.5, 34.8),
        " -76.8 , 34.6,-76.5, 34.8 ",
    ],
)
def test_boxes_are_read_in_every_form(values) -> None:
    assert parse_bbox(values) == (-76.8, 34.6, -76.5, 34.8)


def test_a_box_may_cross_the_date_line() -> None:
    assert parse_bbox("170,-20,-170,-10") == (170.0, -20.0, -170.0, -10.0)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ("1,2,3", "3 values"),
        ("1,2,3,4,5", "5 values"),
        ("", "1 values"),
        ("a,b,c,d", "no number"),
        ("1,2,nan,4", "not finite"),
        ("1,2,inf,4", "not finite"),
        ("0,-91,1,0", "latitude"),
        ("0,0,1,91", "latitude"),
        ("-181,0,1,1", "longitude"),
        ("0,0,200,1", "longitude"),
        ("0,10,1,5", "south greater than north"),
        ("0,5,1,5", "south equal to north"),
        ("3,0,3,1", "no width"),
        ("180,0,-180,1", "no width"),
    ],
)
def test_bad_boxes_are_refused_in_one_line(values: str, complaint: str) -> None:
    with pytest.raises(QueryError, match=complaint) as caught:
        parse_bbox(values)
    assert "\n" not in str(caught.value)
    assert values in str(caught.value)


@given(boxes())
def test_a_box_survives_being_drawn(bbox) -> None:
    polygon = bbox_polygon(bbox)
    assert polygon.is_valid
    west, south, east, north = bbox
    width = east - west if west < east else east - west + 360
    assert polygon.area == pytest.approx(width * (north - south))
    for part in shapely.get_parts(polygon):
        assert part.exterior.is_ccw
        assert -180 <= part.bounds[0] < part.bounds[2] <= 180
    if width < 180 or west < east:
        bounds = geometry_bounds(polygon)
        assert bounds == pytest.approx(_degenerate(bbox))


def _degenerate(bbox):
    """A box that only touches the date line does not cross it."""
    west, south, east, north = bbox
    if west > east and west == 180:
        west = -180.0
    if west > east and east == -180:
        east = 180.0
    return west, south, east, north


def test_splitting_keeps_what_lies_inside() -> None:
    plain = Polygon([(10, 0), (11, 0), (11, 1)])
    assert split_at_date_line(plain).equals(plain)


@pytest.mark.parametrize("shift", [-720, -360, 0, 360, 720])
def test_splitting_does_not_mind_which_turn(shift: int) -> None:
    split = split_at_date_line(box(179 + shift, 0, 181.5 + shift, 1))
    assert isinstance(split, MultiPolygon)
    assert split.area == pytest.approx(2.5)
    assert geometry_bounds(split) == (179, 0, -178.5, 1)


def test_a_hole_is_kept_and_turned() -> None:
    holed = Polygon(box(178, 0, 182, 4).exterior, [box(178.5, 1, 179.5, 2).exterior])
    split = split_at_date_line(holed)
    assert split.area == pytest.approx(15)
    rings = [ring for part in split.geoms for ring in part.interiors]
    assert len(rings) == 1
    assert not rings[0].is_ccw


def test_slivers_and_latitudes_beyond_the_poles_are_cut_off() -> None:
    split = split_at_date_line(box(179, 80, 180 + 1e-11, 90.25))
    assert isinstance(split, Polygon)
    assert split.bounds == (179, 80, 180, 90)


def test_the_whole_earth_from_greenwich_is_two_halves() -> None:
    assert geometry_bounds(split_at_date_line(box(0, -90, 360, 90))) == (-180, -90, 180, 90)


def test_a_ring_over_the_date_line_becomes_continuous() -> None:
    ring = unwrap([(179, 0), (-179, 0), (-179, 1), (179, 1), (179, 0)])
    assert np.array_equal(ring, [(179, 0), (181, 0), (181, 1), (179, 1)])


@pytest.mark.parametrize("pole", [1, -1])
def test_a_ring_around_a_pole_holds_the_pole(pole: int) -> None:
    lon = np.arange(-175, 180, 10.0) * pole
    cap = split_at_date_line(Polygon(unwrap(np.stack([lon, np.full(36, 80.0 * pole)], axis=-1))))
    assert cap.is_valid
    assert cap.area == pytest.approx(3600)
    assert max(abs(cap.bounds[1]), abs(cap.bounds[3])) == 90


def test_bounds_of_nothing_are_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        geometry_bounds(Polygon())


def test_bounds_of_points_and_lines() -> None:
    assert geometry_bounds(Point(3, 4)) == (3, 4, 3, 4)
    assert geometry_bounds(LineString([(3, 4), (5, 6)])) == (3, 4, 5, 6)


@given(st.lists(boxes(), min_size=1, max_size=8), boxes())
def test_overlap_never_loses_a_box_that_meets(rows, bbox) -> None:
    found = bounds_overlap(np.array(rows), bbox)
    asked = bbox_polygon(bbox)
    exact = [bbox_polygon(row).intersects(asked) for row in rows]
    assert not (np.array(exact) & ~found).any()


@given(boxes(), boxes())
def test_overlap_finds_nothing_far_away(row, bbox) -> None:
    found = bounds_overlap(np.array([row]), bbox)[0]
    near = bbox_polygon(row).intersects(bbox_polygon(bbox).buffer(1e-9))
    touches_line = any(abs(value) == 180 for value in (row[0], row[2], bbox[0], bbox[2])) or (
        row[0] > row[2] or bbox[0] > bbox[2]
    )
    assert near or touches_line or not found


def test_the_date_line_is_one_line() -> None:
    rows = np.array([[-180.0, 0, -179, 1], [179.0, 0, 180, 1], [0.0, 0, 1, 1]])
    assert bounds_overlap(rows, (170, 0, 180, 1)).tolist() == [True, True, False]
    assert bounds_overlap(rows, (-180, 0, -170, 1)).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("aoi", "passes"),
    [
        (box(0.5, 0.5, 3, 3), True),
        (box(0.2, 0.2, 0.3, 0.3), True),
        (box(-1, -1, 2, 2), True),
        (box(1, 0, 2, 1), False),
        (box(1, 1, 2, 2), False),
        (box(5, 5, 6, 6), False),
        (Point(0.5, 0.5), True),
        (Point(1, 1), True),
        (Point(1.01, 1), False),
        (LineString([(1, -1), (1, 2)]), True),
        (LineString([(2, -1), (2, 2)]), False),
        (MultiPolygon([box(1, 0, 2, 1), box(0.9, 5, 2, 6)]), False),
        (MultiPolygon([box(1, 0, 2, 1), box(0.5, 0.9, 0.6, 6)]), True),
        (shapely.GeometryCollection([box(1, 0, 2, 1), Point(9, 9)]), False),
        (shapely.GeometryCollection([box(1, 0, 2, 1), Point(0, 0)]), True),
    ],
)
def test_an_aoi_with_area_wants_area(aoi, passes: bool) -> None:
    assert passes_aoi(box(0, 0, 1, 1), aoi) is passes


def test_a_point_on_the_date_line_is_met_from_both_sides() -> None:
    footprints = np.array([box(179, 0, 180, 1), box(-180, 0, -179, 1), box(0, 0, 1, 1)])
    for lon in (180, -180):
        assert footprints_pass_aoi(footprints, Point(lon, 0.5)).tolist() == [True, True, False]
