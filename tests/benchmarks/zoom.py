"""How far footprints shrink onto small objects, and whether these stay inside.

    python -m tests.benchmarks.zoom [--seeds 20 21 22] [--captions ../shared/data/captions]

Drawn coasts (ships, planes and tanks among their like, and alone) are indexed as any scene is and
asked in words. Hits are zoomed into whose chip holds whole, in less than a quarter of its area, a
thing of the kind that was asked for. That is inside the zoomed part where nine tenths of its box
are. Beside it: boxes of the zoomed size in the middle of the chip, and at random. With captions:
pictures laid side by side at random, several to a chip, asked for by class.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely

import georclip
from georclip.captions.reading import read_captions
from georclip.evaluation.mosaic import lay_mosaic
from georclip.search.zooming import zoom_in
from georclip.testing import DrawnScene, draw_scene
from georclip.values import ChipPlan, Hit, Window
from tests.benchmarks.machine import print_machine
from tests.benchmarks.small_things import draw_small_things

QUESTIONS = {"ship": "ships", "plane": "planes", "storage tank": "storage tanks"}
HEAD = (
    "| scenes | question | holding hits | area, median (mean) | inside | middle | random | s |\n"
    "|---|---|---|---|---|---|---|---|"
)
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
    """

    area: float
    inside: bool
    middle: bool
    random: float


@dataclass(slots=True)
class Row:
    """One line of the table: hits of one question, over all scenes.

    Attributes:
        scenes: What the scenes show.
        question: As asked.
        found: Hits that hold what was asked for, where that is small.
        hits: How many were zoomed into.
        elapsed_s: What that took.
    """

    scenes: str
    question: str
    found: list[Zoomed] = field(default_factory=list)
    hits: int = 0
    elapsed_s: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[20, 21, 22])
    parser.add_argument("--captions", type=Path, help="a folder with rsicd/ in it")
    parser.add_argument("-k", type=int, default=20, help="hits of each question")
    asked = parser.parse_args()
    logging.getLogger("georclip").setLevel(logging.WARNING)
    print_machine()
    print(HEAD, flush=True)
    drawn = []
    if asked.seeds:
        for name, draw in (("among their like", draw_scene), ("alone", draw_small_things)):
            drawn += measure_drawn(name, draw, asked.seeds, k=asked.k)
        print_row(joined("drawn, all", drawn))
    if asked.captions is not None:
        rows = measure_pictures(asked.captions / "rsicd", k=asked.k // 2)
        print_row(joined("RSICD val, 400 px chips of 130 px pictures", rows))


def measure_drawn(
    name: str, draw: Callable[..., DrawnScene], seeds: Sequence[int], *, k: int
) -> list[Row]:
    """A row for each kind of thing; printed at once."""
    rows = {kind: Row(name, question) for kind, question in QUESTIONS.items()}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as scratch:
            scene = draw(Path(scratch) / "scene.tif", seed=seed)
            with georclip.create_index(Path(scratch) / "index", model="starter") as index:
                index.add(scene.path)
                for kind, row in rows.items():
                    things = [thing.window for thing in scene.things if thing.name == kind]
                    measure(index, things, row, k=k, seed=seed)
    for row in rows.values():
        print_row(row)
    return list(rows.values())


def measure_pictures(folder: Path, *, k: int, cell_px: int = 130, chip_px: int = 400) -> list[Row]:
    """A row for each class of captioned pictures, laid side by side at random."""
    file = folder / f"dataset_{folder.name}.json"
    images = [one for one in read_captions([file], [folder / "images"]) if one.split == "val"]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        scene = lay_mosaic(images, Path(scratch) / "s.tif", cell_px=cell_px, pixel_size_m=1.0)
        plan = ChipPlan(size=chip_px, unit="px")
        with georclip.create_index(Path(scratch) / "index", model="starter", plan=plan) as index:
            index.add(scene.path)
            for label in sorted({cell.image.label for cell in scene.cells}):
                row = Row(folder.name, label)
                cells = [cell.window for cell in scene.cells if cell.image.label == label]
                with contextlib.suppress(georclip.QueryError):  # a name of no known word
                    measure(index, cells, row, k=k, seed=0)
                rows.append(row)
    return rows


def measure(
    index: georclip.Index, things: Sequence[Window], row: Row, *, k: int, seed: int
) -> None:
    """Ask, and zoom into the hits that hold a thing."""
    encoder = index.indexer
    hits = [hit for hit in index.search(row.question, k=k).hits if held(things, hit.chip.window)]
    question = encoder.encode_texts([row.question])[0]
    started = time.perf_counter()
    zoomed = zoom_in(hits, question, encoder)
    row.elapsed_s += time.perf_counter() - started
    row.hits += len(hits)
    rng = np.random.default_rng(seed)
    for before, after in zip(hits, zoomed, strict=True):
        inside = [one for one in held(things, before.chip.window) if is_small(one, before)]
        if inside:
            row.found.append(judge(before, after, inside, rng))


def is_small(thing: Window, hit: Hit) -> bool:
    """Whether its box is less than a quarter of the chip."""
    return 4 * thing.width * thing.height < hit.chip.window.width * hit.chip.window.height


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


def joined(name: str, rows: Sequence[Row]) -> Row:
    """Rows as one."""
    whole = Row(name, "all")
    for row in rows:
        whole.found += row.found
        whole.hits += row.hits
        whole.elapsed_s += row.elapsed_s
    return whole


def print_row(row: Row) -> None:
    found = row.found
    if not found:
        print(f"| {row.scenes} | {row.question} | 0 | | | | | |", flush=True)
        return
    print(
        f"| {row.scenes} | {row.question} | {len(found)} "
        f"| {np.median([one.area for one in found]):.3f} "
        f"({np.mean([one.area for one in found]):.3f}) "
        f"| {np.mean([one.inside for one in found]):.3f} "
        f"| {np.mean([one.middle for one in found]):.3f} "
        f"| {np.mean([one.random for one in found]):.3f} "
        f"| {row.elapsed_s / row.hits:.2f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
