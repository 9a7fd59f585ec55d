"""What a fixed place costs as an index grows: 1, 5 and 10 million made chips, mapped from disk.

    python -m tests.benchmarks.growth [--millions 1,5,10] [--dim 512] [--repeats 60]

The same index is filled further each time (13 GB at ten millions of 512) and asked by a new
process: opening it, then boxes that keep about 1,000 and 10,000 chips of the first million, with
questions that were not asked before. It is not compacted: scenes come in order of their places.
Resident memory is the process's own behind all questions, mapped pages of the files included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import shapely

from georclip.index.store import IndexStore
from tests.benchmarks.machine import print_machine, run
from tests.benchmarks.made_index import (
    ORIGIN,
    SCENE_CHIPS,
    SCENES_ACROSS,
    SIDE,
    STEP_DEGREES,
    ClusteredVectors,
    create,
    grow,
)

_MILLION_SCENES = 1_000_000 // SCENE_CHIPS
_SIDES = {1_000: 31, 10_000: 99}
"""Steps between chips along a box that keeps about so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a new process saw.

    Attributes:
        open_ms: To open the index, modules loaded before.
        small_ms: Median of a question in a box of about 1,000 chips.
        large_ms: The same, 10,000 chips.
        small_rows: Chips in such a box, median.
        large_rows: The same, 10,000 chips.
        resident_mb: Memory of the process behind all questions.
        private_mb: The same without pages of files.
    """

    open_ms: float
    small_ms: float
    large_ms: float
    small_rows: float
    large_rows: float
    resident_mb: float
    private_mb: float


def main() -> None:
    """Fill and ask, step by step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", default="1,5,10")
    parser.add_argument("--scenes-per-million", type=int, default=_MILLION_SCENES)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=Path("runs/growth"))
    parser.add_argument("--ask", action="store_true", help="what the new process does")
    asked = parser.parse_args()
    scenes = asked.scenes_per_million
    if asked.ask:
        print(json.dumps(asdict(ask(asked.folder, scenes, asked.dim, asked.repeats))))
        return
    print_machine()
    print(
        "| chips | opening, ms | ~1,000 kept, ms | ~10,000 kept, ms | resident, MB | private, MB |"
    )
    print("|---|---|---|---|---|---|", flush=True)
    vectors, filled, first = ClusteredVectors(asked.dim), 0, None
    for millions in map(int, asked.millions.split(",")):
        store = IndexStore.open(asked.folder, writable=True) if filled else None
        with store or create(asked.folder, asked.dim) as open_store:
            grow(open_store, range(filled, millions * scenes), vectors)
        filled = millions * scenes
        done = run(
            [sys.executable, "-m", "tests.benchmarks.growth", "--ask", "--folder",
             str(asked.folder), "--dim", str(asked.dim), "--repeats", str(asked.repeats),
             "--scenes-per-million", str(scenes)]
        )  # fmt: skip
        now = Asked(**json.loads(done.stdout))
        first = first or now
        print(
            f"| {filled * SCENE_CHIPS} | {now.open_ms:.1f} "
            f"| {now.small_ms:.2f} ({now.small_ms / first.small_ms:.2f} x; {now.small_rows:.0f}) "
            f"| {now.large_ms:.2f} ({now.large_ms / first.large_ms:.2f} x; {now.large_rows:.0f}) "
            f"| {now.resident_mb:.0f} | {now.private_mb:.0f} |",
            flush=True,
        )


def ask(folder: Path, scenes: int, dim: int, repeats: int) -> Asked:
    """Open an index and ask it about places in its first scenes."""
    queries = ClusteredVectors(dim).questions(2 * repeats)
    started = time.perf_counter()
    with IndexStore.open(folder, writable=False) as store:
        open_ms = 1000 * (time.perf_counter() - started)
        rng = np.random.default_rng(5)
        walls: dict[int, list[float]] = {}
        rows: dict[int, list[int]] = {}
        for chips, steps in _SIDES.items():
            side = steps * STEP_DEGREES
            for number in range(2 * repeats):
                west = ORIGIN[0] + rng.uniform(0, SIDE * STEP_DEGREES * SCENES_ACROSS / 2)
                south = ORIGIN[1] + rng.uniform(
                    0, max(scenes // SCENES_ACROSS, 1) * SIDE * STEP_DEGREES - side
                )
                box = shapely.box(west, south, west + side, south + side)
                started = time.perf_counter()
                with store.snapshot():
                    selection = store.select(aoi=box)
                    store.top(queries[number], selection.runs, 10)
                if number >= repeats:  # the first half brings files into memory
                    walls.setdefault(chips, []).append(1000 * (time.perf_counter() - started))
                    rows.setdefault(chips, []).append(len(selection))
    return Asked(
        open_ms=open_ms,
        small_ms=statistics.median(walls[1_000]),
        large_ms=statistics.median(walls[10_000]),
        small_rows=statistics.median(rows[1_000]),
        large_rows=statistics.median(rows[10_000]),
        resident_mb=_status("VmRSS"),
        private_mb=_status("RssAnon"),
    )


def _status(field: str) -> float:
    """Megabytes, as Linux counts them for this process; not-a-number elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    main()
