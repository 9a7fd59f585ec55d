"""Filtered search over a million chips, beside what people would use otherwise.

    python -m tests.benchmarks.scale [--rows 1000000] [--dim 512] [--repeats 30] [--embedded FILE]

An index of made chips (see `made_index`) is filled scene by scene, compacted, and asked with boxes
that keep all of it, a tenth, and so on, at seeded places. The time of an answer begins with the box
and ends with ten rows and their scores: the filter's own cost is counted on every side. Recall at
10 is against an exact scan of the same stored vectors, over the rows that each side's own filter
keeps; equal scores count as equal. `--embedded` names a .npz of the starter's own vectors
("vectors" and "questions", see `embedded_pictures`); without it they are drawn in clusters.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from georclip.index.store import IndexStore
from tests.benchmarks import rivals
from tests.benchmarks.machine import print_machine
from tests.benchmarks.made_index import (
    ORIGIN,
    SCENE_CHIPS,
    SCENES_ACROSS,
    SIDE,
    STEP_DEGREES,
    ClusteredVectors,
    JitteredVectors,
    create,
    grow,
)
from tests.benchmarks.rivals import Box, K, Rows

_LEAST_KEPT = 40
"""Chips that a box must keep, or ten best say nothing."""
SHARES = (1.0, 0.1, 0.01, 0.001, 0.0001)

Scores = npt.NDArray[np.float32]
Answer = tuple[Scores, Scores]
"""Scores of the rows brought, and of the ten best that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How one side answers boxes of one size.

    Attributes:
        walls_ms: Of each question.
        recalls: Of each question.
    """

    walls_ms: tuple[float, ...]
    recalls: tuple[float, ...]

    def __str__(self) -> str:
        middle, recall = statistics.median(self.walls_ms), statistics.mean(self.recalls)
        low, high = np.percentile(self.walls_ms, [10, 90])
        return f"{middle:.2f} ({low:.2f} to {high:.2f}), {recall:.3f}"


def main() -> None:
    """Fill, compact, ask, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--embedded", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("runs/scale"))
    parser.add_argument("--alone", action="store_true", help="without the others")
    parser.add_argument("--no-graph", action="store_true", help="without HNSW: minutes to build")
    asked = parser.parse_args()
    print_machine(("lancedb", "duckdb"))
    vectors: ClusteredVectors | JitteredVectors = ClusteredVectors(asked.dim)
    name = f"clustered-{asked.dim}-{asked.rows}"
    if asked.embedded is not None:
        held = np.load(asked.embedded)
        vectors = JitteredVectors(held["vectors"], held["questions"])
        name = f"embedded-{asked.rows}"
    folder = asked.folder / name
    if not folder.exists():
        fill(folder, asked.rows, vectors)
    queries = vectors.questions(asked.repeats)
    with IndexStore.open(folder, writable=False) as store:
        shares = [share for share in SHARES if share * asked.rows >= _LEAST_KEPT]
        places = {share: boxes(store, share, asked.repeats) for share in shares}
        table = {
            "georclip": [measure(ours(store, exact=False), queries, p) for p in places.values()],
            "georclip --exact": [
                measure(ours(store, exact=True), queries, p) for p in places.values()
            ],
        }
        if not asked.alone:
            rows = everything(store)
            lance = folder.with_name(f"{name}-lance")
            for side, ask in others(rows, lance, graph=not asked.no_graph):
                answer = theirs(ask, rows)
                table[side] = [measure(answer, queries, p) for p in places.values()]
    print_table(table, shares, f"{asked.rows} rows, {name}")


def fill(folder: Path, rows: int, vectors: ClusteredVectors | JitteredVectors) -> None:
    """Make the index, and say what a scene costs as it grows."""
    making = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(making, ignore_errors=True)
    with create(making, vectors(0).shape[1]) as store:
        walls = grow(store, range(rows // SCENE_CHIPS), vectors)
        started = time.perf_counter()
        store.compact()
        compacted_s = time.perf_counter() - started
    making.rename(folder)
    ends = min(10, len(walls))
    first, last = statistics.median(walls[:ends]), statistics.median(walls[-ends:])
    print(f"{len(walls)} scenes of {SCENE_CHIPS} chips added: the first {ends} took {first:.3f} s")
    print(f"each (median), the last {ends} {last:.3f} s: {last / first:.2f} times; all means:")
    print(", ".join(f"{statistics.mean(walls[i : i + 10]):.3f}" for i in range(0, len(walls), 10)))
    print(f"compact: {compacted_s:.1f} s\n")


def boxes(store: IndexStore, share: float, count: int) -> list[Box | None]:
    """Boxes at seeded places that keep about a share of the chips; None keeps all."""
    if share == 1.0:
        return [None] * count
    scenes = len(store.scenes())
    across = min(scenes, SCENES_ACROSS) * SIDE * STEP_DEGREES
    along = -(-scenes // SCENES_ACROSS) * SIDE * STEP_DEGREES
    area = share * scenes * (SIDE * STEP_DEGREES) ** 2
    height = min(area**0.5, 0.9 * along)
    width = area / height
    rng = np.random.default_rng(4)
    found: list[Box | None] = []
    while len(found) < count:
        west = ORIGIN[0] + rng.uniform(0, across - width)
        south = ORIGIN[1] + rng.uniform(0, along - height)
        box = (west, south, west + width, south + height)
        if len(store.select(aoi=shapely.box(*box))) >= K:
            found.append(box)
    return found


Side = Callable[[npt.NDArray[np.float32], Box | None], Callable[[], Answer]]
"""Answers a question, and gives a function that says afterwards how good the answer is."""


def ours(store: IndexStore, *, exact: bool) -> Side:
    """The store as `georclip search` asks it."""

    def ask(query: npt.NDArray[np.float32], box: Box | None) -> Callable[[], Answer]:
        with store.snapshot():
            selection = store.select(aoi=None if box is None else shapely.box(*box))
            found = store.top(query, selection.runs, K, exact=exact)

        def judge() -> Answer:
            best = store.top(query, selection.runs, K, exact=True)
            return _scores(found), _scores(best)

        return judge

    return ask


def theirs(ask: rivals.Ask, rows: Rows) -> Side:
    """Another tool over the same rows."""

    def answer(query: npt.NDArray[np.float32], box: Box | None) -> Callable[[], Answer]:
        found = ask(query, box)

        def judge() -> Answer:
            every = rows.vectors @ query
            kept = every if box is None else every[rows.mask(box)]
            return every[found], np.sort(kept)[::-1][:K]

        return judge

    return answer


def measure(side: Side, queries: npt.NDArray[np.float32], places: list[Box | None]) -> Figures:
    """Ask every question once to warm up, and once with the clock."""
    walls, recalls = [], []
    for query, box in zip(queries, places, strict=True):
        side(query, box)
    for query, box in zip(queries, places, strict=True):
        started = time.perf_counter()
        judge = side(query, box)
        walls.append(1000 * (time.perf_counter() - started))
        brought, best = judge()
        recalls.append(float((brought >= best[-1] - 1e-6).sum()) / len(best))
    return Figures(walls_ms=tuple(walls), recalls=tuple(recalls))


def everything(store: IndexStore) -> Rows:
    """Vectors and boxes of all rows, in memory."""
    bounds = [segment.columns.bounds for segment in store._view.segments]
    return Rows(vectors=store.vectors(store.select().rows), bounds=np.concatenate(bounds))


def others(rows: Rows, folder: Path, *, graph: bool) -> Iterator[tuple[str, rivals.Ask]]:
    """The other sides, one after the other: each goes before the next is made."""
    lists = max(1, round(len(rows.vectors) ** 0.5 * 1.024))
    yield "faiss flat + bitmap", rivals.flat(rows, by_array=False)
    yield "faiss flat + array of ids", rivals.flat(rows, by_array=True)
    yield f"faiss IVF{lists} + bitmap, 64 probes", rivals.inverted(rows, lists=lists, probes=64)
    yield f"faiss IVF{lists} + bitmap, 256 probes", rivals.inverted(rows, lists=lists, probes=256)
    yield "LanceDB, prefilter, btree", rivals.lance(rows, folder)
    yield "DuckDB, exact", rivals.duck(rows)
    if graph:
        yield from rivals.graph(rows).items()


def print_table(table: dict[str, list[Figures]], shares: list[float], what: str) -> None:
    """Median ms of an answer with its filter, and recall at 10."""
    print(f"{what}: median ms (10th to 90th percentile), recall at {K}\n")
    print("| | " + " | ".join(f"{100 * share:g} %" for share in shares) + " |")
    print("|---" * (len(shares) + 1) + "|")
    for side, figures in table.items():
        print(f"| {side} | " + " | ".join(map(str, figures)) + " |", flush=True)


def _scores(found: list[tuple[int, float]]) -> Scores:
    return np.array([score for _, score in found], dtype=np.float32)


if __name__ == "__main__":
    main()
