"""Shared ground against PROJ, and scores of places where grids do not line up."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from shapely import affinity

from georclip.geometry import split_at_date_line
from georclip.search.place_scores import Acquisition, score_places
from georclip.search.same_ground import joined, project_footprints, shared_ground

SIDE = 0.02

squares = st.builds(
    lambda lon, lat, side, turn: split_at_date_line(
        affinity.rotate(shapely.box(lon, lat, lon + side, lat + side), turn)
    ),
    st.integers(-6, 6).map(lambda step: 180 + 0.3 * step),
    st.integers(-4, 4).map(lambda step: 62 + 0.3 * step),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from([0.0, 7.0, 30.0]),
)


def as_array(shapes):
    found = np.empty(len(shapes), dtype=object)
    found[:] = shapes
    return found


def iou(one, other):
    """By PROJ's equal-area projection about the date line."""
    equal_area = "+proj=cea +lon_0=180 +ellps=sphere"
    project = Transformer.from_crs("EPSG:4326", equal_area, always_xy=True)
    first, second = (
        shapely.union_all(
            [
                shapely.transform(part, lambda xy: np.column_stack(project.transform(*xy.T)))
                for part in shapely.get_parts(outline)
            ]
        )
        for outline in (one, other)
    )
    shared = first.intersection(second).area
    return shared / (first.area + second.area - shared)


@given(st.lists(squares, min_size=1, max_size=8), st.lists(squares, min_size=1, max_size=8))
def test_shared_ground_is_that_of_proj_over_the_date_line_too(first, second):
    found = shared_ground(
        project_footprints(as_array(first)), project_footprints(as_array(second)), least_iou=0.2
    )
    columns = (found.first.tolist(), found.second.tolist(), found.iou.tolist())
    pairs = {(number, place): share for number, place, share in zip(*columns, strict=True)}
    for number, one in enumerate(first):
        for place, other in enumerate(second):
            exact = iou(one, other)
            if (number, place) in pairs:
                assert abs(pairs[number, place] - exact) < 1e-5
            else:
                assert exact < 0.2 + 1e-5


@given(st.lists(squares, min_size=2, max_size=8), st.integers(1, 7))
def test_sets_are_joined_and_taken_apart_again(shapes, cut):
    cut = min(cut, len(shapes) - 1)
    whole = project_footprints(as_array(shapes))
    parts = joined(
        [project_footprints(as_array(shapes[:cut])), project_footprints(as_array(shapes[cut:]))]
    )
    np.testing.assert_array_equal(parts.owners, whole.owners)
    kept = np.arange(len(shapes)) % 2 == 0
    few, expected = whole.take(kept), project_footprints(as_array(shapes[::2]))
    np.testing.assert_array_equal(few.owners, expected.owners)
    np.testing.assert_allclose(few.areas, expected.areas)


def grid(offset, scores_at, first_row, west=10.0):
    """8 x 8 chips that overlap by a quarter, their scores given by their lower left corner."""
    stride = 0.75 * SIDE
    corners = [(offset + stride * i, offset + stride * j) for j in range(8) for i in range(8)]
    shapes = [
        split_at_date_line(shapely.box(west + x, 50 + y, west + x + SIDE, 50 + y + SIDE))
        for x, y in corners
    ]
    return Acquisition(
        rows=first_row + np.arange(64),
        scores=np.array([scores_at(x, y) for x, y in corners]),
        outlines=project_footprints(as_array(shapes)),
    )


def test_grids_that_line_up_are_compared_chip_by_chip():
    rng = np.random.default_rng(0)
    scores = iter(rng.random(128))
    found = score_places([grid(0, lambda x, y: next(scores), first) for first in (0, 100)])
    assert found.rows.tolist() == list(range(64))
    assert (np.bincount(found.place) == 2).all()
    later = found.acquisition == 1
    np.testing.assert_array_equal(found.best_row[later], found.place[later] + 100)
    again = np.random.default_rng(0).random(128)
    np.testing.assert_allclose(found.score[later], again[64:])


@given(st.floats(0.0, 0.75), st.sampled_from([10.0, 179.93]))
def test_a_shifted_grid_of_the_same_ground_tells_the_same_scores(offset, west):
    """Scores that vary slowly over the ground are read off either grid alike."""

    def slope(x, y):
        return 3 * x - 2 * y

    found = score_places([grid(0, slope, 0, west), grid(offset * SIDE, slope, 100, west)])
    scores = np.full((len(found.rows), 2), np.nan)
    scores[found.place, found.acquisition] = found.score
    both = ~np.isnan(scores).any(axis=1)
    assert both.sum() >= 49
    inner = both & (np.nanmax(np.abs(scores), axis=1) < 10)
    off = np.abs(scores[inner, 0] - scores[inner, 1])
    # At the edge of the ground the other grid has chips on one side only.
    assert np.median(off) <= 0.3 * SIDE * 3
    assert off.max() <= SIDE * 5


def test_chips_of_other_ground_or_of_another_scale_are_not_compared():
    near = project_footprints(as_array([shapely.box(0, 0, 1, 1)]))
    others = project_footprints(as_array([shapely.box(1, 0, 2, 1), shapely.box(0, 0, 4, 4)]))
    assert len(shared_ground(near, others, least_iou=0.2).first) == 0
