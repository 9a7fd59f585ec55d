"""The engine over a real index with hand-made vectors, against a plain computation of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from georclip.errors import EncoderMismatchError, QueryError
from georclip.export.footprints import write_footprints
from georclip.geometry import split_at_date_line
from georclip.index.store import IndexStore
from georclip.search.engine import search
from georclip.search.query import build_query
from georclip.values import Chip, ChipPlan, EncoderSpec, Query, Scene, Term, Window
from tests.helpers_hits import SPEC, make_scene

SIDE = 6
"""Chips along each side of a scene."""


class WordEncoder:
    """A text is the direction that its first word names; words of "zz..." are unknown."""

    def __init__(self, spec: EncoderSpec = SPEC) -> None:
        self._spec = spec

    @property
    def spec(self) -> EncoderSpec:
        return self._spec

    @property
    def device(self) -> str:
        return "none"

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        raise AssertionError("a text search looks at no pictures")

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        known = [word for word in texts[0].split() if not word.startswith("zz")]
        if not known:
            raise QueryError("no word is known")
        return np.stack([direction(text) for text in texts])

    def unknown_words(self, text: str) -> tuple[str, ...]:
        return tuple(word for word in text.split() if word.startswith("zz"))

    def unread(self, text: str) -> str:
        return ""


def direction(text: str) -> npt.NDArray[np.float32]:
    seed = sum(map(ord, text.split()[0]))
    vector = np.random.default_rng(seed).normal(size=SPEC.dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


SCENES = {
    "beaufort_20181013.tif": (-76.7, 34.7, datetime(2018, 10, 13, 15, tzinfo=UTC)),
    "fiji_20200101.tif": (179.7, -17.0, datetime(2020, 1, 1, tzinfo=UTC)),
    "undated.tif": (-76.5, 34.7, None),
}


def chips_of(scene: Scene, west: float, south: float) -> list[Chip]:
    """6 x 6 squares of a tenth of a degree; Fiji's run over the date line."""
    chips = []
    for number in range(SIDE * SIDE):
        lon, lat = west + 0.1 * (number % SIDE), south + 0.1 * (number // SIDE)
        chips.append(
            Chip(
                chip_id=f"{scene.scene_id}-{number:02d}",
                scene_id=scene.scene_id,
                window=Window(col_off=number % SIDE, row_off=number // SIDE, width=1, height=1),
                footprint=split_at_date_line(shapely.box(lon, lat, lon + 0.1, lat + 0.1)),
                gsd_m=10.0,
                scale=1.0,
                valid_fraction=1.0,
            )
        )
    return chips


@pytest.fixture(scope="module")
def vectors() -> dict[str, npt.NDArray[np.float32]]:
    """chip_id -> vector; the last two chips of each scene are twins."""
    rng = np.random.default_rng(7)
    found: dict[str, npt.NDArray[np.float32]] = {}
    for number, name in enumerate(SCENES):
        drawn = rng.normal(size=(SIDE * SIDE, SPEC.dim)).astype(np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        drawn[-1] = drawn[-2]
        scene = scene_of(name, number)
        for chip, vector in zip(chips_of(scene, *SCENES[name][:2]), drawn, strict=True):
            found[chip.chip_id] = vector
    return found


def scene_of(name: str, number: int) -> Scene:
    return make_scene(
        scene_id=f"{number:016x}", uri=f"/scenes/{name}", name=name, acquired=SCENES[name][2]
    )


@pytest.fixture(scope="module")
def store(
    vectors: dict[str, npt.NDArray[np.float32]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IndexStore]:
    path = tmp_path_factory.mktemp("engine") / "index"
    with IndexStore.create(path, encoder=SPEC, plan=ChipPlan()) as store:
        for number, name in enumerate(SCENES):
            scene = scene_of(name, number)
            chips = chips_of(scene, *SCENES[name][:2])
            with store.stage(scene, "plan") as staging:
                staging.append(
                    len(chips) - 1, chips, np.stack([vectors[chip.chip_id] for chip in chips])
                )
                staging.commit()
        yield store


def expected(
    vectors: dict[str, npt.NDArray[np.float32]], text: str, passing: set[str], k: int
) -> list[tuple[str, float]]:
    """(chip_id, score), best first, ties by chip_id: computed from the vectors as stored."""
    query = direction(text)
    scored = []
    for chip_id in passing:
        stored = vectors[chip_id].astype(np.float16).astype(np.float32)
        scored.append((chip_id, float(stored @ query / np.linalg.norm(stored))))
    return sorted(scored, key=lambda one: (-round(one[1], 6), one[0]))[:k]


def passing_area(area: BaseGeometry) -> set[str]:
    found = set()
    for number, name in enumerate(SCENES):
        for chip in chips_of(scene_of(name, number), *SCENES[name][:2]):
            if chip.footprint.intersection(area).area > 1e-12:
                found.add(chip.chip_id)
    return found


def of_scenes(vectors: dict[str, npt.NDArray[np.float32]], *numbers: int) -> set[str]:
    starts = tuple(f"{number:016x}" for number in numbers)
    return {chip_id for chip_id in vectors if chip_id.startswith(starts)}


def assert_ranked(
    store: IndexStore,
    query: Query,
    wanted: list[tuple[str, float]],
    considered: int,
) -> None:
    result = search(store, WordEncoder(), query)
    assert [hit.chip.chip_id for hit in result.hits] == [chip_id for chip_id, _ in wanted]
    assert [hit.rank for hit in result.hits] == list(range(1, len(wanted) + 1))
    for hit, (_, score) in zip(result.hits, wanted, strict=True):
        assert hit.score == pytest.approx(score, abs=1e-5)
        assert hit.rank_score == hit.score
        assert hit.confidence is None
        assert hit.chip.scene_id == hit.scene.scene_id
    assert result.rows_considered == considered
    assert result.query is query
    assert result.encoder == SPEC
    assert result.elapsed_s > 0


@pytest.mark.parametrize("text", ["ships", "forest", "runway"])
def test_hits_are_the_best_chips_in_order(
    text: str, store: IndexStore, vectors: dict[str, npt.NDArray[np.float32]]
) -> None:
    wanted = expected(vectors, text, set(vectors), 10)
    assert_ranked(store, build_query(text), wanted, len(vectors))


def test_more_hits_than_there_are_chips_gives_all_with_twins_in_order_of_chip_id(
    store: IndexStore, vectors: dict[str, npt.NDArray[np.float32]]
) -> None:
    result = search(store, WordEncoder(), build_query("ships", k=1000))
    ids = [hit.chip.chip_id for hit in result.hits]
    assert len(ids) == len(vectors)
    for number in range(len(SCENES)):
        first, second = (ids.index(f"{number:016x}-{chip}") for chip in ("34", "35"))
        assert second == first + 1


@pytest.mark.parametrize(
    "bbox", [(-76.66, 34.72, -76.33, 34.95), (179.75, -16.95, -179.85, -16.6), (-180, -90, 180, 90)]
)
def test_a_box_filters_before_anything_is_ranked(
    bbox: tuple[float, ...], store: IndexStore, vectors: dict[str, npt.NDArray[np.float32]]
) -> None:
    query = build_query("ships", bbox=bbox, k=7)
    assert query.aoi is not None
    passing = passing_area(query.aoi)
    assert 0 < len(passing)
    assert_ranked(store, query, expected(vectors, "ships", passing, 7), len(passing))


def test_a_touching_box_shares_no_area(store: IndexStore) -> None:
    result = search(store, WordEncoder(), build_query("ships", bbox=(-76.8, 34.0, -76.0, 34.7)))
    assert result.hits == ()
    assert result.rows_considered == 0


def test_dates_leave_out_scenes_without_a_time_and_say_so(
    store: IndexStore,
    vectors: dict[str, npt.NDArray[np.float32]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    passing = of_scenes(vectors, 0)
    with caplog.at_level(logging.INFO, "georclip"):
        query = build_query("ships", dates="2018-10-13")
        assert_ranked(store, query, expected(vectors, "ships", passing, 10), len(passing))
    assert "1 scene without an acquisition time is left out" in caplog.text


def test_any_date_passes_where_no_date_is_asked_for(
    store: IndexStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "georclip"):
        search(store, WordEncoder(), build_query("ships", scenes="*undated*"))
    assert caplog.text == ""


@pytest.mark.parametrize("pattern", ["fiji*", "/scenes/fiji*", "fiji_20200101.tif"])
def test_a_glob_chooses_scenes_by_name_or_uri(
    pattern: str, store: IndexStore, vectors: dict[str, npt.NDArray[np.float32]]
) -> None:
    passing = of_scenes(vectors, 1)
    query = build_query("ships", scenes=pattern)
    assert_ranked(store, query, expected(vectors, "ships", passing, 10), len(passing))


def test_filters_hold_together(
    store: IndexStore, vectors: dict[str, npt.NDArray[np.float32]]
) -> None:
    query = build_query("ships", bbox=(-77, 34, -76, 36), dates="2018-01-01/..", scenes="*.tif")
    passing = of_scenes(vectors, 0)
    assert_ranked(store, query, expected(vectors, "ships", passing, 10), len(passing))


def test_words_that_the_encoder_does_not_know_are_named(
    store: IndexStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "georclip"):
        result = search(store, WordEncoder(), build_query("ships zzfoo zzbar"))
    assert len(result.hits) == 10
    assert "zzfoo, zzbar" in caplog.text
    with pytest.raises(QueryError, match="no word is known"):
        search(store, WordEncoder(), build_query("zzfoo"))


def test_another_encoder_is_refused(store: IndexStore) -> None:
    other = WordEncoder(replace(SPEC, weights_sha256="1" * 64, name="other"))
    with pytest.raises(EncoderMismatchError, match="other"):
        search(store, other, build_query("ships"))


SHIPS = Term(kind="text", value="ships")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query(terms=()), "the question is empty"),
        (Query(terms=(Term(kind="text", value=" "),)), "the question is empty"),
        (Query(terms=(SHIPS, Term(kind="hit", value="x", weight=0.0))), "means nothing"),
        (Query(terms=(Term(kind="image", value="no/such.png"),)), "no picture"),
        (Query(terms=(Term(kind="hit", value="nobody"),)), "holds no chip"),
        (Query(terms=(Term(kind="place", value="here"),)), "is no place"),
        (Query(terms=(Term(kind="text", value="ships", weight=-1.0),)), "not wanted"),
        (Query(terms=(SHIPS,), k=0), "no hits"),
        (Query(terms=(SHIPS,), min_confidence=0.5), "how sure its answers are"),
    ],
)
def test_questions_that_cannot_be_answered_are_refused(
    query: Query, message: str, store: IndexStore
) -> None:
    with pytest.raises(QueryError, match=message):
        search(store, WordEncoder(), query)


def test_an_empty_index_has_no_hits(tmp_path: Path) -> None:
    with IndexStore.create(tmp_path / "index", encoder=SPEC, plan=ChipPlan()) as store:
        assert search(store, WordEncoder(), build_query("ships")).hits == ()


def test_footprints_of_an_index_are_a_geopackage(store: IndexStore) -> None:
    geopandas = pytest.importorskip("geopandas")
    for _ in range(2):  # a view: written again, it replaces itself
        path = write_footprints(store)
    assert path == store.path / "footprints.gpkg"
    chips = geopandas.read_file(path, layer="chips")
    scenes = geopandas.read_file(path, layer="scenes")
    assert len(chips) == len(SCENES) * SIDE * SIDE
    assert chips["chip_id"].is_unique
    assert list(scenes["scene"]) == list(SCENES)
    assert chips.crs == scenes.crs == "EPSG:4326"
    styles = geopandas.read_file(path, layer="layer_styles")
    assert set(styles["f_table_name"]) == {"chips", "scenes"}


def test_footprints_of_an_empty_index_are_empty_layers(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    with IndexStore.create(tmp_path / "index", encoder=SPEC, plan=ChipPlan()) as store:
        path = write_footprints(store, tmp_path / "view.gpkg")
    assert len(geopandas.read_file(path, layer="chips")) == 0
    assert len(geopandas.read_file(path, layer="scenes")) == 0
