from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import affinity

from georclip.geometry import bbox_polygon, footprints_pass_aoi
from georclip.index.areas import Area

SIDES = st.integers(0, 12)  # whole numbers: boxes that touch, share corners, and are the same


@st.composite
def boxes(draw) -> tuple[float, float, float, float]:
    west, south = draw(SIDES), draw(SIDES)
    return (
        float(west),
        float(south),
        float(west + draw(st.integers(1, 6))),
        float(south + draw(st.integers(1, 6))),
    )


@st.composite
def outlines(draw) -> shapely.Polygon:
    """A chip as a scene in another CRS has it: a leaning four-sided area."""
    west, south, east, north = draw(boxes())
    lean = st.floats(0, 0.9)
    return shapely.Polygon(
        [
            (west + (east - west) * draw(lean), south),
            (east, south + (north - south) * draw(lean)),
            (east - (east - west) * draw(lean), north),
            (west, north - (north - south) * draw(lean)),
        ]
    )


@given(st.lists(outlines(), min_size=1, max_size=8), st.lists(boxes(), min_size=1, max_size=3))
def test_what_boxes_say_is_what_outlines_say(chips: list[shapely.Polygon], asked: list):
    aoi = shapely.union_all([shapely.box(*box) for box in asked])
    for area in (aoi, shapely.MultiPolygon([shapely.box(*box) for box in asked[:1]])):
        truth = footprints_pass_aoi(np.array(chips, dtype=object), area)
        verdict = Area(area).judge_chips(shapely.bounds(chips).reshape(-1, 4))
        decided = ~verdict.unsure
        np.testing.assert_array_equal(verdict.inside[decided], truth[decided])


@given(st.lists(boxes(), min_size=1, max_size=8), boxes())
def test_only_corners_of_a_rectangle_are_left_to_outlines(chips: list, asked: tuple):
    west, south, east, north = asked
    verdict = Area(shapely.box(*asked)).judge_chips(np.array(chips))
    corners = [(west, south), (east, south), (east, north), (west, north)]
    for (w, s, e, n), unsure in zip(chips, verdict.unsure.tolist(), strict=True):
        assert not unsure or any(w <= x <= e and s <= y <= n for x, y in corners)


@given(st.lists(boxes(), min_size=1, max_size=8), boxes())
def test_a_page_that_is_inside_holds_only_chips_that_are(chips: list, asked: tuple):
    area, bounds = Area(shapely.box(*asked)), np.array(chips)
    page = np.concatenate([bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)])[None]
    verdict, each = area.judge_pages(page), area.judge_chips(bounds)
    if verdict.inside[0]:
        assert each.inside.all()
    elif not verdict.unsure[0]:
        assert not (each.inside | each.unsure).any()


@pytest.mark.parametrize(
    ("aoi", "inside", "unsure"),
    [
        (bbox_polygon((179.0, 0.0, -179.0, 2.0)), [True, True, False, False], [0, 0, 1, 0]),
        (shapely.box(-180, -90, 180, 90), [True, True, False, True], [0, 0, 1, 0]),
        (shapely.Point(179.6, 1.0), [False] * 4, [1, 0, 0, 0]),
        (shapely.Polygon(), [False] * 4, [0, 0, 0, 0]),
        (shapely.GeometryCollection([shapely.box(0, 0, 9, 9)]), [False] * 4, [0, 0, 0, 1]),
    ],
)
def test_areas_at_the_date_line_and_areas_of_other_kinds(aoi, inside, unsure):
    chips = np.array(
        [[179.5, 0.5, 179.9, 1.5], [-179.9, 0.5, -179.5, 1.5], [179.9, 0, -179.9, 1], [1, 1, 2, 2]],
        dtype=np.float64,
    )
    verdict = Area(aoi).judge_chips(chips)
    assert verdict.inside.tolist() == inside
    assert verdict.unsure.tolist() == [bool(one) for one in unsure]


def test_a_slanted_area_and_a_bow_tie_are_no_rectangles():
    chips = np.array([[4.0, 4.0, 5.0, 5.0], [0.1, 0.1, 0.2, 0.2], [20.0, 20.0, 21.0, 21.0]])
    slanted = affinity.rotate(shapely.box(0, 0, 9, 9), 45)
    verdict = Area(slanted).judge_chips(chips)
    assert verdict.inside.tolist() == [True, False, False]
    assert verdict.unsure.tolist() == [False, False, False]
    pages = Area(slanted).judge_pages(np.array([[0.0, 0.0, 9.0, 9.0], [4.0, 4.0, 5.0, 5.0]]))
    assert pages.inside.tolist() == [False, True]
    assert pages.unsure.tolist() == [True, False]
