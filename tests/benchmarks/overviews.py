"""Chips coarser than the scene: `ChipReader` over a scene with overviews and one without.

    python -m tests.benchmarks.overviews [--side 10000] [--repeats 3]

Chips of 1,792, 3,584 and 7,168 px are handed out at 896 px a side, decimated by 2, 4 and 8. The
overviews are averages by 2, 4 and 8 inside the file. Seconds are for the whole scene.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import rasterio
from rasterio.enums import Resampling

from georclip.scenes.chips import resolve_plan
from georclip.scenes.scene import open_scene
from georclip.values import ChipPlan
from tests.benchmarks.machine import print_machine
from tests.benchmarks.reading import Cell, our_chips, scene_of

FACTORS = (2, 4, 8)
TOWER_PX = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class Coarse:
    """Seconds for a scene at one decimation, of each repetition."""

    factor: int
    chips: int
    without_s: tuple[float, ...]
    with_s: tuple[float, ...]


def main() -> None:
    """Draw a scene, add overviews to a copy, read both, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/reading"))
    asked = parser.parse_args()
    print_machine()
    print(
        f"{asked.side} x {asked.side} px RGB, 512 px tiles, deflate, uint8; medians, one thread\n"
    )
    print("| decimated by | chips | without overviews, s | with, s | without : with |")
    print("|---|---|---|---|---|")
    plain = scene_of(
        asked.folder, Cell(layout="512 px tiles", compression="deflate", dtype="uint8"), asked.side
    )
    for row in measure(plain, with_overviews(plain), repeats=asked.repeats):
        without_s, with_s = statistics.median(row.without_s), statistics.median(row.with_s)
        print(
            f"| {row.factor} | {row.chips} | {without_s:.2f} | {with_s:.2f} "
            f"| {without_s / with_s:.1f} |",
            flush=True,
        )


def with_overviews(plain: Path) -> Path:
    """A copy of a scene with overviews inside, made where it is not there yet."""
    path = plain.with_name(f"{plain.stem}_overviews.tif")
    if not path.exists():
        partial = path.with_suffix(".part")
        shutil.copyfile(plain, partial)
        with rasterio.open(partial, "r+") as file:
            file.build_overviews(FACTORS, Resampling.average)
        partial.rename(path)
    return path


def measure(
    plain: Path, other: Path, *, repeats: int, tower_px: int = TOWER_PX
) -> Iterator[Coarse]:
    """Read both in turn, at each decimation; the first round is not counted."""
    scenes = [open_scene(str(path)) for path in (plain, other)]
    for factor in FACTORS:
        plan = ChipPlan(size=4.0 * tower_px * factor, unit="px", overlap=0.25)
        resolved = resolve_plan(scenes[0], plan, None, tower_px)
        seconds: list[list[float]] = [[], []]
        for _ in range(repeats + 1):
            for scene, spent in zip(scenes, seconds, strict=True):
                started = time.perf_counter()
                our_chips(scene, resolved, 1)
                spent.append(time.perf_counter() - started)
        yield Coarse(
            factor=factor,
            chips=resolved.chip_count,
            without_s=tuple(seconds[0][1:]),
            with_s=tuple(seconds[1][1:]),
        )


if __name__ == "__main__":
    main()
