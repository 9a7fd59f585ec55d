"""What one hit per object costs in an index of a million chips, and where the time goes.

    python -m tests.benchmarks.object_cost [--rows 1000000] [--dim 512] [--repeats 100]

Chips overlap by half and come in two scales (`overlapping_index`), so that each object has many.
The same questions are asked with `grouping` "object" and "none", one after the other in turns, in
one process, beside a plain search that joins nothing and judges nothing; then a thousand of them
together.
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
from georclip.search import neutral
from georclip.search.engine import search, search_many
from georclip.search.judging import Judges
from georclip.values import EncoderSpec, Grouping, Query, SearchResult, Term
from tests.benchmarks.machine import print_machine
from tests.benchmarks.made_index import SCENE_CHIPS, create, grow
from tests.benchmarks.overlapping_index import PatchyVectors, overlapping_chips

KS = (10, 20)
TOGETHER = 1_000
PROMPTS = 100
GROUPINGS: tuple[Grouping, ...] = ("none", "object")

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

    def unread(self, text: str) -> str:
        return ""


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
        keep_prompts(store, vectors.questions(PROMPTS))
    making.rename(folder)


def keep_prompts(store: IndexStore, prompts: npt.NDArray[np.float32]) -> None:
    """Give a made index what confidences are taken from."""
    labels = tuple(str(number) for number in range(len(prompts)))
    store.keep_reference(neutral.NAME, labels, prompts, made_from=neutral.digest())


def plainly(store: IndexStore, vector: npt.NDArray[np.float32], k: int) -> None:
    """What a search does that joins no chips and judges none."""
    with store.snapshot():
        found = store.top(vector, store.select().runs, k)
        store.fetch([row for row, _ in found])


def print_alone(store: IndexStore, encoder: Numbered, repeats: int) -> None:
    """A row for each k: one question at a time."""
    print(f"{len(store.select())} chips, one question at a time, median ms of {repeats}\n")
    print(
        "| k | plain: the best k, fetched | with confidence, overlaps kept "
        "| with confidence, one hit per object | what joining adds | what both add "
        "| chips of the first k objects |"
    )
    print("|---" * 7 + "|")
    judges = Judges()
    for k in KS:
        walls: dict[str, list[float]] = {"plain": [], "none": [], "object": []}
        joined = []
        for number in range(repeats):
            for _ in range(2):  # the first warms the pages
                now = {"plain": timed(partial(plainly, store, encoder.vectors[number], k))[0]}
                for grouping in GROUPINGS:
                    query = asking(number, k, grouping)
                    now[grouping], result = timed(
                        partial(search, store, encoder, query, judges=judges)
                    )
            for side, wall_ms in now.items():
                walls[side].append(wall_ms)
            joined.append(chips_joined(result))
        plain, kept, objects = (np.array(one) for one in walls.values())
        print(
            f"| {k} | {' | '.join(f'{np.median(one):.2f}' for one in (plain, kept, objects))} "
            f"| {spread(objects - kept)} | {spread(objects - plain)} "
            f"| {statistics.mean(joined):.1f} |",
            flush=True,
        )


def spread(differences: npt.NDArray[np.float64]) -> str:
    """Median, and 10th to 90th percentile."""
    low, middle, high = np.percentile(differences, [10, 50, 90])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def print_together(store: IndexStore, encoder: Numbered, count: int) -> None:
    """A thousand questions in one call."""
    print(f"\n{count} questions together, k = 10, s\n")
    print("| overlaps kept | one hit per object | ratio |\n|---|---|---|")
    walls: dict[Grouping, list[float]] = {"none": [], "object": []}
    judges = Judges()
    for _ in range(2):
        for grouping, found in walls.items():
            queries = [asking(number, 10, grouping) for number in range(count)]
            wall_ms, _ = timed(partial(search_many, store, encoder, queries, judges=judges))
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
