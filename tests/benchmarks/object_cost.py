"""What one hit per object costs in an index of a million chips, and where the time goes.

    python -m tests.benchmarks.object_cost [--rows 1000000] [--dim 512] [--repeats 100]

Chips overlap by half and come in two scales (`overlapping_index`), so that each object has many.
The same questions are asked with `grouping` "object" and "none", one after the other in turns, in
one process; then a thousand of them together.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from georclip.index.store import IndexStore
from georclip.search.engine import search, search_many
from georclip.values import EncoderSpec, Grouping, Query, SearchResult, Term
from tests.benchmarks.machine import print_machine
from tests.benchmarks.made_index import SCENE_CHIPS, create, grow
from tests.benchmarks.overlapping_index import PatchyVectors, overlapping_chips

KS = (10, 20)
TOGETHER = 1_000

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Numbered:
    """An encoder whose sentences are numbers of vectors: nothing is embedded.

    Attributes:
        spec: As in the index.
        vectors: float32, (n, dim).
    """

    spec: EncoderSpec
    vectors: npt.NDArray[np.float32]
    device: str = "none"

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        raise AssertionError("questions hold no pictures")

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.vectors[[int(text) for text in texts]]

    def unknown_words(self, text: str) -> tuple[str, ...]:
        return ()


def main() -> None:
    """Fill, ask, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--together", type=int, default=TOGETHER)
    parser.add_argument("--folder", type=Path, default=Path("runs/objects"))
    asked = parser.parse_args()
    print_machine()
    folder = asked.folder / f"patchy-{asked.dim}-{asked.rows}"
    vectors = PatchyVectors(asked.dim)
    if not folder.exists():
        fill(folder, asked.rows, vectors)
    with IndexStore.open(folder, writable=False) as store:
        count = max(asked.repeats, asked.together)
        encoder = Numbered(store.encoder, vectors.questions(count))
        print_alone(store, encoder, asked.repeats)
        print_together(store, encoder, asked.together)


def fill(folder: Path, rows: int, vectors: PatchyVectors) -> None:
    """Make the index, and compact it."""
    making = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(making, ignore_errors=True)
    with create(making, vectors(0).shape[1]) as store:
        grow(store, range(rows // SCENE_CHIPS), vectors, overlapping_chips)
        store.compact()
    making.rename(folder)


def print_alone(store: IndexStore, encoder: Numbered, repeats: int) -> None:
    """A row for each k: one question at a time."""
    print(f"{len(store.select())} chips, one question at a time, median ms of {repeats}\n")
    print("| k | overlaps kept | one hit per object | difference | chips of the first k objects |")
    print("|---|---|---|---|---|")
    for k in KS:
        kept, objects, found = [], [], []
        for number in range(repeats):
            for grouping in ("none", "object") * 2:  # twice: the first warms the pages
                query = asking(number, k, grouping)
                wall_ms, result = timed(partial(search, store, encoder, query))
                (kept if grouping == "none" else objects).append(wall_ms)
            found.append(result)
        before, after = (statistics.median(walls[1::2]) for walls in (kept, objects))
        differences = np.subtract(objects[1::2], kept[1::2])
        print(
            f"| {k} | {before:.2f} | {after:.2f} | {statistics.median(differences):.2f} "
            f"({np.percentile(differences, 10):.2f} to {np.percentile(differences, 90):.2f}) "
            f"| {statistics.mean(map(chips_joined, found)):.1f} |",
            flush=True,
        )


def print_together(store: IndexStore, encoder: Numbered, count: int) -> None:
    """A thousand questions in one call."""
    print(f"\n{count} questions together, k = 10, s\n")
    print("| overlaps kept | one hit per object | ratio |\n|---|---|---|")
    walls: dict[Grouping, list[float]] = {"none": [], "object": []}
    for _ in range(2):
        for grouping, found in walls.items():
            queries = [asking(number, 10, grouping) for number in range(count)]
            wall_ms, _ = timed(partial(search_many, store, encoder, queries))
            found.append(wall_ms / 1000)
    before, after = min(walls["none"]), min(walls["object"])
    print(f"| {before:.2f} | {after:.2f} | {after / before:.2f} |", flush=True)


def asking(number: int, k: int, grouping: Grouping) -> Query:
    """The question with a number."""
    return Query(terms=(Term(kind="text", value=str(number)),), k=k, grouping=grouping)


def timed(work: Callable[[], Answer]) -> tuple[float, Answer]:
    """Wall time, ms, and what came of it."""
    started = time.perf_counter()
    result = work()
    return 1000 * (time.perf_counter() - started), result


def chips_joined(result: SearchResult) -> int:
    """Chips that the hits stand for."""
    return sum(1 + len(hit.members) for hit in result.hits)


if __name__ == "__main__":
    main()
