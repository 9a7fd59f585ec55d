from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from georclip.errors import EncoderMismatchError, GeorclipError, IndexFormatError, QueryError
from georclip.index import segments
from georclip.index.store import IndexStore, plan_fingerprint
from georclip.values import ChipPlan, Rendering
from tests.helpers_index import (
    DIM,
    FINGERPRINT,
    PLAN,
    add,
    add_random,
    by_chip,
    draw_boxes,
    draw_vectors,
    encoder_spec,
    make_chips,
    make_scene,
    without_syncing,
)

JUNE = datetime(2024, 6, 1, 10, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    without_syncing(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def store(path: Path):
    with IndexStore.create(path, encoder=encoder_spec(), plan=PLAN) as made:
        yield made


def test_what_goes_in_comes_out(store: IndexStore, path: Path):
    rng = np.random.default_rng(1)
    scene = make_scene("a", acquired=JUNE, nodata=float("nan"))
    boxes, vectors = draw_boxes(rng, 100, around=(180.0, -10.0)), draw_vectors(rng, 100)
    report = add(store, scene, boxes, vectors)
    assert (report.chips, report.replaced) == (100, ())
    store.close()
    with IndexStore.open(path, writable=False) as reader:
        found = by_chip(reader)
        assert len(found) == 100
        for number, chip in enumerate(make_chips(scene, boxes)):
            back, scene_back, vector = found[chip.chip_id]
            assert back == chip
            assert repr(scene_back) == repr(scene)  # nan is not equal to itself
            stored = np.frombuffer(vector, dtype=np.float32)
            np.testing.assert_allclose(stored, vectors[number], atol=6e-4)
            assert np.linalg.norm(stored) == pytest.approx(1.0, abs=1e-6)
        assert [repr(s) for s in reader.scenes()] == [repr(scene)]
        assert reader.chip_count(scene.uri) == 100
        assert reader.indexed_scenes()[0].skipped == {"blank": 3}
        assert reader.encoder == encoder_spec()
        assert reader.plan == PLAN
        assert not reader.writable
        assert reader.verify(full=True) == ()


def test_row_of_a_chip(store: IndexStore):
    add_random(store, make_scene("a"), 20)
    row = store.row_of(make_scene("a").scene_id + "-000007")
    assert row is not None
    assert store.fetch([row])[0][0].window.col_off == 7
    assert store.row_of("nobody") is None


def test_fetch_and_vectors_keep_the_order_given(store: IndexStore):
    add_random(store, make_scene("a"), 30)
    add_random(store, make_scene("b"), 300, seed=1)
    rows = np.array([250, 3, 250, 17, 299])
    alone = [store.fetch([row])[0][0].chip_id for row in rows]
    assert [chip.chip_id for chip, _ in store.fetch(rows)] == alone
    each = np.concatenate([store.vectors([row]) for row in rows])
    np.testing.assert_array_equal(store.vectors(rows), each)
    assert store.fetch([]) == []
    assert store.vectors([]).shape == (0, DIM)


def test_status_of_scenes(store: IndexStore):
    scene = make_scene("a", acquired=JUNE)
    assert store.scene_status(scene, FINGERPRINT) == "new"
    add_random(store, scene, 10)
    assert store.scene_status(scene, FINGERPRINT) == "same"
    assert store.scene_status(scene, "plan-b") == "changed"
    assert store.scene_status(make_scene("b", scene.uri), FINGERPRINT) == "changed"
    assert store.scene_status(make_scene("a", "/new/a.tif"), FINGERPRINT) == "moved"
    assert store.scene_status(make_scene("a", "/new/a.tif"), "plan-b") == "changed"
    later = make_scene("a", acquired=datetime(2025, 1, 1, tzinfo=UTC))
    assert store.scene_status(later, FINGERPRINT) == "redated"
    assert store.scene_status(make_scene("a"), FINGERPRINT) == "same"  # a known time stays
    naive = make_scene("a", acquired=JUNE.replace(tzinfo=None))
    assert store.scene_status(naive, FINGERPRINT) == "same"


def test_a_moved_scene_keeps_its_chips_and_time(store: IndexStore):
    add_random(store, make_scene("a", acquired=JUNE), 10)
    before = by_chip(store)
    moved = make_scene("a", "/new/place.tif")
    assert store.move_scene(moved) == "/data/a.tif"
    after = by_chip(store)
    assert {key: value[2] for key, value in after.items()} == {
        key: value[2] for key, value in before.items()
    }
    (scene,) = store.scenes()
    assert (scene.uri, scene.name, scene.acquired) == ("/new/place.tif", "place.tif", JUNE)
    assert store.scene_status(moved, FINGERPRINT) == "same"


def test_moving_onto_another_scene_takes_that_out(store: IndexStore):
    add_random(store, make_scene("a"), 10)
    add_random(store, make_scene("b"), 5)
    store.move_scene(make_scene("a", "/data/b.tif"))
    assert [scene.uri for scene in store.scenes()] == ["/data/b.tif"]
    assert len(by_chip(store)) == 10
    assert store.verify(full=True) == ()


def test_moving_what_is_not_there(store: IndexStore):
    with pytest.raises(GeorclipError, match="not in the index"):
        store.move_scene(make_scene("a"))


def test_a_changed_scene_is_replaced(store: IndexStore):
    add_random(store, make_scene("a", "/data/x.tif"), 50)
    add_random(store, make_scene("b"), 20)
    report = add_random(store, make_scene("c", "/data/x.tif"), 30, seed=5)
    assert [old.scene.scene_id for old in report.replaced] == ["a".rjust(16, "0")]
    assert store.info().chip_count == 50
    assert {scene.scene_id[-1] for _, scene, _ in by_chip(store).values()} == {"b", "c"}
    assert store.verify(full=True) == ()


def test_a_scene_cut_by_another_plan_is_replaced(store: IndexStore):
    scene = make_scene("a")
    add_random(store, scene, 50)
    rng = np.random.default_rng(2)
    add(store, scene, draw_boxes(rng, 7), draw_vectors(rng, 7), fingerprint="plan-b")
    assert len(by_chip(store)) == 7
    assert store.scene_status(scene, "plan-b") == "same"


def test_a_scene_without_chips_is_known(store: IndexStore):
    scene = make_scene("a")
    add_random(store, scene, 0)
    assert store.scene_status(scene, FINGERPRINT) == "same"
    assert len(store.select().rows) == 0
    assert store.top(np.ones(DIM, dtype=np.float32), None, 5) == []
    assert store.info().bounds is None
    store.compact()
    assert store.verify(full=True) == ()


def test_remove_by_uri_name_and_glob(store: IndexStore):
    for number, name in enumerate(["a", "b1", "b2", "c"]):
        add_random(store, make_scene(name), 10, seed=number)
    assert [scene.name for scene in store.remove("b?.tif")] == ["b1.tif", "b2.tif"]
    assert [scene.name for scene in store.remove("/data/a.tif")] == ["a.tif"]
    assert store.remove("nothing*") == ()
    assert {scene.name for _, scene, _ in by_chip(store).values()} == {"c.tif"}
    assert store.verify(full=True) == ()


def test_remove_takes_brackets_in_a_name_literally(store: IndexStore):
    add_random(store, make_scene("a", "/data/tile[1].tif"), 5)
    assert len(store.remove("tile[1].tif")) == 1


def test_segments_without_a_chip_left_go(store: IndexStore, path: Path):
    add_random(store, make_scene("a"), 40)
    add_random(store, make_scene("b"), 10)
    assert store.info().segment_count == 2
    store.remove("a.tif")
    info = store.info()
    assert (info.segment_count, info.removed_rows) == (1, 0)
    assert len(list((path / "segments").iterdir())) == 1


def test_relocate_a_folder_and_a_file(store: IndexStore):
    for name, uri in [("a", "/old/x/a.tif"), ("b", "/old/x/sub/b.tif"), ("c", "/old/xy/c.tif")]:
        add_random(store, make_scene(name, uri), 5)
    assert store.relocate("/old/x", "/new") == 2
    assert [s.uri for s in store.scenes()] == ["/new/a.tif", "/new/sub/b.tif", "/old/xy/c.tif"]
    assert store.relocate("/old/xy/c.tif", "https://host/d.tif") == 1
    assert ("https://host/d.tif", "d.tif") in [(s.uri, s.name) for s in store.scenes()]
    with pytest.raises(GeorclipError, match="lies below"):
        store.relocate("/old", "/new")
    with pytest.raises(GeorclipError, match="two scenes"):
        store.relocate("/new/a.tif", "/new/sub/b.tif")
    assert store.verify(full=True) == ()


def test_relocate_into_a_folder_that_was_its_own(store: IndexStore):
    add_random(store, make_scene("a", "/d/a.tif"), 5)
    add_random(store, make_scene("b", "/d/d/a.tif"), 5)
    assert store.relocate("/d", "/d/d") == 2
    assert [s.uri for s in store.scenes()] == ["/d/d/a.tif", "/d/d/d/a.tif"]


def test_compact_drops_removed_rows_and_changes_no_answer(store: IndexStore, path: Path):
    for number in range(6):
        add_random(store, make_scene(f"s{number}"), 40 + number, seed=number)
    store.remove("s1.tif")
    store.remove("s4.tif")
    query = draw_vectors(np.random.default_rng(9), 1)[0]
    before, chips = store.top(query, None, 20), by_chip(store)
    ids = [chip.chip_id for chip, _ in store.fetch([row for row, _ in before])]
    assert store.info().removed_rows > 0
    store.compact()
    info = store.info()
    assert (info.removed_rows, info.segment_count) == (0, 1)
    after = store.top(query, None, 20)
    assert [chip.chip_id for chip, _ in store.fetch([row for row, _ in after])] == ids
    assert [score for _, score in after] == [score for _, score in before]
    assert by_chip(store) == chips
    assert store.verify(full=True) == ()
    assert len(list((path / "segments").iterdir())) == 1


def test_a_reader_follows_a_writer(store: IndexStore, path: Path):
    add_random(store, make_scene("a"), 30)
    with IndexStore.open(path, writable=False) as reader:
        rows = reader.select().rows
        add_random(store, make_scene("b"), 30, seed=1)
        assert len(reader.select().rows) == 60
        store.compact()
        with pytest.raises(GeorclipError, match="changed meanwhile"):
            reader.fetch(rows)
        assert len(by_chip(reader)) == 60


def test_a_reader_keeps_what_it_has_until_it_asks_again(store: IndexStore, path: Path):
    for number in range(4):
        add_random(store, make_scene(f"s{number}"), 30, seed=number)
    with IndexStore.open(path, writable=False) as reader:
        rows = reader.select().rows
        kept = reader.vectors(rows)
        add_random(store, make_scene("more"), 100, seed=7)  # merges, and removes old segments
        np.testing.assert_array_equal(reader.vectors(rows), kept)
        assert len(reader.fetch(rows)) == len(rows)


def test_many_small_commits_make_few_segments(store: IndexStore, path: Path):
    for number in range(40):
        add_random(store, make_scene(f"s{number}"), 3, seed=number)
    info = store.info()
    assert (info.chip_count, info.scene_count) == (120, 40)
    assert info.segment_count <= 7
    assert len(list((path / "segments").iterdir())) == info.segment_count
    assert list((path / "staging").iterdir()) == []
    sizes = [segment.record.row_count for segment in store._view.segments]
    assert all(old >= 2 * new for old, new in pairwise(sizes))
    assert store.verify(full=True) == ()


def test_large_scenes_are_cut_into_segments(store: IndexStore, monkeypatch):
    monkeypatch.setattr(segments, "_SEGMENT_BYTES", 1)  # 1,024 rows a segment
    add_random(store, make_scene("a"), 2_500)
    add_random(store, make_scene("b"), 100, seed=1)
    sizes = [segment.record.row_count for segment in store._view.segments]
    assert sizes == [1024, 1024, 452, 100]
    store.remove("a.tif")
    assert [segment.record.row_count for segment in store._view.segments] == [100]
    add_random(store, make_scene("a"), 2_000)
    store.compact()
    assert [segment.record.row_count for segment in store._view.segments] == [1024, 1024, 52]
    assert store.verify(full=True) == ()


def test_info(store: IndexStore):
    rng = np.random.default_rng(0)
    early, late = datetime(2020, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
    east = np.array([[178.0, -20.0, 179.0, -19.0], [179.5, -20.0, -179.5, -19.0]])
    west = np.array([[-179.0, -18.0, -178.0, -17.0]])
    add(store, make_scene("a", acquired=late), east, draw_vectors(rng, 2))
    add(store, make_scene("b", acquired=early), west, draw_vectors(rng, 1))
    add_random(store, make_scene("c"), 0)
    info = store.info()
    assert (info.scene_count, info.chip_count, info.undated_scenes) == (3, 3, 1)
    assert (info.first_acquired, info.last_acquired) == (early, late)
    assert info.bounds == (178.0, -20.0, -178.0, -17.0)
    assert info.format == 1
    assert info.bytes_on_disk > 10_000


def test_an_index_never_mixes_encoders(store: IndexStore):
    store.check_encoder(encoder_spec())
    with pytest.raises(EncoderMismatchError, match=r"fake .*other.*-i"):
        store.check_encoder(encoder_spec(name="other"))
    with pytest.raises(EncoderMismatchError, match="shape"):
        store.top(np.ones(DIM + 1, dtype=np.float32), None, 3)


@pytest.mark.parametrize("query", [np.zeros(DIM), np.full(DIM, np.nan), np.full(DIM, np.inf)])
def test_queries_that_mean_nothing(store: IndexStore, query):
    with pytest.raises(QueryError):
        store.top(query.astype(np.float32), None, 3)


def test_k_below_one(store: IndexStore):
    with pytest.raises(QueryError, match="at least 1"):
        store.top(np.ones(DIM, dtype=np.float32), None, 0)


def test_a_reader_cannot_write(store: IndexStore, path: Path):
    with IndexStore.open(path, writable=False) as reader:
        with pytest.raises(GeorclipError, match="reading only"):
            reader.remove("*")
        with pytest.raises(GeorclipError, match="reading only"), reader.stage(make_scene("a"), "p"):
            pass


def test_two_chips_of_one_id_are_refused_and_nothing_changes(store: IndexStore):
    add_random(store, make_scene("a"), 10)
    scene = make_scene("b")
    chips = make_chips(scene, draw_boxes(np.random.default_rng(0), 2))
    with pytest.raises(GeorclipError, match="share a key"), store.stage(scene, "p") as staging:
        staging.append(1, [chips[0], chips[0]], np.ones((2, DIM), dtype=np.float32))
        staging.commit()
    assert [s.name for s in store.scenes()] == ["a.tif"]
    add_random(store, make_scene("c"), 10)
    assert store.verify(full=True) == ()


def test_create_where_something_is(store: IndexStore, path: Path, tmp_path: Path):
    spec = encoder_spec()
    with pytest.raises(IndexFormatError, match="already"):
        IndexStore.create(path, encoder=spec, plan=PLAN)
    file = tmp_path / "file.txt"
    file.write_text("x")
    with pytest.raises(IndexFormatError, match="is a file"):
        IndexStore.create(file, encoder=spec, plan=PLAN)
    with pytest.raises(IndexFormatError, match="is a file"):
        IndexStore.open(file, writable=False)
    with pytest.raises(IndexFormatError, match="does not exist"):
        IndexStore.create(tmp_path / "no" / "index", encoder=spec, plan=PLAN)
    with pytest.raises(IndexFormatError, match="holds other files"):
        IndexStore.create(tmp_path, encoder=spec, plan=PLAN)
    with pytest.raises(IndexFormatError, match="georclip index"):
        IndexStore.open(tmp_path / "nothing", writable=False)


def test_an_index_that_lost_its_manifest_is_not_overwritten(store: IndexStore, path: Path):
    add_random(store, make_scene("a"), 10)
    store.close()
    (path / "index.json").rename(path.parent / "kept.json")
    with pytest.raises(IndexFormatError, match=r"index\.json is missing"):
        IndexStore.create(path, encoder=encoder_spec(), plan=PLAN)
    (path.parent / "kept.json").rename(path / "index.json")
    with IndexStore.open(path, writable=False) as reader:
        assert reader.verify(full=True) == ()


def test_what_a_killed_create_leaves_can_be_made_again(tmp_path: Path):
    path = tmp_path / "index"
    IndexStore.create(path, encoder=encoder_spec(), plan=PLAN).close()
    (path / "index.json").unlink()
    with IndexStore.create(path, encoder=encoder_spec(), plan=PLAN) as store:
        add_random(store, make_scene("a"), 3)
        assert store.verify(full=True) == ()


def test_manifest_lists_files_and_keeps_what_it_does_not_know(store: IndexStore, path: Path):
    add_random(store, make_scene("a"), 10)
    store.close()
    entries = json.loads((path / "index.json").read_text())
    assert entries["format"] == 1
    assert entries["encoder"]["name"] == "fake"
    assert entries["plan"]["unit"] == "auto"
    on_disk = {p.relative_to(path).as_posix() for p in (path / "segments").rglob("*.*")}
    assert set(entries["files"]) == on_disk | {"background.npy"}
    entries["colour"] = {"of": "the sky"}
    (path / "index.json").write_text(json.dumps(entries))
    with IndexStore.open(path, writable=True) as again:
        add_random(again, make_scene("b"), 10)
    changed = json.loads((path / "index.json").read_text())
    assert changed["colour"] == {"of": "the sky"}
    assert changed["files"] != entries["files"]


def test_plan_fingerprint_follows_plan_bands_and_stretch():
    def shown(low: float = 0.0, bands: tuple[int, int, int] = (1, 2, 3)) -> Rendering:
        return Rendering(
            bands=bands, low=(low, 0, 0), high=(9, 9, 9), bands_from="asked", stretch_from="asked"
        )

    prints = {
        plan_fingerprint(ChipPlan(), shown()),
        plan_fingerprint(ChipPlan(overlap=0.5), shown()),
        plan_fingerprint(ChipPlan(), shown(low=1.0)),
        plan_fingerprint(ChipPlan(), shown(bands=(3, 2, 1))),
    }
    assert len(prints) == 4
    whole, decimal = ChipPlan(size=224, unit="px"), ChipPlan(size=224.0, unit="px")
    assert plan_fingerprint(whole, shown()) == plan_fingerprint(decimal, shown())


def test_the_index_loads_no_heavy_package():
    code = (
        "import sys, georclip.index.store; "
        "print([m for m in ('torch', 'geopandas', 'rasterio', 'pyproj', 'pyarrow') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
