from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely

from georclip.errors import GeorclipError, IndexCorruptError, IndexFormatError
from georclip.index.locks import WriterLock
from georclip.index.store import IndexStore, verify_index
from tests.helpers_index import (
    DIM,
    PLAN,
    add_random,
    encoder_spec,
    make_scene,
    without_syncing,
)

ROOT = Path(__file__).parent.parent
COLUMNS = ["vectors.faiss", "bounds.npy", "scenes.npy", "pages.npy"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch):
    without_syncing(monkeypatch)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "index"
    with IndexStore.create(path, encoder=encoder_spec(), plan=PLAN) as store:
        add_random(store, make_scene("a"), 60)
        add_random(store, make_scene("b"), 20, seed=1)
        store.remove("nothing")
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "index")
    return tmp_path / "index"


def flip(file: Path, position: int) -> None:
    data = bytearray(file.read_bytes())
    data[position] ^= 0x01
    file.write_bytes(data)


def found_by(path: Path, *, full: bool) -> set[str]:
    return {finding.file for finding in verify_index(path, full=full)}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.999])
def test_a_flipped_bit_in_a_segment_is_found(path: Path, name: str, share: float):
    file = path / "segments" / "000001" / name
    flip(file, int(file.stat().st_size * share))
    assert f"segments/000001/{name}" in found_by(path, full=True)
    assert found_by(path, full=False) == set() or name != "vectors.faiss"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE chips SET footprint = substr(footprint, 1, 40) || x'00' || substr(footprint, 42)"
        ' WHERE "row" = 5',
        "UPDATE chips SET footprint = x'00' WHERE \"row\" = 5",
        'UPDATE chips SET col_off = col_off + 1 WHERE "row" = 5',
        'UPDATE chips SET gsd_m = 11 WHERE "row" = 70',
        "UPDATE chips SET chip_id = 'x' WHERE \"row\" = 5",
        'UPDATE chips SET scene = 2 WHERE "row" = 5',
        'DELETE FROM chips WHERE "row" = 5',
        'DELETE FROM chips WHERE "row" = 5; INSERT INTO tombstones VALUES (5)',
        "INSERT INTO tombstones VALUES (5)",
        "UPDATE scenes SET record = replace(record, '32650', '32651') WHERE number = 1",
        "UPDATE scenes SET digest = upper(digest) WHERE number = 1",
        "UPDATE scenes SET plan_fingerprint = 'other' WHERE number = 2",
    ],
)
def test_a_catalog_that_says_something_else_is_found(path: Path, change: str):
    with sqlite3.connect(path / "catalog.sqlite") as db:
        db.executescript(change)
    db.close()
    assert verify_index(path, full=True)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_missing_or_cut_file_is_found_quickly_and_stops_an_opening(path: Path, name: str):
    file = path / "segments" / "000001" / name
    data = file.read_bytes()
    file.write_bytes(data[:-8])
    assert f"segments/000001/{name}" in found_by(path, full=False)
    with pytest.raises(IndexCorruptError, match=f"{name} has .* instead of"):
        IndexStore.open(path, writable=False)
    file.unlink()
    (finding,) = verify_index(path, full=False)
    assert (finding.file, finding.problem) == (f"segments/000001/{name}", "it is missing")
    with pytest.raises(IndexCorruptError, match=f"{name} is missing"):
        IndexStore.open(path, writable=True)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_damaged_header_is_no_traceback(path: Path, name: str):
    file = path / "segments" / "000001" / name
    data = bytearray(file.read_bytes())
    data[:24] = b"\xff" * 24
    file.write_bytes(data)
    half = shapely.box(10.0, 49.0, 11.5, 51.5)
    with IndexStore.open(path, writable=False) as store:
        with pytest.raises(IndexCorruptError, match=f"{name} is damaged"):
            selection = store.select(aoi=half, scenes="*.tif")
            store.top(np.ones(DIM, dtype=np.float32), selection.runs, 3)
    assert verify_index(path, full=False)


def test_foreign_files_are_named(path: Path):
    (path / "notes.txt").write_text("mine")
    (path / "segments" / "000001" / "extra.bin").write_bytes(b"x")
    (path / "segments" / "old").mkdir()
    (path / "footprints.gpkg").write_bytes(b"a view is no stranger")
    assert found_by(path, full=False) == {
        "notes.txt",
        "segments/000001/extra.bin",
        "segments/old",
    }
    with IndexStore.open(path, writable=True):
        pass
    assert (path / "notes.txt").exists()
    assert (path / "segments" / "old").exists()


def test_a_lagging_manifest_is_found_and_put_right(path: Path):
    entries = json.loads((path / "index.json").read_text())
    entries["files"].popitem()
    (path / "index.json").write_text(json.dumps(entries))
    assert found_by(path, full=False) == {"index.json"}
    with IndexStore.open(path, writable=False) as reader:
        assert len(reader.select().rows) == 80
    with IndexStore.open(path, writable=True) as store:
        assert store.verify(full=True) == ()


def test_other_files_of_the_manifest_are_checked(path: Path):
    entries = json.loads((path / "index.json").read_text())
    (path / "encoder").mkdir()
    (path / "encoder" / "text.bin").write_bytes(b"1234")
    entries["files"]["encoder/text.bin"] = {"bytes": 4, "sha256": "0" * 64}
    (path / "index.json").write_text(json.dumps(entries))
    assert found_by(path, full=False) == set()
    assert found_by(path, full=True) == {"encoder/text.bin"}
    with IndexStore.open(path, writable=True) as store:
        store.remove("a.tif")
    assert "encoder/text.bin" in json.loads((path / "index.json").read_text())["files"]


def test_a_newer_format(path: Path):
    entries = json.loads((path / "index.json").read_text())
    (path / "index.json").write_text(json.dumps({"format": 7, "anything": entries}))
    for writable in (False, True):
        with pytest.raises(IndexFormatError, match=r"index format 7.*up to 1"):
            IndexStore.open(path, writable=writable)
    with pytest.raises(IndexFormatError, match="format 7"):
        verify_index(path, full=False)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": "x"}', '{"format": 1}', "\xff\xfe"]
)
def test_a_damaged_manifest(path: Path, text: str):
    (path / "index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(IndexCorruptError, match=r"index\.json is damaged"):
        IndexStore.open(path, writable=False)


@pytest.mark.parametrize("harm", ["text", "empty", "cut", "zeros", "gone"])
def test_a_damaged_catalog(path: Path, harm: str):
    file = path / "catalog.sqlite"
    data = file.read_bytes()
    if harm == "gone":
        file.unlink()
    elif harm == "zeros":
        file.write_bytes(data[:100] + bytes(len(data) - 100))
    else:
        file.write_bytes({"text": b"hello " * 1000, "empty": b"", "cut": data[:5000]}[harm])
    for writable in (False, True):
        with pytest.raises(IndexCorruptError, match=r"catalog\.sqlite.*(copy|again)"):
            with IndexStore.open(path, writable=writable) as store:
                store.fetch(store.select().rows)
    with pytest.raises(IndexCorruptError):
        verify_index(path, full=False)


def test_damaged_chips_are_no_traceback(path: Path):
    with sqlite3.connect(path / "catalog.sqlite") as db:
        db.execute("UPDATE chips SET footprint = x'0102', width = 'wide' WHERE \"row\" = 3")
        db.execute("UPDATE chips SET footprint = x'0102' WHERE \"row\" = 4")
        db.execute("UPDATE scenes SET record = '{}' WHERE number = 2")
    db.close()
    with IndexStore.open(path, writable=False) as store:
        for rows in ([3], [4], [70]):
            with pytest.raises(IndexCorruptError):
                store.fetch(rows)
        with pytest.raises(IndexCorruptError):
            store.scenes()


# Who may write


def test_a_second_writer_is_told_who_writes(path: Path):
    with IndexStore.open(path, writable=True):
        with pytest.raises(GeorclipError, match=rf"process {os.getpid()} on .* since 20"):
            IndexStore.open(path, writable=True)
        code = (
            "import sys\n"
            "from georclip.errors import GeorclipError\n"
            "from georclip.index.store import IndexStore\n"
            "try:\n    IndexStore.open(sys.argv[1], writable=True)\n"
            "except GeorclipError as error:\n    print(error)\n"
            "with IndexStore.open(sys.argv[1], writable=False) as reader:\n"
            "    print(len(reader.select().rows))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        message, rows = done.stdout.splitlines()
        assert f"is being written by process {os.getpid()}" in message
        assert rows == "80"
    with IndexStore.open(path, writable=True):
        pass


def test_a_lock_is_released_by_death(tmp_path: Path):
    code = (
        "import os, sys, pathlib\n"
        "from georclip.index.locks import WriterLock\n"
        "lock = WriterLock(pathlib.Path(sys.argv[1]))\n"
        "print('held', flush=True)\n"
        "os._exit(9)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "lock")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert "pid" in (tmp_path / "lock").read_text()
    with WriterLock(tmp_path / "lock") as lock:
        lock.release()
    assert (tmp_path / "lock").read_text() == ""


def test_a_read_only_folder_can_be_searched_and_not_written(path: Path):
    if not hasattr(os, "geteuid"):
        pytest.skip("needs POSIX permissions")
    code = (
        "import os, sys\n"
        "import numpy as np\n"
        "from georclip.errors import GeorclipError\n"
        "from georclip.index.store import IndexStore, verify_index\n"
        "if os.geteuid() == 0:\n    os.setgid(65534); os.setuid(65534)\n"
        "assert not os.access(sys.argv[1], os.W_OK)\n"
        "with IndexStore.open(sys.argv[1], writable=False) as store:\n"
        f"    rows = store.top(np.ones({DIM}, dtype=np.float32), None, 5)\n"
        "    print(len(store.fetch([row for row, _ in rows])), store.verify(full=True))\n"
        "try:\n    IndexStore.open(sys.argv[1], writable=True)\n"
        "except GeorclipError as error:\n    print(error)\n"
    )
    for entry in (path, *path.rglob("*")):
        entry.chmod(0o555 if entry.is_dir() else 0o444)
    outer = path.parent
    opened = []
    while outer != outer.parent and not outer.stat().st_mode & 0o001:
        opened.append((outer, outer.stat().st_mode))
        outer.chmod(outer.stat().st_mode | 0o005)
        outer = outer.parent
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for folder, mode in opened:
            folder.chmod(mode)
        for entry in (path, *path.rglob("*")):
            entry.chmod(0o755 if entry.is_dir() else 0o644)
    if "ModuleNotFoundError" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("the unprivileged user cannot read the packages here")
    first, second = done.stdout.splitlines()
    assert first == "5 ()"
    assert "cannot write to" in second and "Permission denied" in second


def test_scores_do_not_depend_on_who_else_is_there(path: Path):
    query = np.arange(1, DIM + 1, dtype=np.float32)
    with IndexStore.open(path, writable=True) as store:
        before = store.top(query, None, 80)
        store.remove("b.tif")
        kept = {row for row, _ in before if row < 60}
        after = store.top(query, None, 80)
        assert after == [(row, score) for row, score in before if row in kept]
        assert store.top(query, np.arange(60), 80) == after


def test_control_characters_of_a_foreign_manifest_reach_no_terminal(path: Path):
    manifest = json.loads((path / "index.json").read_text())
    manifest["encoder"]["name"] = "RemoteCLIP\x1b[2J\nError: gone \u202e 港"
    manifest["encoder"]["licence"] = "MIT\x07"
    (path / "index.json").write_text(json.dumps(manifest))
    with IndexStore.open(path, writable=False) as store:
        assert store.encoder.name == "RemoteCLIP?[2J?Error: gone ? 港"
        assert store.encoder.licence == "MIT?"
        assert store.info().encoder == store.encoder
