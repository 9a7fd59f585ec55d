"""Large selections: in threads, by way of lists, and many questions at once."""

from __future__ import annotations

import gc
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest

from georclip.errors import EncoderMismatchError, IndexCorruptError, QueryError
from georclip.index import batch, scanning, segments
from georclip.index import vectors as vectors_module
from georclip.index.columns import SegmentColumns
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
    monkeypatch.setattr(scanning, "LEAST_LISTED", 500)
    monkeypatch.setattr(segments, "LEAST_LISTED", 500)
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


def test_rows_behind_the_sure_ones_come_of_the_same_candidates(
    large: IndexStore, monkeypatch: pytest.MonkeyPatch
):
    queries = clustered(np.random.default_rng(7), 60)
    asked = []
    candidates = vectors_module.InvertedFile.candidates

    def counted(self, query, positions, k):
        asked.append(k)
        return candidates(self, query, positions, k)

    monkeypatch.setattr(vectors_module.InvertedFile, "candidates", counted)
    more = [large.top(query, None, 40, sure=10) for query in queries]
    assert set(asked) == {10}
    exact = [large.top(query, None, 40, exact=True) for query in queries]
    assert [one[:10] for one in more] == [large.top(query, None, 10) for query in queries]
    assert all(len(one) == 40 for one in more)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(exact, more, strict=True)]) >= 38
    asked.clear()
    large.top(queries[0], None, 200, sure=10)
    assert set(asked) == {29}  # a seventh, however few are to be sure


def test_probing_widens_until_a_filter_is_satisfied(
    large: IndexStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(vectors_module, "_PROBED_SHARE", 1e-9)
    monkeypatch.setattr(scanning, "LISTED_ROWS", 10)
    monkeypatch.setattr(scanning, "LEAST_LISTED", 10)
    rows = np.sort(np.random.default_rng(3).choice(large.select().rows, 120, replace=False))
    query = clustered(np.random.default_rng(4), 1)[0]
    answer = large.top(query, rows, 100)
    assert answer == large.top(query, rows, 100, exact=True)
    assert {row for row, _ in answer} <= set(rows.tolist())


@pytest.mark.parametrize("share", [1, 37, 3_999])
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
    monkeypatch.setattr(batch, "QUESTIONS", 20)
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


@pytest.mark.parametrize("left_over", [1, 2, 3, 60])
def test_a_last_segment_of_few_rows_can_be_compacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_over: int
):
    monkeypatch.setattr("georclip.index.changes.LISTED_ROWS", 100)
    monkeypatch.setattr(segments, "_SEGMENT_BYTES", 2 * DIM * 1_024)
    rng = np.random.default_rng(0)
    for least in (1, 50):
        monkeypatch.setattr(segments, "LEAST_LISTED", least)
        folder = tmp_path / f"{least}"
        with IndexStore.create(folder, encoder=encoder_spec(DIM), plan=ChipPlan()) as store:
            count = 1_024 + left_over
            add(store, make_scene("a"), draw_boxes(rng, count), clustered(rng, count), batch=512)
            store.compact()
            assert len(lists_of(store)) == (2 if left_over >= least else 1)
            assert len(store.top(clustered(rng, 1)[0], None, 5)) == 5


def test_equal_chips_are_told_apart_by_name_though_lists_were_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for room in (segments, scanning):
        monkeypatch.setattr(room, "LISTED_ROWS", 100)
        monkeypatch.setattr(room, "LEAST_LISTED", 100)
    monkeypatch.setattr("georclip.index.changes.LISTED_ROWS", 100)
    monkeypatch.setattr(scanning, "_LEAST_SCORED", 20)
    monkeypatch.setattr(scanning, "_SCORED_PER_HIT", 1)
    rng = np.random.default_rng(0)
    with IndexStore.create(tmp_path / "i", encoder=encoder_spec(DIM), plan=ChipPlan()) as store:
        same = np.repeat(draw_vectors(rng, 1, DIM), 900, axis=0)
        add(store, make_scene("a"), draw_boxes(rng, 900), same, batch=512)
        store.compact()
        assert lists_of(store)
        assert store.top(same[0], None, 5) == store.top(same[0], None, 5, exact=True)


def write_foreign_lists(file: Path, harm: str, count: int) -> None:
    """An inverted file that FAISS reads, and that is not what the segment's must be."""
    lists = 10
    inner = {
        "centres of another length": faiss.IndexFlatIP(DIM * 2),
        "too many centres": faiss.IndexFlatIP(DIM),
        "no centres": faiss.IndexFlatIP(DIM),
        "centres of another kind": faiss.IndexHNSWFlat(DIM, 8, faiss.METRIC_INNER_PRODUCT),
    }.get(harm, faiss.IndexFlatIP(DIM))
    bits = 1 if harm == "codes of one bit" else 2
    metric = faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexIVFRaBitQ(faiss.IndexFlatIP(DIM), DIM, lists, metric, True, bits)
    index.cp.min_points_per_centroid = 1
    vectors = clustered(np.random.default_rng(1), count)
    index.train(vectors)
    ids = np.arange(count) + (count if harm == "ids beyond" else 0)
    if harm == "ids twice":
        ids[:] = 3
    index.add_with_ids(
        vectors[: -5 if harm == "lists lack rows" else None],
        ids[: len(vectors)][: -5 if harm == "lists lack rows" else None],
    )
    if harm == "lists lack rows":
        index.ntotal = count
    centres = faiss.downcast_index(index.quantizer)
    if harm == "centres not finite":
        broken = centres.reconstruct_n(0, lists)
        broken[3] = np.nan
        centres.reset()
        centres.add(broken)
    elif harm in ("too many centres", "centres of another length", "centres of another kind"):
        inner.add(draw_vectors(np.random.default_rng(2), lists + 5 * (harm[0] == "t"), inner.d))
        index.quantizer, index.own_fields = inner, False
    elif harm == "no centres":
        centres.reset()
    faiss.write_index(index, str(file))


@pytest.mark.parametrize(
    "harm",
    ["centres of another length", "too many centres", "no centres", "centres of another kind",
     "centres not finite", "codes of one bit", "lists lack rows", "ids beyond", "ids twice"],
)  # fmt: skip
def test_lists_that_are_not_the_segments_are_refused(large: IndexStore, harm: str):
    record = large._view.segments[0].record
    file = large.path / "segments" / f"{record.number:06d}" / "inverted.faiss"
    write_foreign_lists(file, harm, record.row_count)
    size = file.stat().st_size
    with sqlite3.connect(large.path / "catalog.sqlite") as db:
        db.execute(
            "UPDATE segment_files SET bytes = ? WHERE name LIKE ?",
            (size, f"%{record.number:06d}/inverted.faiss"),
        )
    db.close()
    with IndexStore.open(large.path, writable=False) as reader:
        with pytest.raises(IndexCorruptError, match=r"inverted\.faiss is damaged"):
            reader.top(clustered(np.random.default_rng(0), 1)[0], None, 5)


def test_columns_with_any_damaged_header_are_refused_in_one_line(large: IndexStore):
    file = next(large.path.glob("segments/*/bounds.npy"))
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, 128, 3).tolist():
            data[place] = int(rng.integers(0, 256))
        file.write_bytes(data)
        columns = SegmentColumns(file.parent, count=2_000)
        try:
            columns.check()
        except IndexCorruptError:
            refused += 1
    assert refused > 200


def test_rows_that_are_no_rows_are_refused(large: IndexStore):
    query = clustered(np.random.default_rng(0), 1)[0]
    for rows in (np.ones(5, dtype=bool), np.ones((2, 2), dtype=np.int64), np.array([1.5])):
        with pytest.raises(QueryError, match="rows are whole numbers"):
            large.top(query, rows, 3)


def test_closing_lets_every_file_go(large: IndexStore):
    with IndexStore.open(large.path, writable=False) as reader:
        reader.top(np.ones(DIM, dtype=np.float32), None, 5)
        held = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
        assert any("vectors.faiss" in name for name in held)
        large.close()
    gc.collect()
    left = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    assert not [name for name in left if str(large.path) in name]


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
