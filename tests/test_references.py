from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from georclip.errors import EncoderMismatchError, GeorclipError
from georclip.index.arrayfile import pack
from georclip.index.store import IndexStore, verify_index
from tests.helpers_index import (
    DIM,
    PLAN,
    add_random,
    draw_vectors,
    encoder_spec,
    make_scene,
    without_syncing,
)

LABELS = ("a photo", "an image", "a picture")
VECTORS = draw_vectors(np.random.default_rng(1), 3)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch):
    without_syncing(monkeypatch)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "index"
    with pytest.MonkeyPatch.context() as patch:
        without_syncing(patch)
        with IndexStore.create(path, encoder=encoder_spec(), plan=PLAN) as store:
            add_random(store, make_scene("a"), 30)
            store.keep_reference("neutral", LABELS, VECTORS, made_from="bank 1")
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "index")
    return tmp_path / "index"


def listed(path: Path) -> dict:
    return json.loads((path / "index.json").read_text())["files"]


def test_a_set_is_kept_and_replaced(path: Path):
    assert "references/neutral.npy" in listed(path)
    assert verify_index(path, full=True) == ()
    with IndexStore.open(path, writable=False) as reader:
        first = reader.reference("neutral")
        assert first is not None
        assert first is reader.reference("neutral")
        assert (first.labels, first.made_from) == (LABELS, "bank 1")
        np.testing.assert_allclose(first.vectors, VECTORS, atol=1e-7)
        assert reader.reference("nothing") is None
        with IndexStore.open(path, writable=True) as store:
            store.keep_reference("neutral", ["more"], 5 * VECTORS[:1], made_from="bank 2")
            store.keep_reference("nothing", ["black"], VECTORS[1:2], made_from="drawn")
        second, nothing = reader.reference("neutral"), reader.reference("nothing")
    assert second is not None and nothing is not None
    assert (second.labels, second.made_from) == (("more",), "bank 2")
    np.testing.assert_allclose(second.vectors, VECTORS[:1], atol=1e-6)
    assert nothing.vectors.dtype == np.float32
    assert verify_index(path, full=True) == ()


def test_sets_outlive_changes_of_the_index(path: Path):
    with IndexStore.open(path, writable=True) as store:
        add_random(store, make_scene("b"), 30)
        store.remove("a.tif")
        store.compact()
        assert store.reference("neutral") is not None
        assert store.verify(full=True) == ()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../neutral", "a/b", "a\\b", "/etc/passwd", "A", "1", "-a", "a.b", "a\n", "é",
     "a" * 33, "a\0"],
)  # fmt: skip
def test_a_name_is_never_a_path(path: Path, name: str):
    with IndexStore.open(path, writable=True) as store:
        with pytest.raises(GeorclipError, match="cannot name a set of vectors"):
            store.reference(name)
        with pytest.raises(GeorclipError, match="cannot name a set of vectors"):
            store.keep_reference(name, LABELS, VECTORS, made_from="x")


def test_vectors_that_do_not_fit(path: Path):
    with IndexStore.open(path, writable=True) as store:
        for vectors in (VECTORS[:, :-1], VECTORS[0], np.zeros((3, DIM + 1))):
            with pytest.raises(EncoderMismatchError, match="do not fit an index of 8 numbers"):
                store.keep_reference("neutral", LABELS, vectors, made_from="x")
        for labels, vectors in ((LABELS[:2], VECTORS), ((), VECTORS[:0])):
            with pytest.raises(GeorclipError, match="cannot name"):
                store.keep_reference("neutral", labels, vectors, made_from="x")
        many = np.tile(VECTORS, (342, 1))  # 1,026
        with pytest.raises(GeorclipError, match="at most 1,024"):
            store.keep_reference("neutral", LABELS * 342, many, made_from="x")
        for value in (0.0, np.nan, np.inf):
            with pytest.raises(GeorclipError, match="zero or not finite"):
                store.keep_reference("neutral", LABELS, VECTORS * value, made_from="x")
        kept = store.reference("neutral")
        assert kept is not None and kept.made_from == "bank 1"
    with IndexStore.open(path, writable=False) as reader:
        with pytest.raises(GeorclipError, match="open for reading only"):
            reader.keep_reference("neutral", LABELS, VECTORS, made_from="x")


def packed(entry: object, vectors: np.ndarray = VECTORS) -> bytes:
    text = json.dumps(entry).encode()
    return pack([vectors.astype("<f4"), np.frombuffer(text, dtype=np.uint8)])


WHOLE = {"labels": list(LABELS), "made_from": "x"}
FOREIGN = {
    "no labels": packed({"made_from": "x"}),
    "no origin": packed({"labels": list(LABELS)}),
    "too few labels": packed({**WHOLE, "labels": ["one"]}),
    "a text for labels": packed({**WHOLE, "labels": "abc"}),
    "a list": packed([1, 2]),
    "deep": pack([VECTORS, np.frombuffer(b"[" * 100_000, dtype=np.uint8)]),
    "no json": pack([VECTORS, np.frombuffer(b"\xff{", dtype=np.uint8)]),
    "none": packed({**WHOLE, "labels": []}, VECTORS[:0]),
    "too many": packed({**WHOLE, "labels": LABELS * 342}, np.tile(VECTORS, (342, 1))),
    "nan": packed(WHOLE, VECTORS * np.nan),
    "long": packed(WHOLE, VECTORS * 2),
    "dim": packed(WHOLE, VECTORS[:, :3]),
    "float64": pack([VECTORS.astype("<f8"), np.zeros(3, dtype=np.uint8)]),
    "one array": pack([VECTORS]),
    "flat": packed(WHOLE, VECTORS[0]),
    "not a file of arrays": b"abc",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_damaged_set_is_said_once_named_and_taken_away(
    path: Path, name: str, caplog: pytest.LogCaptureFixture
):
    (path / "references" / "neutral.npy").write_bytes(FOREIGN[name])
    with caplog.at_level(logging.WARNING), IndexStore.open(path, writable=False) as reader:
        for _ in range(2):
            assert reader.reference("neutral") is None
    assert len(caplog.records) == 1
    assert "references/neutral.npy is damaged" in caplog.text
    (finding,) = verify_index(path, full=False)
    assert finding.file == "references/neutral.npy"
    with IndexStore.open(path, writable=True) as store:
        assert store.verify(full=True) == ()
        assert store.reference("neutral") is None
    assert "references/neutral.npy" not in listed(path)


def test_a_flipped_bit_is_found(path: Path):
    file = path / "references" / "neutral.npy"
    whole = file.read_bytes()
    for position in range(0, len(whole), 7):
        data = bytearray(whole)
        data[position] ^= 4
        file.write_bytes(data)
        assert [f.file for f in verify_index(path, full=True)] == ["references/neutral.npy"]


def test_texts_of_a_foreign_index_reach_no_terminal(path: Path):
    entry = {"labels": ["\x1b[2Jgone", "港", "a\nb"], "made_from": "x\x07"}
    (path / "references" / "neutral.npy").write_bytes(packed(entry))
    with IndexStore.open(path, writable=False) as reader:
        found = reader.reference("neutral")
    assert found is not None
    assert (found.labels, found.made_from) == (("?[2Jgone", "港", "a?b"), "x?")


def test_what_a_killed_writer_left_is_put_right(path: Path):
    entries = json.loads((path / "index.json").read_text())
    del entries["files"]["references/neutral.npy"]
    entries["files"]["references/lost.npy"] = {"bytes": 4, "sha256": "0" * 64}
    (path / "index.json").write_text(json.dumps(entries))
    (path / "references" / "other.npy.tmp").write_bytes(b"half")
    (path / "references" / "notes.txt").write_text("mine")
    assert {f.file for f in verify_index(path, full=False)} == {
        "references/neutral.npy",
        "references/lost.npy",
        "references/other.npy.tmp",
        "references/notes.txt",
    }
    with IndexStore.open(path, writable=True) as store:
        assert store.reference("neutral") is not None
        assert [finding.file for finding in store.verify(full=True)] == ["references/notes.txt"]
