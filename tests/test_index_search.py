from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from georclip.errors import GeorclipError
from georclip.geometry import bbox_polygon, passes_aoi
from georclip.index import vectors as vectors_module
from georclip.index.scores import coarse_error, exact_scores, unit_fp16, unit_fp32
from georclip.index.store import IndexStore
from georclip.values import DateRange
from tests.helpers_index import (
    PLAN,
    add,
    brute_force,
    draw_boxes,
    draw_vectors,
    encoder_spec,
    make_scene,
    square,
    without_syncing,
)


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        without_syncing(patch)
        yield


def ids_of(store: IndexStore, ranked: list[tuple[int, float]]) -> list[str]:
    return [chip.chip_id for chip, _ in store.fetch([row for row, _ in ranked])]


# Best rows


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory):
    """7,000 chips in three segments: 5,000 of one vector, some close to it, the rest random."""
    rng = np.random.default_rng(3)
    same = draw_vectors(rng, 1, 16)
    close = same + rng.normal(0, 1e-4, (500, 16)).astype(np.float32)
    everything = np.concatenate(
        [np.repeat(same, 5_000, axis=0), close, draw_vectors(rng, 1_500, 16)]
    )
    everything = everything[rng.permutation(len(everything))]
    path = tmp_path_factory.mktemp("tied") / "index"
    with IndexStore.create(path, encoder=encoder_spec(dim=16), plan=PLAN) as store:
        for name, start, end in [("a", 0, 4_000), ("b", 4_000, 6_000), ("c", 6_000, 7_000)]:
            boxes = draw_boxes(rng, end - start)
            add(store, make_scene(name), boxes, everything[start:end], batch=1_000)
        assert store.info().segment_count == 3
        yield store, same[0]


@pytest.mark.parametrize("k", [1, 10, 100, 5_500, 6_999, 7_000, 9_999])
@pytest.mark.parametrize("gather_rows", [0, 2_048, 1_000_000])
def test_ties_at_the_kth_place_are_ordered_by_id(tied, monkeypatch, k: int, gather_rows: int):
    store, same = tied
    monkeypatch.setattr(vectors_module, "_GATHER_ROWS", gather_rows)
    rows = store.select().rows
    chips = [chip.chip_id for chip, _ in store.fetch(rows)]
    scores = {
        row: float(score)
        for row, score in zip(
            rows.tolist(),
            np.concatenate([exact_scores(same, s.vectors.codes) for s in store._view.segments]),
            strict=True,
        )
    }
    expected = sorted(zip((-score for score in scores.values()), chips, strict=True))[:k]
    ranked = store.top(same, None, k)
    assert ids_of(store, ranked) == [chip_id for _, chip_id in expected]
    assert [score for _, score in ranked] == [-negative for negative, _ in expected]
    assert all(-1.0 <= score <= 1.0 for _, score in ranked)


@pytest.mark.parametrize("share", [0.0003, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("gather_rows", [0, 2_048])
def test_best_of_a_selection_against_brute_force(tied, monkeypatch, share: float, gather_rows: int):
    store, _ = tied
    monkeypatch.setattr(vectors_module, "_GATHER_ROWS", gather_rows)
    rng = np.random.default_rng(int(share * 10_000))
    query = draw_vectors(rng, 1, 16)[0] * np.float32(7)
    rows = np.flatnonzero(rng.random(7_000) < share)
    rng.shuffle(rows)
    chips = [chip.chip_id for chip, _ in store.fetch(rows)]
    expected = brute_force(store.vectors(rows), chips, query, 25)
    ranked = store.top(query, rows, 25)
    found = [
        (round(-score, 6), chip_id)
        for (_, score), chip_id in zip(ranked, ids_of(store, ranked), strict=True)
    ]
    assert [chip_id for _, chip_id in sorted(found)] == expected


def test_outlines_say_what_fetching_says(world):
    rows = world.select().rows[::-3]
    outlines = world.outlines(rows)
    found = world.fetch(rows)
    assert len(outlines) == len(found) > 3
    assert list(outlines.chip_ids) == [chip.chip_id for chip, _ in found]
    assert list(outlines.scales) == [chip.scale for chip, _ in found]
    assert list(outlines.footprints) == [chip.footprint for chip, _ in found]
    numbers = {one.scene.scene_id: one.number for one in world.indexed_scenes()}
    assert list(outlines.scenes) == [numbers[scene.scene_id] for _, scene in found]
    times = [scene.acquired and scene.acquired.isoformat() for _, scene in found]
    assert list(outlines.acquired) == times
    assert len({time is None for time in times}) == 2
    assert len(world.outlines([])) == 0
    with pytest.raises(GeorclipError, match="no longer"):
        world.outlines([10**9])


def test_rows_twice_count_once(tied):
    store, same = tied
    assert len(store.top(same, np.array([5, 5, 6, 6, 6]), 10)) == 2
    assert store.top(same, np.array([], dtype=np.int64), 10) == []


@settings(max_examples=50, deadline=None)
@given(
    dim=st.sampled_from([1, 3, 16, 512]), seed=st.integers(0, 10_000), spread=st.floats(0.0, 6.0)
)
def test_scores_and_their_bound(dim: int, seed: int, spread: float):
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((50, dim)) * 10 ** rng.uniform(-spread, 0, (50, dim))
    stored = unit_fp16((drawn + 1e-30).astype(np.float32))
    query = unit_fp32(draw_vectors(rng, 1, dim).astype(np.float16))[0]
    wide = stored.astype(np.float64)
    exact = wide @ query / np.linalg.norm(wide, axis=1)
    scores = exact_scores(query, stored)
    np.testing.assert_allclose(scores, np.clip(exact, -1, 1), atol=2e-6)
    plain = stored.astype(np.float32) @ query
    assert np.abs(plain - scores).max() <= coarse_error(dim)
    shuffled = rng.permutation(50)
    np.testing.assert_array_equal(exact_scores(query, stored[shuffled]), scores[shuffled])


def test_vectors_that_cannot_be_stored():
    for bad in (np.zeros((1, 4)), np.full((1, 4), np.nan), np.full((1, 4), np.inf)):
        with pytest.raises(ValueError, match="zero or not finite"):
            unit_fp16(bad.astype(np.float32))


# Filters


LON = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 180.0, 179.9, -179.9, 0.0]))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    """Chips around the date line and around (10, 50), upright and turned, in four scenes."""
    rng = np.random.default_rng(11)
    path = tmp_path_factory.mktemp("world") / "index"
    days = [datetime(2024, 1, day, 12, tzinfo=UTC) for day in (1, 2, 3)] + [None]
    with IndexStore.create(path, encoder=encoder_spec(), plan=PLAN) as store:
        for number, (name, day) in enumerate(zip("abcd", days, strict=True)):
            around = (180.0, -17.0) if number % 2 else (10.0, 50.0)
            boxes = draw_boxes(rng, 700, around)
            boxes[::50, [0, 2]] = [-180.0, -179.95]  # touching the line from the east
            boxes[0] = [-180.0, -17.01, -179.95, -16.99]
            if number % 2 == 0:
                boxes[1] = [10.09, 50.09, 10.11, 50.11]
                boxes[2] = [9.99, 49.99, 10.01, 50.01]
            add(store, make_scene(name, acquired=day), boxes, draw_vectors(rng, 700))
        store.remove("nobody")
        yield store


def expected_rows(store: IndexStore, aoi) -> list[int]:
    rows = store.select().rows
    return [
        row
        for row, (chip, _) in zip(rows.tolist(), store.fetch(rows), strict=True)
        if passes_aoi(chip.footprint, aoi)
    ]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    west=st.one_of(LON, st.floats(178.9, 180), st.floats(-180, -178.9), st.floats(8.9, 11)),
    width=st.floats(0.001, 30),
    south=st.one_of(st.floats(-18.5, -16), st.floats(48.9, 51)),
    height=st.floats(0.001, 3),
)
def test_boxes_against_brute_force(world, west, width, south, height):
    east = west + width
    east = east - 360.0 if east > 180.0 else east
    aoi = bbox_polygon((west, south, east, south + height))
    assert world.select(aoi=aoi).rows.tolist() == expected_rows(world, aoi)


@pytest.mark.parametrize(
    "aoi",
    [
        shapely.Point(10.0, 50.0).buffer(0.7),
        shapely.Point(10.0, 50.0).buffer(0.7).difference(shapely.Point(10.0, 50.0).buffer(0.4)),
        shapely.Point(10.1, 50.1),
        shapely.Point(180.0, -17.0),
        shapely.Point(-180.0, -17.0),
        shapely.LineString([(9.0, 49.0), (11.0, 51.0)]),
        shapely.LineString([(180.0, -18.0), (180.0, -16.0)]),
        shapely.MultiPoint([(10.0, 50.0), (179.99, -17.2), (-179.99, -17.2)]),
        shapely.GeometryCollection([shapely.Point(10.0, 50.0), square(179.5, -17.0, 0.5)]),
        shapely.MultiPolygon([square(9.0 + 0.1 * n, 49.5, 0.05) for n in range(20)]),
        shapely.MultiPolygon([square(179.0, -17.5, 1.0), square(-180.0, -17.5, 0.3)]),
        shapely.box(-180, -90, 180, 90),
        shapely.Polygon(),
    ],
    ids=lambda aoi: f"{aoi.geom_type}-{aoi.area:.2f}",
)
def test_areas_against_brute_force(world, aoi):
    rows = world.select(aoi=aoi).rows.tolist()
    assert rows == expected_rows(world, aoi)
    assert aoi.is_empty or rows


def test_touching_an_area_is_not_enough(tmp_path: Path):
    boxes = np.array([[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0], [2.0, 0.0, 3.0, 1.0]])
    with IndexStore.create(tmp_path / "i", encoder=encoder_spec(), plan=PLAN) as store:
        add(store, make_scene("a"), boxes, draw_vectors(np.random.default_rng(0), 3))
        inside = store.select(aoi=shapely.box(1.0, 0.0, 2.0, 1.0)).rows
        assert [chip.window.col_off for chip, _ in store.fetch(inside)] == [1]
        edge = store.select(aoi=shapely.LineString([(1.0, 0.2), (1.0, 0.8)])).rows
        assert sorted(chip.window.col_off for chip, _ in store.fetch(edge)) == [0, 1]


@pytest.mark.parametrize(
    ("start", "end", "names", "left_out"),
    [
        (None, None, "abc", 1),
        (datetime(2024, 1, 2, 12, tzinfo=UTC), None, "bc", 1),
        (None, datetime(2024, 1, 2, 12, tzinfo=UTC), "ab", 1),
        (datetime(2024, 1, 2), datetime(2024, 1, 2, 23, 59, 59), "b", 1),
        (datetime(2025, 1, 1, tzinfo=UTC), None, "", 1),
    ],
)
def test_dates_are_a_closed_interval(world, start, end, names: str, left_out: int):
    found = world.select(dates=DateRange(start=start, end=end))
    assert {scene.name[0] for _, scene in world.fetch(found.rows)} == set(names)
    assert len(found.rows) == 700 * len(names)
    assert found.undated_scenes_left_out == left_out


def test_undated_scenes_elsewhere_are_not_counted(world):
    dates = DateRange(start=None, end=None)
    assert world.select(aoi=square(10, 50, 0.3), dates=dates).undated_scenes_left_out == 0
    assert world.select(aoi=square(179, -17, 0.9), dates=dates).undated_scenes_left_out == 1
    assert world.select(scenes="a.tif", dates=dates).undated_scenes_left_out == 0
    assert world.select(aoi=square(179, -17, 0.9)).undated_scenes_left_out == 0


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("a.tif", "a"), ("/data/*", "abcd"), ("[ab]*", "ab"), ("A.tif", ""), ("*c.tif", "c")],
)
def test_scenes_by_glob(world, pattern: str, names: str):
    found = world.select(scenes=pattern)
    assert {scene.name[0] for _, scene in world.fetch(found.rows)} == set(names)


def test_filters_together(world):
    aoi = square(9.5, 49.5, 1.0)
    dates = DateRange(start=datetime(2024, 1, 3, tzinfo=UTC), end=None)
    found = world.select(aoi=aoi, dates=dates, scenes="*.tif")
    near = set(expected_rows(world, aoi))
    late = set(world.select(dates=dates).rows.tolist())
    assert found.rows.tolist() == sorted(near & late)
    assert len(found.rows) > 0
