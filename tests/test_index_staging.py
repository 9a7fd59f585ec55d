from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from georclip.errors import GeorclipError
from georclip.index import staging
from georclip.index.store import IndexStore
from tests.helpers_index import (
    DIM,
    PLAN,
    add,
    by_chip,
    draw_boxes,
    draw_vectors,
    encoder_spec,
    make_chips,
    make_scene,
    without_syncing,
)

SCENE = make_scene("a")
COUNT = 100


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch):
    without_syncing(monkeypatch)
    monkeypatch.setattr(staging, "PART_CHIPS", 20)


@pytest.fixture
def store(tmp_path: Path):
    with IndexStore.create(tmp_path / "index", encoder=encoder_spec(), plan=PLAN) as made:
        yield made


@pytest.fixture
def folder(store: IndexStore) -> Path:
    return store.path / "staging" / SCENE.scene_id


def drawn():
    rng = np.random.default_rng(4)
    boxes = draw_boxes(rng, COUNT)
    return boxes, make_chips(SCENE, boxes), draw_vectors(rng, COUNT)


def stage_some(store: IndexStore, upto: int, batch: int = 10) -> None:
    """Stage the first chips, then be interrupted."""
    _, chips, vectors = drawn()
    with pytest.raises(KeyboardInterrupt), store.stage(SCENE, "p") as under_way:
        for start in range(0, upto, batch):
            end = min(start + batch, upto)
            under_way.append(end - 1, chips[start:end], vectors[start:end], skipped={"blank": end})
        raise KeyboardInterrupt


def next_number(store: IndexStore, fingerprint: str = "p", scene=SCENE) -> int:
    with store.stage(scene, fingerprint) as under_way:
        return under_way.next_number


def test_an_interrupted_scene_is_not_there_and_goes_on(store: IndexStore):
    stage_some(store, 47)
    assert store.scene_status(SCENE, "p") == "new"
    assert len(store.select().rows) == 0
    assert store.info().staged == (SCENE.scene_id,)
    boxes, chips, vectors = drawn()
    with store.stage(SCENE, "p") as under_way:
        assert under_way.next_number == 47
        assert under_way.skipped_before == {"blank": 47}
        under_way.append(99, chips[47:], vectors[47:])
        report = under_way.commit({"blank": 3, "saturated": 1})
    assert report.chips == COUNT
    assert report.scene.skipped == {"blank": 50, "saturated": 1}
    assert store.info().staged == ()
    resumed = by_chip(store)
    add(store, SCENE, boxes, vectors, fingerprint="q")
    assert by_chip(store) == resumed


def test_what_another_process_staged_is_used(store: IndexStore):
    stage_some(store, 60)
    path = store.path
    store.close()
    with IndexStore.open(path, writable=True) as again:
        assert next_number(again) == 60


def test_parts_of_another_plan_or_place_are_discarded(store: IndexStore):
    stage_some(store, 60)
    assert next_number(store, "another plan") == 0
    stage_some(store, 60)
    assert next_number(store, scene=make_scene("a", "/moved/a.tif")) == 0


@pytest.mark.parametrize("ending", [".npy", ".chips.npz", ".json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_part_is_discarded_with_those_behind_it(
    store: IndexStore, folder: Path, ending: str, harm: str
):
    stage_some(store, 80)
    victim = folder / f"000002{ending}"
    data = bytearray(victim.read_bytes())
    if harm == "remove":
        victim.unlink()
    elif harm == "cut":
        victim.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 0x10
        victim.write_bytes(data)
    assert next_number(store) == 40
    assert {path.name[:6] for path in folder.glob("0*")} == {"000000", "000001"}


def test_skipped_chips_move_the_next_number(store: IndexStore):
    empty = np.empty((0, DIM), dtype=np.float32)
    with store.stage(SCENE, "p") as under_way:
        under_way.append(35, [], empty)
        assert under_way.next_number == 36
    assert next_number(store) == 36
    _, chips, vectors = drawn()
    with store.stage(SCENE, "p") as under_way:
        under_way.append(50, chips[:5], vectors[:5])
        under_way.commit()
    assert len(store.select().rows) == 5


def test_parts_are_written_by_time_too(store: IndexStore, folder: Path):
    _, chips, vectors = drawn()
    now = [0.0]
    area = staging.StagingArea(folder, {"scene_id": "x"}, DIM, clock=lambda: now[0])
    area.append(0, chips[:1], vectors[:1], {})
    assert not list(folder.glob("0*"))
    now[0] = 61.0
    area.append(1, chips[1:2], vectors[1:2], {})
    assert len(list(folder.glob("0*"))) == 3


def test_a_part_is_synced_before_it_counts(store: IndexStore, folder: Path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc to see which file is synced")
    stage_some(store, 20)
    names = [Path(name).name for name in synced]
    assert names.index("000000.json.tmp") > names.index("000000.npy")
    assert names.index("000000.json.tmp") > names.index("000000.chips.npz")
    assert names[-1] == SCENE.scene_id  # the folder, after the rename


def test_batches_that_do_not_fit(store: IndexStore):
    _, chips, vectors = drawn()
    with store.stage(SCENE, "p") as under_way:
        with pytest.raises(ValueError, match="shape"):
            under_way.append(4, chips[:5], vectors[:4])
        with pytest.raises(ValueError, match="not finite"):
            under_way.append(4, chips[:5], vectors[:5] * np.float32(np.nan))
        under_way.append(4, chips[:5], vectors[:5])
        with pytest.raises(ValueError, match="again"):
            under_way.append(4, chips[:5], vectors[:5])


def test_an_error_of_the_reader_is_passed_on_and_what_is_staged_stays(store: IndexStore):
    _, chips, vectors = drawn()
    with pytest.raises(FileNotFoundError), store.stage(SCENE, "p") as under_way:
        under_way.append(9, chips[:10], vectors[:10])
        raise FileNotFoundError("the raster went away")
    assert next_number(store) == 10


def test_a_disk_that_cannot_be_written(store: IndexStore, monkeypatch):
    _, chips, vectors = drawn()

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(staging, "write_synced", full)
    with (
        pytest.raises(GeorclipError, match=r"cannot stage chips in .*No space left"),
        store.stage(SCENE, "p") as under_way,
    ):
        under_way.append(99, chips, vectors)
