"""The benchmarks of reading, on scenes of a few blocks."""

import numpy as np
import rasterio

from tests.benchmarks import overviews, reading
from tests.benchmarks.reading import COMPRESSIONS, LAYOUTS, Cell


def test_scenes_are_drawn_and_read_on_all_sides(tmp_path, capsys):
    for number, (compression, dtype) in enumerate(
        [("deflate", "uint8"), ("zstd", "uint16"), ("jpeg", "uint8")]
    ):
        cell = Cell(layout=list(LAYOUTS)[number % 2], compression=compression, dtype=dtype)
        path = reading.scene_of(tmp_path, cell, 700)
        drawn = path.stat().st_mtime_ns
        assert reading.scene_of(tmp_path, cell, 700).stat().st_mtime_ns == drawn
        with rasterio.open(path) as file:
            values = file.read()
            assert file.compression.name.lower() == compression
            assert file.profile["tiled"] == ("tiles" in cell.layout)
        assert values.std() > 10
        assert values.nbytes / path.stat().st_size > 1.3  # as imagery, it compresses
        (row,) = reading.measure(path, cell, [0.5], threads=1 + number % 2, repeats=2)
        assert row.chips > 20
        assert len(row.raw_s) == len(row.window_s) == len(row.ours_s) == 2
        assert row.wanted == (0.5 if compression == "zstd" else 0.7)
        reading.print_row(row)
    assert capsys.readouterr().out.count("| 0.5 |") >= len(COMPRESSIONS)


def test_raw_decode_reads_every_row_once(tmp_path, monkeypatch):
    cell = Cell(layout="512 px tiles", compression="zstd", dtype="uint8")
    path = reading.scene_of(tmp_path, cell, 1100)
    monkeypatch.setattr(reading, "_RAW_BYTES", 1)
    seen = np.zeros(1100, dtype=int)

    def note(read, windows, threads):
        for window in windows:
            seen[window.row_off : window.row_off + window.height] += 1
        read(windows)

    monkeypatch.setattr(reading, "_run_shares", note)
    assert reading.raw_decode(path, 1) == 3
    assert (seen == 1).all()


def test_overviews_are_measured_beside_none(tmp_path):
    cell = Cell(layout="512 px tiles", compression="deflate", dtype="uint8")
    plain = reading.scene_of(tmp_path, cell, 600)
    other = overviews.with_overviews(plain)
    with rasterio.open(other) as file:
        assert file.overviews(1) == [2, 4, 8]
    rows = list(overviews.measure(plain, other, repeats=1, tower_px=16))
    assert [row.factor for row in rows] == [2, 4, 8]
    assert all(row.chips >= 4 for row in rows)
