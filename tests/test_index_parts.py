from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from georclip.errors import IndexCorruptError
from georclip.index import vectors as vectors_module
from georclip.index.chiptable import joined, table_digest, table_of
from georclip.index.columns import PAGE_ROWS, page_bounds
from georclip.index.hilbert import hilbert_keys, hilbert_order
from georclip.index.info import narrowest_bounds
from georclip.index.joined import JoinedVectors
from georclip.index.records import SegmentRecord, scene_matches
from georclip.index.runs import RowRuns
from georclip.index.scores import unit_fp16
from georclip.index.segments import mergeable_tail
from georclip.index.vectors import VectorSegment, write_vectors
from tests.helpers_index import DIM, draw_boxes, draw_vectors, make_chips, make_scene


def test_neighbours_on_the_curve_are_neighbours_on_the_ground():
    side = 64  # cells of a small map, each visited once, one step at a time
    lon = (np.arange(side) + 0.5) / side * 360 - 180
    lat = (np.arange(side) + 0.5) / side * 180 - 90
    grid_lon, grid_lat = (part.ravel() for part in np.meshgrid(lon, lat))
    keys = hilbert_keys(grid_lon, grid_lat)
    order = np.argsort(keys)
    columns, rows = order % side, order // side
    steps = np.abs(np.diff(columns)) + np.abs(np.diff(rows))
    assert (steps == 1).all()
    assert keys.min() >= 0
    assert keys.max() < 4**16


def test_keys_at_the_edges_of_the_map():
    lon, lat = np.array([-180.0, 180.0, 540.0, 0.0]), np.array([-90.0, 90.0, 90.0, 90.0])
    keys = hilbert_keys(lon, lat)
    assert keys[1] == keys[2]
    assert ((keys >= 0) & (keys < 4**16)).all()
    crossing = np.array([[179.0, 0.0, -179.0, 1.0], [-180.0, 0.0, -179.9, 1.0]])
    assert sorted(hilbert_order(crossing).tolist()) == [0, 1]


def test_pages_hold_their_rows():
    boxes = draw_boxes(np.random.default_rng(1), 2 * PAGE_ROWS + 10, (10, 10))
    pages = page_bounds(boxes)
    assert len(pages) == 3
    for number, page in enumerate(pages):
        rows = boxes[number * PAGE_ROWS : (number + 1) * PAGE_ROWS]
        np.testing.assert_array_equal(page[:2], rows[:, :2].min(axis=0))
        np.testing.assert_array_equal(page[2:], rows[:, 2:].max(axis=0))
    crossing = page_bounds(np.array([[179.0, 0.0, -179.0, 1.0]]))
    np.testing.assert_array_equal(crossing, [[-180.0, 0.0, 180.0, 1.0]])


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([[1, 2, 3, 4]], (1, 2, 3, 4)),
        ([[1, 2, 3, 4], [5, 0, 6, 1]], (1, 0, 6, 4)),
        ([[170, 0, 171, 1], [-171, 0, -170, 1]], (170, 0, -170, 1)),
        ([[179, 0, -179, 1]], (179, 0, -179, 1)),
        ([[179, 0, -100, 1], [-150, 0, -120, 1]], (179, 0, -100, 1)),
        ([[-180, 0, 180, 1]], (-180, 0, 180, 1)),
        ([[-180, 0, 0, 1], [0, 0, 180, 1]], (-180, 0, 180, 1)),
    ],
)
def test_narrowest_bounds(boxes, expected):
    assert narrowest_bounds(np.array(boxes, dtype=np.float64)) == expected
    assert narrowest_bounds(np.empty((0, 4))) is None


def test_a_digest_does_not_depend_on_order_and_sees_every_value():
    rng = np.random.default_rng(0)
    table = table_of(make_chips(make_scene("a"), draw_boxes(rng, 20)))
    vectors = unit_fp16(draw_vectors(rng, 20))
    order = rng.permutation(20).astype(np.int64)
    digest = table_digest(table, vectors)
    assert table_digest(table.take(order), vectors[order]) == digest
    assert table_digest(table, vectors[order]) != digest
    halves = [table.take(np.arange(0, 7)), table.take(np.arange(7, 20))]
    parts = table_digest(halves[0], vectors[:7]) + table_digest(halves[1], vectors[7:])
    assert parts % (1 << 256) == digest
    assert table_digest(joined(halves), vectors) == digest


def test_joined_vectors_take_from_every_part():
    parts = [draw_vectors(np.random.default_rng(n), n, 4).astype(np.float16) for n in (3, 0, 5, 1)]
    vectors = JoinedVectors(parts, 4)
    order = np.array([8, 0, 3, 3, 7, 2], dtype=np.int64)
    np.testing.assert_array_equal(vectors.take(order), np.concatenate(parts)[order])
    assert len(vectors) == 9
    assert vectors.take(np.empty(0, dtype=np.int64)).shape == (0, 4)


def test_no_flipped_bit_in_a_header_changes_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(vectors_module, "_GATHER_ROWS", 0)
    stored = unit_fp16(draw_vectors(np.random.default_rng(0), 50))
    file = tmp_path / "vectors.faiss"
    write_vectors(file, iter([stored]), DIM)
    data = file.read_bytes()
    query, rows = np.full(DIM, DIM**-0.5, dtype=np.float32), RowRuns.span(0, 50)
    best = VectorSegment(file, count=50, dim=DIM).best(query, rows, 5)
    refused = 0
    for position in range(len(data) - stored.nbytes):
        file.unlink()  # what is mapped must not change
        file.write_bytes(data[:position] + bytes([data[position] ^ 0x04]) + data[position + 1 :])
        try:
            found = VectorSegment(file, count=50, dim=DIM).best(query, rows, 5)
        except IndexCorruptError:
            refused += 1
        else:
            np.testing.assert_array_equal(found, best)
    assert refused > 30


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_merging_keeps_segments_few_and_rows_in_order(commits: list[int]):
    segments: list[SegmentRecord] = []
    written = next_row = 0
    for number, count in enumerate(commits):
        tail = mergeable_tail(segments, count, next_row, dim=8)
        first = tail[0].first_row if tail else next_row
        del segments[len(segments) - len(tail) :]
        next_row += count
        written += next_row - first
        segments.append(
            SegmentRecord(number=number, first_row=first, row_count=next_row - first, files=())
        )
        assert [s.end_row for s in segments[:-1]] == [s.first_row for s in segments[1:]]
    assert len(segments) <= 2 + np.log2(next_row)
    assert written <= next_row * (3 + np.log2(next_row))


def test_only_neighbouring_segments_are_merged():
    gap = SegmentRecord(number=1, first_row=0, row_count=5, files=())
    assert mergeable_tail([gap], 10, 5, dim=8) == (gap,)
    assert mergeable_tail([gap], 10, 6, dim=8) == ()


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("2019/*.tif", True),
        ("./2019/a.tif", True),
        ("*/2019/*", True),
        ("a.tif", True),
        ("2020/*.tif", False),
        ("19/*.tif", False),
    ],
)
def test_a_relative_glob_is_seen_from_the_current_folder(
    pattern: str, matches: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "disk [1]"
    folder.mkdir()
    monkeypatch.chdir(folder)
    scene = make_scene("a", str(folder / "2019" / "a.tif"))
    assert scene_matches(pattern, scene) is matches
