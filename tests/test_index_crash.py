from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from georclip.index import staging
from georclip.index.store import IndexStore
from tests.helpers_index import (
    FINGERPRINT,
    PLAN,
    add_random,
    by_chip,
    encoder_spec,
    make_scene,
    without_syncing,
)
from tests.index_killed import CHANGED

ROOT = Path(__file__).parent.parent
LAGS = {
    "its list of segments' files is not the catalog's",
    "it does not belong to the index",
    "it is not the one that index.json lists",
    "it is a sample of what the index held before",
}
"""What a kill may leave; anything else that is found is damage."""

REPLACE = [
    "staging:StagingArea.flush:after",
    "staging:sha256_of:before:3",
    "segments:write_columns:after",
    "segments:describe_file:before",
    "changes:_write_rows:after",
    "catalog:Catalog.remove_scene:after",
    "catalog:Catalog.add_chips:after",
    "catalog:Catalog.add_segment:after",
    "changes:commit_scene:after",
    "upkeep:keep_background:before",
    "sampling:write_atomically:before",
    "files:write_synced:after:6",
    "upkeep:write_manifest:before",
    "upkeep:remove_unknown_segments:before",
    "staging:StagingArea.discard:before",
]
OTHERS = [
    ("remove", "catalog:Catalog.remove_scene:after"),
    ("remove", "changes:remove_scenes:after"),
    ("remove", "upkeep:keep_background:after"),
    ("compact", "changes:_write_slices:after"),
    ("compact", "catalog:Catalog.renumber:after"),
    ("compact", "changes:compact_rows:after"),
    ("compact", "upkeep:remove_unknown_segments:before"),
    ("keep", "files:write_synced:after"),
    ("keep", "store:write_manifest:before"),
]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes in two segments."""
    path = tmp_path_factory.mktemp("original") / "index"
    with pytest.MonkeyPatch.context() as patch:
        without_syncing(patch)
        with IndexStore.create(path, encoder=encoder_spec(), plan=PLAN) as store:
            for number, name in enumerate("abc"):
                add_random(store, make_scene(name), 50 - 10 * number, seed=number)
    return path


def kill(path: Path, what: str, where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.index_killed", str(path), what, where],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 9, done.stderr


def contents(path: Path) -> dict:
    with IndexStore.open(path, writable=False) as store:
        assert {finding.problem for finding in store.verify(full=True)} <= LAGS
        return by_chip(store)


@pytest.mark.parametrize("where", REPLACE)
def test_killed_while_replacing_a_scene(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    without_syncing(monkeypatch)
    monkeypatch.setattr(staging, "PART_CHIPS", 16)
    path = tmp_path / "index"
    shutil.copytree(original, path)
    before = contents(path)
    kill(path, "replace", where)
    old = {key for key, (_, scene, _) in before.items() if scene.uri == "/data/a.tif"}
    found = contents(path)
    if old <= found.keys():
        assert found == before
    else:
        assert len(found) == len(before) - len(old) + CHANGED
    changed = make_scene("changed", "/data/a.tif")
    with IndexStore.open(path, writable=True) as store:
        assert store.verify(full=True) == ()
        if store.scene_status(changed, FINGERPRINT) != "same":
            with store.stage(changed, FINGERPRINT) as under_way:
                assert under_way.next_number % 16 == 0
            add_random(store, changed, CHANGED, seed=8)
        assert store.verify(full=True) == ()
        assert store.info().staged == ()
        assert len(by_chip(store)) == len(before) - len(old) + CHANGED
    assert {entry.name for entry in path.iterdir()} == {
        "index.json", "catalog.sqlite", "segments", "staging", "lock", "background.npy"
    }  # fmt: skip


@pytest.mark.parametrize(("what", "where"), OTHERS)
def test_killed_while_changing_something_else(
    original: Path, tmp_path: Path, what: str, where: str
):
    path = tmp_path / "index"
    shutil.copytree(original, path)
    before = contents(path)
    kill(path, what, where)
    found = contents(path)
    if what != "remove":
        assert found == before
    else:
        gone = {key for key, (_, scene, _) in before.items() if scene.name == "a.tif"}
        assert found.keys() in (before.keys(), before.keys() - gone)
    with IndexStore.open(path, writable=True) as store:
        assert store.verify(full=True) == ()
        assert by_chip(store) == found
        segments = {f"{s.record.number:06d}" for s in store._view.segments}
        assert {folder.name for folder in (path / "segments").iterdir()} == segments


def test_a_killed_run_goes_on_where_it_was(original: Path, tmp_path: Path):
    path = tmp_path / "index"
    shutil.copytree(original, path)
    kill(path, "replace", "changes:commit_scene:before")
    with (
        IndexStore.open(path, writable=True) as store,
        store.stage(make_scene("changed", "/data/a.tif"), FINGERPRINT) as under_way,
    ):
        assert under_way.next_number == 48  # three parts of 16; the last 12 were in memory
