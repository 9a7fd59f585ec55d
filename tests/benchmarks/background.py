"""What the index's own background costs: at each commit, made from nothing, and when it is read.

    python -m tests.benchmarks.background [--scenes 100] [--dim 512] [--small 400] [--repeats 30]

Two indexes of made chips (see `made_index`) are filled side by side, scene by scene, one as it is
and one without a background. Then the background is made from nothing, as for an index of an
earlier version, small scenes are added and large ones removed, and the file is read as a new
process reads it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from georclip.index import upkeep
from georclip.index.background import read_background
from georclip.index.store import IndexStore
from tests.benchmarks.machine import print_machine
from tests.benchmarks.made_index import SCENE_CHIPS, ClusteredVectors, create, grow
from tests.helpers_index import add_random, make_scene

_REMOVED = 10
_SMALL_CHIPS = 50


def main() -> None:
    """Fill, make anew, remove, read, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--small", type=int, default=400, help="small scenes to add")
    parser.add_argument("--folder", type=Path, default=Path("runs/background"))
    asked = parser.parse_args()
    print_machine(())
    shutil.rmtree(asked.folder, ignore_errors=True)
    try:
        fill(asked.folder, asked.scenes, asked.dim)
        change(asked.folder / "with", asked.small)
        read(asked.folder / "with" / "background.npy", asked.dim, asked.repeats)
    finally:
        shutil.rmtree(asked.folder, ignore_errors=True)


def fill(folder: Path, scenes: int, dim: int) -> None:
    """Add each scene to both indexes; what it took with a background, without, and of that."""
    vectors, keeping = ClusteredVectors(dim), Clock(upkeep.keep_background)
    walls: dict[str, list[float]] = {"with": [], "without": []}
    with create(folder / "with", dim) as one, create(folder / "without", dim) as other:
        for number in range(scenes):
            here = range(number, number + 1)
            with patch.object(upkeep, "keep_background", keeping):
                walls["with"] += grow(one, here, vectors)
            with patch.object(upkeep, "is_behind", lambda *_: False):
                walls["without"] += grow(other, here, vectors)
    ends = max(1, min(10, scenes // 2))
    print(f"adding scenes of {SCENE_CHIPS} chips, {dim} numbers each, median ms\n")
    print(f"| | first {ends} | last {ends} of {scenes} | last to first |\n|---|---|---|---|")
    for side, taken in (*walls.items(), ("the background, when written", keeping.walls)):
        first, last = statistics.median(taken[:ends]), statistics.median(taken[-ends:])
        print(f"| {side} | {1000 * first:.0f} | {1000 * last:.0f} | {last / first:.2f} |")
    print(f"\nwritten {len(keeping.walls)} times\n")


def change(path: Path, small: int) -> None:
    """Make the background from nothing, add small scenes, remove large ones."""
    (path / "background.npy").unlink()
    keeping = Clock(upkeep.keep_background)
    with patch.object(upkeep, "keep_background", keeping):
        with IndexStore.open(path, writable=True) as store:
            chips = store.info().chip_count
            print(f"made from nothing for {chips} chips: {1000 * keeping.walls.pop():.0f} ms")
            uris = [scene.uri for scene in store.scenes()][:_REMOVED]
            print(f"adding {small} scenes of {_SMALL_CHIPS} chips: {add_small(store, small)}")
            keeping.walls.clear()
            whole = statistics.mean(seconds(lambda uri=uri: store.remove(uri)) for uri in uris)
    part = sum(keeping.walls) / len(uris)
    print(f"removing a scene: mean {1000 * whole:.0f} ms, {1000 * part:.0f} of them for it")


def add_small(store: IndexStore, count: int) -> str:
    """Add small scenes, every other one with the background left as it is."""
    walls: dict[str, list[float]] = {"with": [], "without": []}
    for number in range(count):
        side = list(walls)[number % 2]
        scene = make_scene(f"small-{number}")
        judging = upkeep.is_behind if side == "with" else lambda *_: False
        with patch.object(upkeep, "is_behind", judging):
            walls[side].append(seconds(lambda s=scene: add_random(store, s, _SMALL_CHIPS)))
    return ", ".join(f"{side} {1000 * statistics.mean(w):.1f} ms" for side, w in walls.items())


def read(file: Path, dim: int, repeats: int) -> None:
    """Read the file again and again."""
    walls = [1000 * seconds(lambda: read_background(file, dim)) for _ in range(repeats)]
    print(f"reading {file.stat().st_size / 1e6:.1f} MB: {statistics.median(walls):.1f} ms")


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Clock:
    """A function whose calls are timed."""

    def __init__(self, timed: Callable[..., object]) -> None:
        self._timed = timed
        self.walls: list[float] = []

    def __call__(self, *arguments: object) -> object:
        started = time.perf_counter()
        try:
            return self._timed(*arguments)
        finally:
            self.walls.append(time.perf_counter() - started)


if __name__ == "__main__":
    main()
