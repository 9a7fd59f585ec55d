"""How far footprints shrink onto small objects, and whether these stay inside.

    python -m tests.benchmarks.zoom [--seeds 10 11 12] [--captions ../shared/data/captions]

On drawn coasts (ships, planes and tanks among their like, and alone), each is indexed as any scene
is and asked in words. Hits whose chip holds a thing of the kind that was asked for are zoomed into.
A thing is inside where nine tenths of its box are. Beside it: boxes of the zoomed size in the
middle of the chip and at random. With captions: pictures of one class, each laid alone among others
into a scene where a chip covers several.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

import georclip
from georclip.search.zooming import zoom_in
from georclip.testing import DrawnScene, draw_scene
from georclip.values import Hit, Window
from tests.benchmarks.machine import print_machine
from tests.benchmarks.small_things import draw_small_things

QUESTIONS = {"ship": "ships", "plane": "planes", "storage tank": "storage tanks"}
INSIDE = 0.9
_RANDOM = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoomed:
    """What became of one hit whose chip holds what was asked for.

    Attributes:
        area: Of the zoomed window, over the chip's.
        inside: A thing is still in it.
        middle: It would be in a box of that size in the chip's middle.
        random: Share of boxes of that size anywhere in the chip that it would be in.
        smaller: The smallest thing in the chip takes up less than a quarter of it.
    """

    area: float
    inside: bool
    middle: bool
    random: float
    smaller: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12])
    parser.add_argument("--hits", type=int, default=20, help="of each question")
    parser.add_argument("--pixel-size", type=float, default=1.0, help="m")
    asked = parser.parse_args()
    logging.getLogger("georclip").setLevel(logging.WARNING)
    print_machine()
    print("| drawn | question | hits, holding one | area, median | inside | middle | random | s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    everything: list[Zoomed] = []
    for name, draw in (("among their like", draw_scene), ("alone", draw_small_things)):
        rows: dict[str, list[Zoomed]] = {kind: [] for kind in QUESTIONS}
        spent = dict.fromkeys(QUESTIONS, (0, 0.0))
        for seed in asked.seeds:
            with tempfile.TemporaryDirectory() as scratch:
                scene = draw(Path(scratch) / "s.tif", seed=seed, pixel_size_m=asked.pixel_size)
                with georclip.create_index(Path(scratch) / "index", model="starter") as index:
                    index.add(scene.path)
                    for kind, question in QUESTIONS.items():
                        found, count, elapsed_s = measure(
                            index, scene, kind, question, asked.hits, seed
                        )
                        rows[kind] += found
                        spent[kind] = spent[kind][0] + count, spent[kind][1] + elapsed_s
        for kind, found in rows.items():
            count, elapsed_s = spent[kind]
            print_row(name, QUESTIONS[kind], found, count, elapsed_s)
            everything += found
    print_row("all", "", everything, len(everything), float("nan"))


def measure(
    index: georclip.Index, scene: DrawnScene, kind: str, question: str, k: int, seed: int
) -> tuple[list[Zoomed], int, float]:
    """Hits that hold a thing, how many were zoomed into, and how long that took, s."""
    encoder = index.indexer
    hits = index.search(question, k=k).hits
    things = [thing.window for thing in scene.things if thing.name == kind]
    holding = [hit for hit in hits if held(things, hit.chip.window)]
    started = time.perf_counter()
    zoomed = zoom_in(holding, encoder.encode_texts([question])[0], encoder)
    elapsed_s = time.perf_counter() - started
    rng = np.random.default_rng(seed)
    return (
        [judge(before, after, things, rng) for before, after in zip(holding, zoomed, strict=True)],
        len(holding),
        elapsed_s,
    )


def judge(before: Hit, after: Hit, things: Sequence[Window], rng: np.random.Generator) -> Zoomed:
    chip, part = before.chip.window, after.chip.window
    inside = held(things, chip)
    room = chip.width - part.width, chip.height - part.height
    spots = rng.uniform(size=(_RANDOM, 2)) * room
    return Zoomed(
        area=part.width * part.height / (chip.width * chip.height),
        inside=shows(part, inside),
        middle=shows(moved(part, chip, room[0] / 2, room[1] / 2), inside),
        random=float(np.mean([shows(moved(part, chip, *spot), inside) for spot in spots])),
        smaller=min(one.width * one.height for one in inside) < chip.width * chip.height / 4,
    )


def held(things: Sequence[Window], chip: Window) -> list[Window]:
    """Things that lie whole in a chip."""
    return [one for one in things if outline(chip).covers(outline(one))]


def shows(part: Window, things: Sequence[Window]) -> bool:
    here = outline(part)
    return any(
        here.intersection(outline(one)).area >= INSIDE * one.width * one.height for one in things
    )


def moved(part: Window, chip: Window, across: float, down: float) -> Window:
    return Window(
        col_off=chip.col_off + round(across),
        row_off=chip.row_off + round(down),
        width=part.width,
        height=part.height,
    )


def outline(window: Window) -> shapely.Polygon:
    return shapely.box(
        window.col_off,
        window.row_off,
        window.col_off + window.width,
        window.row_off + window.height,
    )


def print_row(name: str, question: str, found: list[Zoomed], count: int, elapsed_s: float) -> None:
    small = [one for one in found if one.smaller]
    if not small:
        print(f"| {name} | {question} | 0 | | | | | |", flush=True)
        return
    print(
        f"| {name} | {question} | {len(small)} | {np.median([one.area for one in small]):.3f} "
        f"| {np.mean([one.inside for one in small]):.3f} "
        f"| {np.mean([one.middle for one in small]):.3f} "
        f"| {np.mean([one.random for one in small]):.3f} | {elapsed_s / count:.2f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
