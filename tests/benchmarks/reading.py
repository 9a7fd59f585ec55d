"""Reading alone: `ChipReader` beside a raw decode of every block, and one window read per chip.

    python -m tests.benchmarks.reading [--side 10000] [--overlaps 0,0.5] [--threads 1] [--repeats 3]

Three sides, over the same scene, in turn, with warm files:

- raw: every block of every band decoded once, in file order, by reads that are as wide as the
  scene, into memory that is used again: nothing is rendered, checked or cut.
- window: one `rasterio` read per chip, in rows of chips; nothing is rendered or checked.
- ours: every chip of `ChipReader` over the resolved plan, with its rendering, its checks for blank
  and saturated chips, its footprint and its name.

A rate is seconds for the scene; what is wanted is raw seconds : our seconds, at the same number of
threads. Chips overlap, so chips a second of one overlap do not compare with those of another.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from georclip.scenes.chips import ResolvedPlan, chip_windows, resolve_plan
from georclip.scenes.reader import ChipReader
from georclip.scenes.scene import open_scene
from georclip.values import ChipPlan, Scene
from tests.benchmarks.machine import print_machine

CHIP_PX = 224
MEMORY_BYTES = 256 * 1024 * 1024
"""What `georclip index` gives the reader of its 1 GB."""
LAYOUTS: dict[str, dict[str, object]] = {
    "512 px tiles": {"tiled": True, "blockxsize": 512, "blockysize": 512},
    "strips of 16 rows": {"tiled": False, "blockysize": 16},
}
COMPRESSIONS: dict[str, dict[str, object]] = {
    "deflate": {"compress": "deflate", "predictor": 2},
    "zstd": {"compress": "zstd", "predictor": 2},
    "jpeg": {"compress": "jpeg", "jpeg_quality": 85, "photometric": "ycbcr"},
}
_ROWS = 512
_RAW_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One kind of file.

    Attributes:
        layout: Key of `LAYOUTS`.
        compression: Key of `COMPRESSIONS`.
        dtype: numpy name; JPEG holds 8 bits only.
    """

    layout: str
    compression: str
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Seconds for one scene at one overlap, by side, of each repetition."""

    cell: Cell
    overlap: float
    threads: int
    chips: int
    raw_s: tuple[float, ...]
    window_s: tuple[float, ...]
    ours_s: tuple[float, ...]

    @property
    def wanted(self) -> float:
        """Raw seconds : our seconds, at least."""
        if self.overlap == 0:
            return 0.8
        return 0.5 if self.cell.compression == "zstd" else 0.7

    @property
    def ratio(self) -> float:
        """Raw seconds : our seconds, of the medians."""
        return statistics.median(self.raw_s) / statistics.median(self.ours_s)


def main() -> None:
    """Draw the scenes that are not there yet, read them, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--overlaps", default="0,0.5")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--layouts", default=",".join(LAYOUTS))
    parser.add_argument("--compressions", default=",".join(COMPRESSIONS))
    parser.add_argument("--dtypes", default="uint8,uint16")
    parser.add_argument("--folder", type=Path, default=Path("runs/reading"))
    asked = parser.parse_args()
    print_machine()
    print_head(asked.side)
    wanted = product(
        asked.layouts.split(","), asked.compressions.split(","), asked.dtypes.split(",")
    )
    for layout, compression, dtype in wanted:
        if compression == "jpeg" and dtype != "uint8":
            continue
        cell = Cell(layout=layout, compression=compression, dtype=dtype)
        path = scene_of(asked.folder, cell, asked.side)
        for threads in map(int, asked.threads.split(",")):
            overlaps = tuple(map(float, asked.overlaps.split(",")))
            for row in measure(path, cell, overlaps, threads=threads, repeats=asked.repeats):
                print_row(row)


def scene_of(folder: Path, cell: Cell, side_px: int) -> Path:
    """The scene of a cell, drawn where it is not there yet."""
    name = f"{side_px}_{cell.layout.replace(' ', '_')}_{cell.compression}_{cell.dtype}.tif"
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draw(path, cell, side_px)
    return path


def draw(path: Path, cell: Cell, side_px: int) -> None:
    """Write an RGB scene of 1 m pixels that compresses as imagery does, rows of tiles at a time.

    Ground of slow waves, fields and roofs with edges, and a sensor's noise. uint16 holds the same
    as reflectance times 10,000.
    """
    profile = {
        "driver": "GTiff", "width": side_px, "height": side_px, "count": 3, "dtype": cell.dtype,
        "crs": "EPSG:32631", "transform": from_origin(400_000, 5_000_000, 1, 1),
        "photometric": "rgb", "interleave": "pixel", **LAYOUTS[cell.layout],
        **COMPRESSIONS[cell.compression],
    }  # fmt: skip
    partial = path.with_suffix(".part")
    rng = np.random.default_rng(4)
    noise = rng.normal(0.0, 0.012, (3, _ROWS + 64, side_px + 64)).astype(np.float32)
    with rasterio.open(partial, "w", **profile) as target:
        for row in range(0, side_px, _ROWS):
            height = min(_ROWS, side_px - row)
            ground = _ground(rng, height, side_px)
            down, right = rng.integers(0, 64, 2)
            ground += noise[:, down : down + height, right : right + side_px]
            top, low = (255.0, 0.0) if cell.dtype == "uint8" else (4000.0, 300.0)
            values = np.clip(ground * top + low, 0, np.iinfo(cell.dtype).max)
            target.write(values.astype(cell.dtype), window=Window(0, row, side_px, height))
    partial.rename(path)


def _ground(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float32]:
    """(3, height, width), about 0.1 to 0.9: waves of three sizes, fields, roofs."""
    ground = np.full((3, height, width), 0.45, dtype=np.float32)
    for cell_px, depth in ((128, 0.25), (16, 0.08), (4, 0.04)):
        coarse = rng.uniform(-depth, depth, (3, height // cell_px + 2, width // cell_px + 2))
        ground += _enlarged(coarse.astype(np.float32), cell_px)[:, :height, :width]
    for count, side, depth in ((width // 40, 90, 0.15), (width // 8, 18, 0.3)):
        for _ in range(count * height // _ROWS):
            row, col = int(rng.integers(0, height)), int(rng.integers(0, width))
            down, across = rng.integers(side // 2, side * 2, 2)
            shade = rng.uniform(-depth, depth, (3, 1, 1)).astype(np.float32)
            ground[:, row : row + down, col : col + across] += shade
    return ground


def _enlarged(coarse: npt.NDArray[np.float32], times: int) -> npt.NDArray[np.float32]:
    """Linear interpolation along both last axes."""
    steps = (np.arange(times, dtype=np.float32) / times)[:, None]
    rows = coarse[:, :-1, None] * (1 - steps) + coarse[:, 1:, None] * steps
    rows = rows.reshape(coarse.shape[0], -1, coarse.shape[2])
    steps = steps[:, 0]
    cols = rows[:, :, :-1, None] * (1 - steps) + rows[:, :, 1:, None] * steps
    return np.asarray(cols.reshape(*rows.shape[:2], -1))


def measure(
    path: Path, cell: Cell, overlaps: Iterable[float], *, threads: int, repeats: int
) -> Iterator[Row]:
    """Read a scene on all sides in turn; the first round is not counted.

    Raises:
        RuntimeError: Chips were missing.
    """
    scene = open_scene(str(path))
    for overlap in overlaps:
        plan = ChipPlan(size=float(CHIP_PX), unit="px", overlap=overlap)
        resolved = resolve_plan(scene, plan, None, CHIP_PX)
        sides: dict[str, Callable[[], int]] = {
            "raw": lambda: raw_decode(path, threads),
            "window": lambda resolved=resolved: window_reads(path, scene, resolved, threads),
            "ours": lambda resolved=resolved: our_chips(scene, resolved, threads),
        }
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(repeats + 1):
            for name, read in sides.items():
                started = time.perf_counter()
                count = read()
                seconds[name].append(time.perf_counter() - started)
                if name != "raw" and count != resolved.chip_count:
                    raise RuntimeError(f"{name}: {count} of {resolved.chip_count} chips of {path}")
        yield Row(
            cell=cell,
            overlap=overlap,
            threads=threads,
            chips=resolved.chip_count,
            raw_s=tuple(seconds["raw"][1:]),
            window_s=tuple(seconds["window"][1:]),
            ours_s=tuple(seconds["ours"][1:]),
        )


def raw_decode(path: Path, threads: int) -> int:
    """Decode every block once; the number of reads. Each thread has a handle of its own."""
    with rasterio.open(path) as file:
        block_height = file.block_shapes[0][0]
        row_bytes = file.count * file.width * np.dtype(file.dtypes[0]).itemsize
        step = block_height * max(1, _RAW_BYTES // (row_bytes * block_height))
        windows = [
            Window(0, row, file.width, min(step, file.height - row))
            for row in range(0, file.height, step)
        ]
        shape, dtype = (file.count, step, file.width), file.dtypes[0]

    def read(share: Sequence[Window]) -> None:
        buffer = np.empty(shape, dtype=dtype)
        with rasterio.open(path) as file:
            for window in share:
                file.read(window=window, out=buffer[:, : window.height])

    _run_shares(read, windows, threads)
    return len(windows)


def window_reads(path: Path, scene: Scene, resolved: ResolvedPlan, threads: int) -> int:
    """Read every chip by itself, in rows of chips; the number of chips."""
    windows = [window for window, _ in chip_windows(scene, resolved)]

    def read(share: Sequence[object]) -> None:
        with rasterio.open(path) as file:
            for window in share:
                file.read(
                    [1, 2, 3],
                    window=Window(window.col_off, window.row_off, window.width, window.height),
                )

    _run_shares(read, windows, threads)
    return len(windows)


def our_chips(scene: Scene, resolved: ResolvedPlan, threads: int) -> int:
    """Read every chip as indexing does; the number of chips."""
    reader = ChipReader(
        scene, resolved, memory_bytes=MEMORY_BYTES, max_side_px=4 * CHIP_PX, threads=threads
    )
    return sum(1 for _ in reader) + reader.skipped.total


def _run_shares(
    read: Callable[[Sequence[Window]], None], windows: Sequence[Window], threads: int
) -> None:
    """Split windows into contiguous shares, one per thread."""
    if threads == 1:
        read(windows)
        return
    size = -(-len(windows) // threads)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, [windows[at : at + size] for at in range(0, len(windows), size)]))


def print_head(side_px: int) -> None:
    """What the figures mean."""
    print(f"{side_px} x {side_px} px RGB, chips of {CHIP_PX} px; medians (least to most).")
    print("The ratio wanted is raw seconds : our seconds for the scene, same threads on both.\n")
    print(
        "| file | threads | overlap | chips | raw s | one window a chip, s | ours s "
        "| ours, chips a second | window : ours | raw : ours | wanted |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")


def print_row(row: Row) -> None:
    """One line of the table."""
    cell = row.cell
    ours_s, window_s = statistics.median(row.ours_s), statistics.median(row.window_s)
    print(
        f"| {cell.layout}, {cell.compression}, {cell.dtype} | {row.threads} | {row.overlap:g} "
        f"| {row.chips} | {_spread(row.raw_s)} | {_spread(row.window_s)} | {_spread(row.ours_s)} "
        f"| {row.chips / ours_s:.0f} | {window_s / ours_s:.2f} | {row.ratio:.2f} | {row.wanted} |",
        flush=True,
    )


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
