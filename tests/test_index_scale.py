"""Large selections: in threads, by way of lists, and many questions at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from georclip.errors import EncoderMismatchError, IndexCorruptError, QueryError
from georclip.index import batch, scanning, segments
from georclip.index import vectors as vectors_module
from georclip.index.store import IndexStore, verify_index
from georclip.values import ChipPlan
from tests.helpers_index import add, draw_boxes, draw_vectors, encoder_spec, make_scene

COUNT, DIM = 6_000, 16


def clustered(rng: np.random.Generator, count: int) -> np.ndarray:
    centres = draw_vectors(np.random.default_rng(9), 40, DIM)
    rows = centres[rng.integers(0, 40, count)] + 0.4 * draw_vectors(rng, count, DIM)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexStore]:
    """An index of several segments that counts as large, compacted, with rows removed since."""
    monkeypatch.setattr(segments, "LISTED_ROWS", 2_000)
    monkeypatch.setattr("georclip.index.changes.LISTED_ROWS", 2_000)
    monkeypatch.setattr(scanning, "LISTED_ROWS", 2_000)
    monkeypatch.setattr(scanning, "_LISTED_SHARE", 500)
    monkeypatch.setattr(scanning, "_SHARED_ROWS", 1_000)
    monkeypatch.setattr(segments, "_SEGMENT_BYTES", 2 * DIM * 2_000)
    rng = np.random.default_rng(0)
    with IndexStore.create(tmp_path / "i", encoder=encoder_spec(DIM), plan=ChipPlan()) as store:
        for number in range(4):
            boxes = draw_boxes(rng, COUNT // 4, (10.0 + 3 * number, 50.0))
            add(store, make_scene(f"{number}"), boxes, clustered(rng, COUNT // 4), batch=512)
        store.compact()
        store.remove("2.tif")
        yield store


def lists_of(store: IndexStore) -> list[Path]:
    return sorted((store.path / "segments").glob("*/inverted.faiss"))


def test_compact_makes_lists_only_of_a_large_index(large: IndexStore, tmp_path: Path):
    assert len(lists_of(large)) == 3
    assert verify_index(large.path, full=True) == ()
    with IndexStore.create(tmp_path / "s", encoder=encoder_spec(DIM), plan=ChipPlan()) as small:
        rng = np.random.default_rng(1)
        add(small, make_scene("a"), draw_boxes(rng, 1_500), clustered(rng, 1_500), batch=512)
        small.compact()
        assert lists_of(small) == []


def test_lists_find_what_a_scan_finds_and_scores_are_exact(
    large: IndexStore, monkeypatch: pytest.MonkeyPatch
):
    queries = clustered(np.random.default_rng(2), 60)
    exact = [large.top(query, None, 10, exact=True) for query in queries]
    near = [large.top(query, None, 10) for query in queries]
    shared = [len(set(a) & set(b)) for a, b in zip(exact, near, strict=True)]
    assert np.mean(shared) >= 9.9  # (row, score) pairs: what is found scores the same
    monkeypatch.setattr(vectors_module, "_PROBED_SHARE", 1e-9)
    monkeypatch.setattr(vectors_module, "_LEAST_CANDIDATES", 1)
    monkeypatch.setattr(vectors_module, "_CANDIDATES_PER_HIT", 1)
    few = [large.top(query, None, 10) for query in queries]
    assert few != exact  # lists were asked
    assert all(len(answer) == 10 for answer in few)


def test_probing_widens_until_a_filter_is_satisfied(
    large: IndexStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(vectors_module, "_PROBED_SHARE", 1e-9)
    monkeypatch.setattr(scanning, "LISTED_ROWS", 10)
    monkeypatch.setattr(scanning, "_LISTED_SHARE", 10)
    rows = np.sort(np.random.default_rng(3).choice(large.select().rows, 120, replace=False))
    query = clustered(np.random.default_rng(4), 1)[0]
    answer = large.top(query, rows, 100)
    assert answer == large.top(query, rows, 100, exact=True)
    assert {row for row, _ in answer} <= set(rows.tolist())


@pytest.mark.parametrize("share", [1, 37, 5_000])
def test_threads_and_one_core_bring_the_same(
    large: IndexStore, monkeypatch: pytest.MonkeyPatch, share: int
):
    rng = np.random.default_rng(5)
    rows = np.sort(rng.choice(large.select().rows, 4_000, replace=False))
    query = clustered(rng, 1)[0]
    monkeypatch.setattr(scanning, "_SHARED_ROWS", share)
    large._scanner._threads = 3
    together = large.top(query, rows, 50, exact=True)
    large._scanner._threads = 1
    assert large.top(query, rows, 50, exact=True) == together
    vectors = large.vectors(rows)
    expected = np.sort(vectors @ query)[::-1][:50]
    np.testing.assert_allclose([score for _, score in together], expected, atol=1e-6)


@pytest.mark.parametrize("k", [1, 10, 200])
def test_many_questions_at_once_are_answered_as_each_alone(
    large: IndexStore, monkeypatch: pytest.MonkeyPatch, k: int
):
    monkeypatch.setattr(batch, "_QUESTIONS", 20)
    monkeypatch.setattr(batch, "_ROWS", 700)
    queries = 3 * clustered(np.random.default_rng(6), 50)  # of any length
    rows = np.random.default_rng(7).permutation(large.select().rows)[:3_000]
    alone = [large.top(query, rows, k, exact=True) for query in queries]
    assert large.top_many(queries, rows, k) == alone
    everything = [large.top(query, None, k, exact=True) for query in queries[:5]]
    assert large.top_many(queries[:5], None, k) == everything


def test_equal_chips_are_told_apart_by_name_in_a_batch_too(tmp_path: Path):
    with IndexStore.create(tmp_path / "i", encoder=encoder_spec(DIM), plan=ChipPlan()) as store:
        rng = np.random.default_rng(0)
        same = np.repeat(draw_vectors(rng, 1, DIM), 900, axis=0)
        add(store, make_scene("a"), draw_boxes(rng, 900), same, batch=512)
        (answer,) = store.top_many(same[:1], None, 5)
        assert answer == store.top(same[0], None, 5)
        ids = [chip.chip_id for chip, _ in store.fetch([row for row, _ in answer])]
        assert ids == sorted(ids)
        assert ids[0].endswith("-000000")


def test_a_batch_of_none_or_of_wrong_questions(large: IndexStore):
    good = clustered(np.random.default_rng(8), 2)
    assert large.top_many(good[:0], None, 5) == []
    assert large.top_many(good, np.empty(0, dtype=np.int64), 5) == [[], []]
    with pytest.raises(QueryError, match="k must be at least 1"):
        large.top_many(good, None, 0)
    with pytest.raises(QueryError, match="zero or not finite"):
        large.top_many(np.zeros((1, DIM), dtype=np.float32), None, 5)
    with pytest.raises(EncoderMismatchError):
        large.top_many(good[:, :-1], None, 5)


@pytest.mark.parametrize("harm", ["of another kind", "blank head", "blank middle"])
def test_damaged_lists_are_no_traceback(large: IndexStore, harm: str):
    file = lists_of(large)[0]
    data = bytearray(file.read_bytes())
    if harm == "blank middle":
        data[64:400] = bytes(336)
    elif harm == "of another kind":
        data[:4] = b"IxFI"
    else:
        data[:64] = bytes(64)
    file.write_bytes(data)
    query = clustered(np.random.default_rng(0), 1)[0]
    with IndexStore.open(large.path, writable=False) as reader:
        with pytest.raises(IndexCorruptError, match=r"inverted\.faiss is damaged"):
            reader.top(query, None, 5)
        assert len(reader.top(query, None, 5, exact=True)) == 5
    assert verify_index(large.path, full=False)


def test_files_are_opened_when_they_are_read(large: IndexStore):
    for file in large.path.glob("segments/*/bounds.npy"):
        file.rename(file.with_suffix(".away"))
    with pytest.raises(IndexCorruptError, match=r"bounds\.npy is missing"):
        IndexStore.open(large.path, writable=False)
    for file in large.path.glob("segments/*/bounds.away"):
        file.rename(file.with_suffix(".npy"))
    with IndexStore.open(large.path, writable=False) as reader:
        for file in large.path.glob("segments/*/vectors.faiss"):
            file.unlink()
        with pytest.raises(IndexCorruptError, match=r"vectors\.faiss is missing"):
            reader.top(np.ones(DIM, dtype=np.float32), None, 5)


def test_rows_of_before_a_compact_are_refused_in_one_line(large: IndexStore):
    with IndexStore.open(large.path, writable=False) as reader:
        rows = reader.select().rows
        large.compact()
        from georclip.errors import GeorclipError

        with pytest.raises(GeorclipError, match="ask again"):
            reader.top(np.ones(DIM, dtype=np.float32), rows, 5)
        assert len(reader.top(np.ones(DIM, dtype=np.float32), None, 5)) == 5


def test_compact_says_how_far_it_is(large: IndexStore):
    told: list[tuple[int, int]] = []
    large.compact(lambda done, total: told.append((done, total)))
    assert told[0] == (0, COUNT * 3 // 4)
    assert told[-1] == (COUNT * 3 // 4, COUNT * 3 // 4)
    assert told == sorted(told)
