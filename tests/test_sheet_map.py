"""Maps of the contact sheet: hits where they are, near and far, at the date line and the poles."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon

from georclip.export import dumps_hits
from georclip.export.sheet.drawing import draw_map
from georclip.export.sheet.graticule import degrees
from georclip.export.sheet.marks import Mark
from georclip.export.sheet.places import group_by_place, is_legible
from georclip.export.sheet.projection import View, choose_projection, fit_view
from georclip.geometry import split_at_date_line
from tests.helpers_hits import FIJI, HARBOR, TOWN, make_hit, make_result
from tests.helpers_sheet import Element, parse


def view_of(*footprints: Polygon | MultiPolygon) -> View:
    return fit_view(
        choose_projection(footprints), footprints, margin=0.1, width=500, heights=(250, 500)
    )


def drawn(*footprints: Polygon | MultiPolygon) -> Element:
    marks = [
        Mark(target=f"h{at}", label=str(at), title="", footprint=one, colour="#c33d80",
             convincing=True)
        for at, one in enumerate(footprints, start=1)
    ]  # fmt: skip
    return parse(draw_map(view_of(*footprints), marks, title="Map")).one("svg")


def box(lon: float, lat: float, side: float) -> Polygon | MultiPolygon:
    return split_at_date_line(shapely.box(lon, lat, lon + side, lat + side))


def points_of(path: str) -> np.ndarray:
    return np.array([one.split() for one in re.split("[ML]", path.rstrip("Z")) if one], dtype=float)


@given(
    st.floats(-180, 179), st.floats(-84, 80), st.floats(1e-4, 3), st.floats(0, 3), st.floats(0, 3)
)
def test_everything_lies_inside_the_picture(
    lon: float, lat: float, side: float, east: float, north: float
) -> None:
    places = box(lon, lat, side), box(lon + east, lat + north, side)
    view = view_of(*places)
    for one in places:
        points = np.concatenate(view.rings(one))
        assert (points >= 0).all() and (points <= (view.width, view.height)).all()
        assert len(view.rings(one)) == 1


def test_north_is_up_and_shapes_keep_their_form() -> None:
    view = view_of(box(10, 60, 0.1), box(10.2, 60.2, 0.1))
    (south_west,), (north_east,) = (view.rings(box(10, 60, 0.1)), view.rings(box(10.2, 60.2, 0.1)))
    assert north_east[:, 0].min() > south_west[:, 0].max()
    assert north_east[:, 1].max() < south_west[:, 1].min()
    sides = np.ptp(south_west, axis=0)
    assert sides[1] / sides[0] == pytest.approx(1 / math.cos(math.radians(60.05)), rel=0.01)


def test_near_a_pole_degrees_are_shown_as_they_are() -> None:
    around = Polygon([(lon, 86) for lon in range(-180, 181, 60)] + [(180, 90), (-180, 90)])
    assert choose_projection([around]).plain
    points = np.concatenate(view_of(around).rings(around))
    assert np.isfinite(points).all()
    assert not choose_projection([HARBOR]).plain


def test_hits_on_both_sides_of_the_date_line_are_neighbours() -> None:
    places = box(179.5, -17, 0.2), FIJI, box(-179.8, -17, 0.2)
    view = view_of(*places)
    west, middle, east = (np.concatenate(view.rings(one)) for one in places)
    assert west[:, 0].max() < middle[:, 0].max() < east[:, 0].max()
    assert len(view.rings(FIJI)) == 1
    ticks = [one.text for one in drawn(*places).all("text", "tick")]
    assert "180.0°" in ticks and "179.5° E" in ticks and "179.5° W" in ticks


def test_ticks_name_the_degrees_that_they_stand_at() -> None:
    svg = drawn(HARBOR, TOWN)
    view = view_of(HARBOR, TOWN)
    across = [one for one in svg.all("text", "middle") if one.text.endswith("° W")]
    assert len(across) >= 2
    for tick in across:
        lon = -float(tick.text.removesuffix("° W"))
        x = view.place([[lon, 34.7]])[0, 0]
        assert float(tick.attributes["x"] or "") == pytest.approx(x, abs=0.02)
    (up, *_) = (one for one in svg.all("text", "tick") if one.text.endswith("° N"))
    y = view.place([[-76.7, float(up.text.removesuffix("° N"))]])[0, 1]
    assert float(up.attributes["y"] or "") + 4 == pytest.approx(y, abs=0.02)


@pytest.mark.parametrize(
    ("value", "step", "wanted"),
    [(0.0, 1.0, "0°"), (-0.001, 0.1, "0.0°"), (180.0, 30.0, "180°"), (-76.65, 0.05, "76.65° W"),
     (12.0, 5.0, "12° E"), (0.0004, 0.0002, "0.0004° E")]
)  # fmt: skip
def test_degrees_in_words(value: float, step: float, wanted: str) -> None:
    assert degrees(value, "E", "W", step) == wanted


@pytest.mark.parametrize("lat", [0.0, 45.0, -70.0])
def test_the_scale_bar_is_true(lat: float) -> None:
    from pyproj import Geod

    place = box(10, lat, 0.05)
    svg, view = drawn(place), view_of(place)
    scale = svg.one("g", "scale")
    amount, unit = scale.one("text").text.split()
    metres = float(amount) * {"km": 1000, "m": 1}[unit]
    length = float(
        (scale.one("path", "bar").attributes["d"] or "").partition("h")[2].partition("v")[0]
    )
    west, south, east, north = view.bounds
    middle = view.projection.latitude((south + north) / 2)
    across = Geod(ellps="WGS84").inv(west, middle, east, middle)[2]
    assert metres == pytest.approx(across * length / view.width, rel=0.01)


def test_wide_maps_have_land_and_no_one_scale() -> None:
    svg = drawn(box(-76, 34, 0.01), box(120, 14, 0.01))
    assert svg.all("path", "land") and not svg.all("g", "scale")
    assert not drawn(HARBOR).all("path", "land")
    assert drawn(HARBOR).all("g", "scale")


def test_land_is_where_it_is() -> None:
    view = view_of(box(-170, -55, 1), box(170, 70, 1))
    svg = drawn(box(-170, -55, 1), box(170, 70, 1))
    rings = [
        points_of(one + "Z") for one in (svg.one("path", "land").attributes["d"] or "").split("Z")
    ]
    land = shapely.union_all([shapely.make_valid(Polygon(one)) for one in rings if len(one) > 2])
    for lon, lat, dry in ((260, 40, True), (134, -25, True), (200, 20, False), (100, -40, False)):
        assert land.contains(shapely.Point(view.place([[lon, lat]])[0])) == dry


def test_small_footprints_are_dots_that_can_be_seen() -> None:
    svg = drawn(box(0, 0, 0.0001), box(1, 1, 0.0001))
    assert len(svg.all("circle", "dot")) == 2 and not svg.all("path", "outline")
    assert not drawn(HARBOR, TOWN).all("circle")


def labels(svg: Element) -> dict[str, tuple[float, float]]:
    return {
        one.text: (float(one.attributes["x"] or ""), float(one.attributes["y"] or ""))
        for one in svg.all("text", "rank")
    }


def test_where_ranks_would_collide_the_better_ones_are_written() -> None:
    crowd = [box(10 + 0.0001 * at, 50, 0.001) for at in range(60)]
    found = labels(drawn(*crowd))
    assert "1" in found and len(found) < 60
    places = list(found.items())
    for at, (text, (x, y)) in enumerate(places):
        for other, (other_x, other_y) in places[at + 1 :]:
            apart = (
                abs(y - other_y) >= 14
                or x + 8 * len(text) <= other_x
                or (other_x + 8 * len(other) <= x)
            )
            assert apart, (text, other)
    assert set(labels(drawn(*(box(at, 0, 0.3) for at in range(6))))) == set("123456")


def far_apart(*groups: Sequence[tuple[float, float]]) -> list[Polygon | MultiPolygon]:
    return [box(lon, lat, 0.002) for group in groups for lon, lat in group]


def test_places_far_apart_are_told_apart() -> None:
    places = far_apart([(4.9, 51.8), (4.91, 51.8)], [(120.9, 14.5)], [(-76.6, 34.7), (-76.5, 34.6)])
    projection = choose_projection(places)
    assert not is_legible(view_of(*places), places)
    assert group_by_place(projection, places) == [(0, 1), (2,), (3, 4)]
    chain = [box(lon / 10, 0, 0.01) for lon in range(100)] + [box(50, 40, 0.01)]
    assert len(group_by_place(choose_projection(chain), chain)) == 2


def test_each_place_has_a_map_and_a_letter_on_the_overview() -> None:
    places = far_apart([(4.9, 51.8), (4.91, 51.8)], [(120.9, 14.5)], [(-76.6, 34.7)])
    page = parse(
        dumps_hits(make_result([make_hit(at, one) for at, one in enumerate(places, 1)]), "html")
    )
    figures = page.all("figure")
    assert [one.attributes["id"] for one in figures] == [f"q1-place-{letter}" for letter in "ABC"]
    assert [len(one.all("path", "outline")) for one in figures] == [2, 1, 1]
    assert "2 hits" in figures[0].one("figcaption").text
    overview = page.all("div", "map")[0]
    assert [one.text for one in overview.all("text", "rank")] == ["A", "B", "C"]
    assert {one.attributes["href"] for one in overview.all("a")} == {
        f"#q1-place-{letter}" for letter in "ABC"
    }


def test_of_many_places_the_best_have_maps_and_the_others_lead_to_their_hit() -> None:
    places = far_apart([(lon, lat) for lon in range(-100, 101, 50) for lat in range(-60, 61, 30)])
    page = parse(
        dumps_hits(make_result([make_hit(at, one) for at, one in enumerate(places, 1)]), "html")
    )
    assert len(page.all("figure")) == 8
    marks = page.all("div", "map")[0].all("a", "mark")
    assert len(marks) == 25
    assert {one.attributes["href"] for one in marks} >= {"#q1-hit-25", "#q1-place-A"}


def test_hits_of_one_spot_are_one_place() -> None:
    page = parse(dumps_hits(make_result([make_hit(at, HARBOR) for at in (1, 2, 3)]), "html"))
    assert not page.all("figure")
    assert len(page.all("path", "outline")) == 3
