"""One hit per object: the greedy rule against a plain computation, and through a real index."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from shapely import MultiPolygon, Polygon, affinity

from georclip.geometry import split_at_date_line
from georclip.georeference import Georeference
from georclip.index.store import IndexStore
from georclip.search.engine import search
from georclip.search.query import build_query
from georclip.search.suppression import (
    MOST_SHARED,
    acquisition_of,
    group_ground,
    group_objects,
    lay_out,
)
from georclip.testing import FakeEncoder
from georclip.values import Chip, ChipPlan, Scene, Window
from tests.helpers_hits import make_scene

Footprint = Polygon | MultiPolygon


def share_of_smaller(one: Footprint, other: Footprint, origin: float) -> float:
    """Shared ground over the smaller area, by PROJ's equal-area projection about a meridian."""
    project = Transformer.from_crs(
        "EPSG:4326", f"+proj=cea +lon_0={origin} +ellps=sphere", always_xy=True
    )
    first, second = (
        shapely.union_all(
            [
                shapely.transform(part, lambda xy: np.column_stack(project.transform(*xy.T)))
                for part in shapely.get_parts(outline)
            ]
        )
        for outline in (one, other)
    )
    return float(first.intersection(second).area / min(first.area, second.area))


squares = st.builds(
    lambda lon, lat, side, turn: split_at_date_line(
        affinity.rotate(shapely.box(lon, lat, lon + side, lat + side), turn)
    ),
    st.integers(-12, 12).map(lambda step: 180 + 0.3 * step),
    st.integers(-8, 8).map(lambda step: 62 + 0.3 * step),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from([0.0, 7.0, 30.0]),
)


@given(
    st.lists(squares, min_size=1, max_size=25),
    st.lists(st.integers(0, 1), min_size=25, max_size=25),
)
def test_objects_are_apart_and_each_member_lies_on_its_own(
    footprints: list[Footprint], labels: list[int]
) -> None:
    acquisitions = labels[: len(footprints)]
    objects = group_objects(footprints, acquisitions, len(footprints))

    def share(one: int, other: int) -> float:
        if acquisitions[one] != acquisitions[other]:
            return 0.0
        return share_of_smaller(footprints[one], footprints[other], 180.0)

    best = [found.best for found in objects]
    assert best == sorted(best)
    assert best[0] == 0
    for one, other in combinations(best, 2):
        assert share(one, other) <= MOST_SHARED + 1e-4
    for found in objects:
        for member in found.members:
            assert member > found.best
            assert share(found.best, member) > MOST_SHARED - 1e-4
    everyone = sorted(place for found in objects for place in (found.best, *found.members))
    assert everyone == list(range(len(footprints)))


@given(st.lists(squares, min_size=1, max_size=25), st.integers(1, 25))
def test_fewer_objects_are_the_first_of_all(footprints: list[Footprint], most: int) -> None:
    acquisitions = ["same"] * len(footprints)
    every = group_objects(footprints, acquisitions, len(footprints))
    assert group_objects(footprints, acquisitions, most) == every[:most]


@given(
    st.lists(squares, min_size=1, max_size=25),
    st.lists(st.integers(0, 2), min_size=25, max_size=25),
    st.integers(1, 25),
    st.integers(0, 100),
)
def test_a_search_tree_finds_the_same_objects(
    footprints: list[Footprint], labels: list[int], most: int, first: int
) -> None:
    ground = lay_out(footprints, labels[: len(footprints)])
    plain = group_ground(ground, most, plain_pairs=10_000)
    assert group_ground(ground, most, plain_pairs=first) == plain


def test_many_objects_are_all_found() -> None:
    """20,000 squares: of every two that overlap, the better takes the other along."""
    side = 100
    col, row = np.meshgrid(np.arange(side), np.arange(side))
    west, south = 0.3 * col.ravel(), 0.3 * row.ravel() - 15.0
    best = shapely.box(west, south, west + 0.2, south + 0.2)
    worse = shapely.box(west + 0.05, south, west + 0.25, south + 0.2)
    objects = group_objects([*best, *worse], [0] * 20_000, 20_000)
    assert [one.best for one in objects] == list(range(10_000))
    assert [one.members for one in objects] == [(place + 10_000,) for place in range(10_000)]


def test_chips_over_the_date_line_are_joined() -> None:
    one = split_at_date_line(shapely.box(179.5, 10, 180.5, 11))
    other = split_at_date_line(shapely.box(179.8, 10, 180.8, 11))
    apart = split_at_date_line(shapely.box(180.4, 10, 181.4, 11))
    objects = group_objects([one, other, apart], ["a"] * 3, 3)
    assert [(found.best, found.members) for found in objects] == [(0, (1,)), (2, ())]


def test_the_share_is_of_ground_and_not_of_degrees() -> None:
    """Near a pole a chip's southern half is larger than its northern one."""
    low, high = 80.0, 88.0
    tall = shapely.box(0, low, 10, high)
    below = shapely.box(0, low - 6.8, 10, low + 1.2)  # 15 % of the degrees
    ground = [np.sin(np.deg2rad(lat)) for lat in (low, low + 1.2, high)]
    share = (ground[1] - ground[0]) / (ground[2] - ground[0])
    assert share > 0.23
    assert len(group_objects([tall, below], ["a", "a"], 2)) == 1
    assert len(group_objects([tall, below], ["a", "a"], 2, most_shared=share - 0.001)) == 1
    assert len(group_objects([tall, below], ["a", "a"], 2, most_shared=share + 0.001)) == 2


def test_broken_footprints_of_a_foreign_index_do_no_harm() -> None:
    bow_tie = Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    assert len(group_objects([bow_tie, shapely.box(0, 0, 1, 1)], ["a", "a"], 2)) == 1
    ground = lay_out([Polygon(), bow_tie, shapely.box(0, 0, 1, 1)], ["a"] * 3)
    apart = group_ground(ground, 3, plain_pairs=0)
    assert [(one.best, one.members) for one in apart] == [(0, ()), (1, (2,))]


def test_scenes_of_one_time_are_one_acquisition() -> None:
    day = datetime(2020, 5, 1, tzinfo=UTC)
    left = make_scene(scene_id="a" * 16, acquired=day)
    right = make_scene(scene_id="b" * 16, acquired=day)
    later = make_scene(scene_id="c" * 16, acquired=day.replace(year=2021))
    unknown = [make_scene(scene_id=digit * 16, acquired=None) for digit in "de"]
    of = [acquisition_of(scene, "object") for scene in (left, right, later, *unknown)]
    assert of[0] == of[1]
    assert len(set(of)) == 4
    assert len({acquisition_of(scene, "place") for scene in (left, later, *unknown)}) == 1


# Through an index: chips of two scales that overlap by half, over two acquisitions

REDS = 9


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> IndexStore:
    """Two dates of one scene of 1,600 x 1,600 px; chips of 200 px and 400 px at half overlap."""
    encoder = FakeEncoder()
    path: Path = tmp_path_factory.mktemp("objects") / "index"
    made = IndexStore.create(path, encoder=encoder.spec, plan=ChipPlan())
    for number, year in enumerate((2019, 2020)):
        scene = make_scene(
            scene_id=f"{number:016x}",
            uri=f"/scenes/{year}.tif",
            name=f"{year}.tif",
            crs="EPSG:32701",
            transform=(10.0, 0.0, 830_000.0, 0.0, -10.0, 8_000_000.0),
            width=1600,
            height=1600,
            acquired=datetime(year, 1, 1, tzinfo=UTC),
        )
        chips = [chip for scale in (1.0, 2.0) for chip in grid(scene, scale)]
        redness = np.array([redness_of(chip.window) for chip in chips], dtype=np.float32)
        vectors = np.zeros((len(chips), encoder.spec.dim), dtype=np.float32)
        red = int(np.argmax(encoder.encode_texts(["red"])[0]))
        vectors[:, red] = redness
        vectors[:, red - 1] = np.sqrt(1 - redness**2)
        with made.stage(scene, "plan") as staging:
            staging.append(len(chips) - 1, chips, vectors)
            staging.commit()
    return made


def grid(scene: Scene, scale: float) -> list[Chip]:
    side = int(200 * scale)
    place = Georeference(crs=scene.crs, transform=scene.transform)
    return [
        Chip(
            chip_id=f"{scene.scene_id[-4:]}-{scale:g}-{col:04d}-{row:04d}",
            scene_id=scene.scene_id,
            window=Window(col_off=col, row_off=row, width=side, height=side),
            footprint=place.footprint((col, row, side, side)),
            gsd_m=10.0,
            scale=scale,
            valid_fraction=1.0,
        )
        for row in range(0, 1601 - side, side // 2)
        for col in range(0, 1601 - side, side // 2)
    ]


def redness_of(window: Window) -> float:
    """Nearness of a chip's middle to one of nine objects, a chip of the smaller scale wide."""
    middle = np.array([window.col_off + window.width / 2, window.row_off + window.height / 2])
    objects = np.array([(x, y) for x in (300, 800, 1300) for y in (300, 800, 1300)])
    distance = np.abs(objects - middle).max(axis=1).min() + window.width / 10
    return float(np.clip(1.0 - distance / 1000, 0.05, 1.0))


def test_no_two_hits_of_one_acquisition_share_a_fifth_of_their_ground(store: IndexStore) -> None:
    result = search(store, FakeEncoder(), build_query("red", k=20))
    assert len(result.hits) == 20
    for one, other in combinations(result.hits, 2):
        if one.scene.scene_id == other.scene.scene_id:
            share = share_of_smaller(one.chip.footprint, other.chip.footprint, 180.0)
            assert share <= MOST_SHARED + 1e-3
    middles = {one.chip.footprint.centroid.wkt for one in result.hits[: 2 * REDS]}
    assert len(middles) == REDS  # each of the nine, in both acquisitions
    assert all(hit.members for hit in result.hits[: 2 * REDS])
    assert all(hit.chip.chip_id not in hit.members for hit in result.hits)
    assert [hit.rank for hit in result.hits] == list(range(1, 21))


def test_one_hit_per_place_joins_acquisitions(store: IndexStore) -> None:
    both = search(store, FakeEncoder(), build_query("red", k=REDS, grouping="place"))
    middles = {hit.chip.footprint.centroid.wkt for hit in both.hits}
    assert len(middles) == len(both.hits) == REDS
    for hit in both.hits:
        years = {name[:4] for name in (hit.chip.chip_id, *hit.members)}
        assert years == {"0000", "0001"}


def test_overlaps_are_kept_when_asked_for(store: IndexStore) -> None:
    kept = search(store, FakeEncoder(), build_query("red", k=20, grouping="none"))
    assert len(kept.hits) == 20
    assert not any(hit.members for hit in kept.hits)
    joined = search(store, FakeEncoder(), build_query("red", k=20))
    assert kept.hits[0].chip.chip_id == joined.hits[0].chip.chip_id
    ranked_by = [hit.rank_score for hit in kept.hits]
    assert ranked_by == sorted(ranked_by, reverse=True)


def test_k_counts_objects_however_many_chips_each_has(store: IndexStore) -> None:
    """More objects than the first look at the best chips brings."""
    everything = search(store, FakeEncoder(), build_query("red", k=10_000))
    some = search(store, FakeEncoder(), build_query("red", k=60))
    assert len(some.hits) == 60 < len(everything.hits)
    assert [hit.chip.chip_id for hit in some.hits] == [
        hit.chip.chip_id for hit in everything.hits[:60]
    ]
    chips = sum(1 + len(hit.members) for hit in everything.hits)
    assert chips == everything.rows_considered


def test_an_index_of_one_scale_is_ranked_by_cosine(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    scene = make_scene(crs="EPSG:32701", width=1600, height=1600)
    chips = grid(scene, 1.0)
    vectors = np.random.default_rng(0).random((len(chips), encoder.spec.dim), dtype=np.float32)
    with IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=ChipPlan()) as made:
        with made.stage(scene, "plan") as staging:
            staging.append(len(chips) - 1, chips, vectors)
            staging.commit()
        found = search(made, encoder, build_query("red", k=30, grouping="none"))
    assert [hit.rank_score for hit in found.hits] == [hit.score for hit in found.hits]
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)


def test_scales_are_ranked_by_what_their_scores_are_worth(store: IndexStore) -> None:
    """Every chip of the index, both ways: the order within a scale stays, between scales not."""
    every = search(store, FakeEncoder(), build_query("red", k=10_000, grouping="none")).hits
    offsets = {}
    for scale in (1.0, 2.0):
        own = [hit for hit in every if hit.chip.scale == scale]
        assert [hit.score for hit in own] == sorted([hit.score for hit in own], reverse=True)
        moved = [hit.score - hit.rank_score for hit in own]
        np.testing.assert_allclose(moved, moved[0], atol=1e-9)
        offsets[scale] = moved[0]
    assert abs(offsets[1.0] - offsets[2.0]) > 1e-3
