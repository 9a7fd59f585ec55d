from __future__ import annotations

import io
import json
import logging
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from georclip.errors import GeorclipError, IndexFormatError
from georclip.index import sampling
from georclip.index.arrayfile import pack, read_arrays
from georclip.index.background import pack_sample, read_background, read_sample
from georclip.index.store import IndexStore, verify_index
from tests.helpers_background import check_background, smaller
from tests.helpers_index import (
    DIM,
    PLAN,
    add,
    add_random,
    draw_boxes,
    draw_vectors,
    encoder_spec,
    make_scene,
    without_syncing,
)

SAMPLE, RESERVE = 20, 40


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch):
    without_syncing(monkeypatch)
    smaller(monkeypatch, SAMPLE, RESERVE)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "index"
    with pytest.MonkeyPatch.context() as patch:
        without_syncing(patch)
        smaller(patch, SAMPLE, RESERVE)
        with IndexStore.create(path, encoder=encoder_spec(), plan=PLAN) as store:
            for number, name in enumerate("abc"):
                add_random(store, make_scene(name), 30, seed=number)
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "index")
    return tmp_path / "index"


def listed(path: Path) -> dict:
    return json.loads((path / "index.json").read_text())["files"]


# What is sampled


def test_it_is_the_sample_of_the_chips_whatever_came_before(path: Path, tmp_path: Path):
    with IndexStore.open(path, writable=True) as store:
        check_background(store)
        store.remove("b.tif")
        check_background(store)
        add_random(store, make_scene("d"), 50, seed=3)
        store.compact()
        check_background(store)
        assert store.verify(full=True) == ()
    other = tmp_path / "other"
    with IndexStore.create(other, encoder=encoder_spec(), plan=PLAN) as store:
        for name, count, seed in (("d", 50, 3), ("c", 30, 2), ("a", 30, 0)):
            add_random(store, make_scene(name), count, seed=seed)
    one, two = (read_background(p / "background.npy", DIM) for p in (path, other))
    assert one is not None and two is not None
    assert one.vectors.tobytes() == two.vectors.tobytes()


def test_the_same_chips_with_other_vectors_are_sampled_anew(path: Path):
    rng = np.random.default_rng(9)
    with IndexStore.open(path, writable=True) as store:
        before = store.background()
        boxes, vectors = draw_boxes(rng, 30), draw_vectors(rng, 30)
        add(store, make_scene("a"), boxes, vectors, fingerprint="other")
        check_background(store)
        after = store.background()
    assert before is not None and after is not None
    assert before.vectors.shape == after.vectors.shape
    assert (before.vectors != after.vectors).any()


@pytest.mark.parametrize("count", [0, 1, SAMPLE - 1, SAMPLE, SAMPLE + 1, RESERVE, 3 * RESERVE])
def test_any_number_of_chips(tmp_path: Path, count: int):
    with IndexStore.create(tmp_path / "index", encoder=encoder_spec(), plan=PLAN) as store:
        assert store.background() is None
        add_random(store, make_scene("a"), count)
        check_background(store)
        assert store.verify(full=True) == ()
        store.remove("a.tif")
        check_background(store)
        assert store.verify(full=True) == ()


def test_the_catalog_is_read_again_only_where_too_many_left(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[int] = []
    original = sampling._first_of

    def counted(number: int, *rest):
        asked.append(number)
        return original(number, *rest)

    monkeypatch.setattr(sampling, "_first_of", counted)
    with IndexStore.open(path, writable=True) as store:
        add_random(store, make_scene("d"), 30, seed=3)
        store.compact()
        store.relocate("/data", "/moved")
        store.remove("a.tif")
        assert asked == [4]
        store.remove("b.tif")
        store.remove("c.tif")
        assert len(asked) > 1
        check_background(store)


def test_numpy_reads_the_vectors(path: Path):
    vectors = np.load(path / "background.npy")
    assert (vectors.shape, vectors.dtype) == ((SAMPLE, DIM), np.float16)


def test_a_reader_follows_a_writer(path: Path):
    with IndexStore.open(path, writable=False) as reader:
        first = reader.background()
        assert reader.background() is first
        with IndexStore.open(path, writable=True) as writer:
            writer.remove("a.tif")
        second = reader.background()
        assert second is not first
        check_background(reader)


def test_a_commit_that_changes_no_chip_writes_no_background(path: Path):
    before = (path / "background.npy").stat().st_mtime_ns
    with IndexStore.open(path, writable=True) as store:
        store.relocate("/data", "/moved")
        store.compact()
        check_background(store)
    assert (path / "background.npy").stat().st_mtime_ns == before


def test_small_changes_wait_for_a_hundredth_of_the_chips_or_the_end(tmp_path: Path):
    path = tmp_path / "index"

    def sampled() -> set[int]:
        return set(read_sample(path / "background.npy", DIM).scenes[:, 0].tolist())

    with IndexStore.create(path, encoder=encoder_spec(), plan=PLAN) as store:
        add_random(store, make_scene("a"), 200)
        add_random(store, make_scene("b"), 1)
        assert sampled() == {1}
        assert store.verify(full=True) == ()
        add_random(store, make_scene("c"), 1)
        assert sampled() == {1}
        add_random(store, make_scene("d"), 1)
        assert sampled() == {1, 2, 3, 4}
        check_background(store)
        store.remove("b.tif")
        assert sampled() == {1, 2, 3, 4}
        store.remove("[cd].tif")
        assert sampled() == {1}
        add_random(store, make_scene("e"), 2)
        assert sampled() == {1}
    assert sampled() == {1, 5}
    with IndexStore.open(path, writable=False) as reader:
        check_background(reader)
        assert reader.verify(full=True) == ()


def test_what_a_kill_left_undone_is_done_at_the_next_opening(tmp_path: Path):
    path = tmp_path / "index"
    with IndexStore.create(path, encoder=encoder_spec(), plan=PLAN) as store:
        add_random(store, make_scene("a"), 200)
        kept = (path / "background.npy").read_bytes()
        add_random(store, make_scene("b"), 1)
        store.remove("a.tif")
        add_random(store, make_scene("a"), 200)
        killed = tmp_path / "killed"
        shutil.copytree(path, killed)
    (killed / "background.npy").write_bytes(kept)
    with IndexStore.open(killed, writable=True) as store:
        check_background(store)
        assert store.verify(full=True) == ()


def test_closing_fails_for_nothing(tmp_path: Path):
    path = tmp_path / "index"
    store = IndexStore.create(path, encoder=encoder_spec(), plan=PLAN)
    add_random(store, make_scene("a"), 200)
    add_random(store, make_scene("b"), 1)
    shutil.rmtree(path)
    store.close()
    store.close()


# Earlier versions, lost and damaged files


def make_old(path: Path) -> None:
    """Leave the index as an earlier version did: without a background."""
    (path / "background.npy").unlink()
    entries = json.loads((path / "index.json").read_text())
    del entries["files"]["background.npy"]
    (path / "index.json").write_text(json.dumps(entries))


def test_an_index_of_an_earlier_version_gets_one_when_written_to(path: Path):
    make_old(path)
    assert verify_index(path, full=True) == ()
    with IndexStore.open(path, writable=False) as reader:
        assert reader.background() is None
        assert reader.info().background_count == 0
        with IndexStore.open(path, writable=True) as store:
            check_background(store)
        check_background(reader)
    assert verify_index(path, full=True) == ()


def test_changes_by_an_earlier_version_are_caught_up_with(path: Path):
    kept = (path / "background.npy").read_bytes()
    with IndexStore.open(path, writable=True) as store:
        store.remove("b.tif")
        add_random(store, make_scene("d"), 10, seed=5)
    (path / "background.npy").write_bytes(kept)
    problems = {finding.problem for finding in verify_index(path, full=False)}
    assert "it is a sample of what the index held before" in problems
    with IndexStore.open(path, writable=True) as store:
        check_background(store)
        assert store.verify(full=True) == ()


def test_a_lost_file_is_named_and_made_anew(path: Path):
    (path / "background.npy").unlink()
    (finding,) = verify_index(path, full=False)
    assert (finding.file, finding.problem) == ("background.npy", "it is missing")
    with IndexStore.open(path, writable=False) as reader:
        assert reader.background() is None
    with IndexStore.open(path, writable=True) as store:
        check_background(store)
        assert store.verify(full=True) == ()


def test_a_file_lost_with_all_its_scenes_is_not_missed(path: Path):
    with IndexStore.open(path, writable=True) as store:
        store.remove("*.tif")
    (path / "background.npy").unlink()
    with IndexStore.open(path, writable=True) as store:
        assert store.verify(full=True) == ()


@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
@settings(max_examples=60, deadline=None)
def test_damage_anywhere_is_found_and_stops_nothing(
    original: Path,
    tmp_path_factory: pytest.TempPathFactory,
    share: float,
    bit: int,
    cut: bool,
):
    path = tmp_path_factory.mktemp("damaged") / "index"
    shutil.copytree(original, path)
    file = path / "background.npy"
    data = bytearray(file.read_bytes())
    position = int(share * len(data))
    if cut:
        del data[position:]
    else:
        data[position] ^= 1 << bit
    file.write_bytes(data)
    query = np.ones(DIM, dtype=np.float32)
    with IndexStore.open(path, writable=False) as reader:
        reader.background()
        assert len(reader.top(query, None, 5)) == 5
        reader.info()
    assert {finding.file for finding in verify_index(path, full=True)} == {"background.npy"}
    with IndexStore.open(path, writable=True) as store:
        check_background(store)
        assert store.verify(full=True) == ()


def test_damage_is_said_once(path: Path, caplog: pytest.LogCaptureFixture):
    file = path / "background.npy"
    data = bytearray(file.read_bytes())
    data[200] ^= 1
    file.write_bytes(data)
    with IndexStore.open(path, writable=False) as reader, caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert reader.background() is None
    (record,) = caplog.records
    assert "background.npy is damaged" in record.message
    assert "hits have no confidence" in record.message


def other_contents(path: Path) -> dict[str, bytes]:
    """Files that are whole and are no background of this index."""
    arrays = list(read_arrays(path / "background.npy"))
    vectors, scales = arrays[:2]
    nan, endless, wide = vectors.copy(), vectors.copy(), scales.copy()
    nan[3, 1], endless[0, 0], wide[2] = np.nan, np.inf, np.nan
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        huge, {"descr": "<f2", "fortran_order": False, "shape": (1 << 40, DIM)}
    )
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return {
        "nan": pack([nan, *arrays[1:]]),
        "infinite": pack([endless, *arrays[1:]]),
        "no scale": pack([vectors, wide, *arrays[2:]]),
        "zero scale": pack([vectors, 0 * scales, *arrays[2:]]),
        "float32": pack([vectors.astype("<f4"), *arrays[1:]]),
        "big-endian": pack([vectors.astype(">f2"), *arrays[1:]]),
        "dim": pack([vectors[:, :-1], *arrays[1:]]),
        "count": pack([vectors[:-1], *arrays[1:]]),
        "too many": pack([np.tile(vectors, (2, 1)), np.tile(scales, 2), *arrays[2:]]),
        "columns": pack([np.asfortranarray(vectors).T, *arrays[1:]]),
        "one array": pack([vectors]),
        "none": pack([]),
        "nothing": b"",
        "text": b"hello " * 100,
        "pickled": sealed(pickled.getvalue()),
        "huge": sealed(huge.getvalue()),
        "negative": sealed(huge.getvalue().replace(b"(1099511627776,", b"(-1,           ")),
        "many": pack([np.zeros(1)] * 40),
    }


def sealed(contents: bytes) -> bytes:
    """Contents with the right checksum behind them."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([zlib.crc32(contents)], dtype="<u4"))
    return contents + buffer.getvalue()


def test_a_foreign_file_is_no_background(path: Path):
    for name, contents in other_contents(path).items():
        (path / "background.npy").write_bytes(contents)
        with IndexStore.open(path, writable=False) as reader:
            assert reader.background() is None, name
            assert reader.info().background_count == 0
        assert {finding.file for finding in verify_index(path, full=False)} == {"background.npy"}
    with IndexStore.open(path, writable=True) as store:
        check_background(store)
        assert store.verify(full=True) == ()


def test_what_only_the_writer_reads_is_checked_too(path: Path):
    file = path / "background.npy"
    vectors, scales, ids, owners, keys, scenes = read_arrays(file)
    for changed in (
        (ids.astype("S40").view("u1"), owners, keys, scenes),
        (ids, owners.astype("<i4"), keys, scenes),
        (ids, owners, keys.astype("<i8"), scenes),
        (ids[:-1], owners, keys, scenes),
        (ids, owners, keys[::-1], scenes),
        (ids, owners, keys, scenes[:, :1]),
        (ids, owners, keys, scenes[::-1]),
        (ids, owners, keys, -scenes),
        (ids[:5], owners[:5], keys[:5], scenes),
        (ids, owners, keys, scenes, scenes),
    ):
        file.write_bytes(pack([vectors, scales, *changed]))
        assert {finding.file for finding in verify_index(path, full=False)} == {"background.npy"}
        with IndexStore.open(path, writable=True) as store:
            check_background(store)


def test_vectors_of_another_index_are_found(path: Path):
    file = path / "background.npy"
    arrays = list(read_arrays(file))
    arrays[0] = np.ascontiguousarray(arrays[0][::-1])
    file.write_bytes(pack(arrays))
    with IndexStore.open(path, writable=True):
        pass  # lists it as it is: the writer does not compare vectors
    assert verify_index(path, full=False) == ()
    (finding,) = verify_index(path, full=True)
    assert finding.file == "background.npy"
    assert finding.advice.startswith("delete it")


def test_a_reserve_that_names_other_chips_is_made_anew(path: Path):
    file = path / "background.npy"
    arrays = list(read_arrays(file))
    arrays[2] = np.char.add(arrays[2], b"!")
    file.write_bytes(pack(arrays))
    with IndexStore.open(path, writable=True) as store:
        store.remove("a.tif")
        check_background(store)


def test_an_index_with_damaged_vectors_can_still_be_written_to(
    path: Path, caplog: pytest.LogCaptureFixture
):
    make_old(path)
    for vectors in (path / "segments").glob("*/vectors.faiss"):
        vectors.write_bytes(b"\xff" * vectors.stat().st_size)
    with caplog.at_level(logging.WARNING), IndexStore.open(path, writable=True) as store:
        assert store.background() is None
        assert [scene.name for scene in store.remove("a.tif")] == ["a.tif"]
    (record,) = caplog.records
    assert "background.npy is not up to date" in record.message


def test_a_background_without_its_index_is_in_the_way_of_a_new_one(path: Path, tmp_path: Path):
    (tmp_path / "new").mkdir()
    shutil.copy(path / "background.npy", tmp_path / "new")
    with pytest.raises(IndexFormatError, match=r"holds other files \(background\.npy"):
        IndexStore.create(tmp_path / "new", encoder=encoder_spec(), plan=PLAN)


def test_a_full_disk_is_no_traceback(path: Path, monkeypatch: pytest.MonkeyPatch):
    with IndexStore.open(path, writable=True) as store:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(sampling, "write_atomically", full)
        with pytest.raises(GeorclipError, match="No space left"):
            store.remove("a.tif")
        monkeypatch.undo()
    with IndexStore.open(path, writable=True) as store:
        assert "a.tif" not in {scene.name for scene in store.scenes()}
        assert store.verify(full=True) == ()


def test_the_sample_survives_its_file(path: Path):
    sample = read_sample(path / "background.npy", DIM)
    (path / "again.npy").write_bytes(pack_sample(sample))
    assert (path / "again.npy").read_bytes() == (path / "background.npy").read_bytes()
