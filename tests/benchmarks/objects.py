"""One hit per object: duplicates left among the hits, and objects found among the first n.

    python -m tests.benchmarks.objects CAPTIONS

Scenes are laid from held-out pictures whose class is known (`georclip.evaluation.mosaic`), and the
drawn coast; chips come in two scales. Every class is asked by its name, with one hit per object and
with overlaps kept. Duplicates are pairs of the first 20 hits that share more than 20 % of the
smaller footprint, measured in an equal-area projection about the scene. An object is a picture of
the class asked for; it is found by a hit that shows its class over more than half of its footprint,
most of it this picture. n is how many there are.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Transformer

from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.cli.progress import ChipProgress
from georclip.encoders.base import Encoder
from georclip.encoders.loading import load_encoder
from georclip.evaluation.ground_truth import RIGHT_SHARE, Shares, measure_shares
from georclip.evaluation.mosaic import lay_mosaic
from georclip.index.store import IndexStore
from georclip.indexing import index_scene
from georclip.scenes.scene import open_scene
from georclip.search.engine import search
from georclip.testing import SCENE_CRS, draw_scene
from georclip.values import Chip, ChipPlan, Grouping, Hit, Query, Term
from tests.benchmarks.machine import print_machine

OVERLAPS = (0.25, 0.5)
SCALES = (1.0, 2.0)
K = 20
MOST_SHARED = 0.2

GROUPINGS: tuple[Grouping, ...] = ("none", "object")
_CELL_PX = 160
_GROUND_M = 400.0
_DRAWN_PIXEL_M = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A scene on disk, and what it shows where.

    Attributes:
        name: For the table.
        path: The raster.
        crs: Its own, projected, m.
        boxes: Outlines of the objects, in that.
        labels: Class of each.
    """

    name: str
    path: Path
    crs: str
    boxes: npt.NDArray[np.object_]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFound:
    """What one class name found, overlaps kept and one hit per object.

    Attributes:
        label: The question.
        objects: Objects present.
        found: Of those, share among the first hits.
        duplicates: Pairs among the first 20 hits that share too much ground.
        pairs: Pairs of hits looked at.
    """

    label: str
    objects: int
    found: dict[Grouping, float]
    duplicates: dict[Grouping, int]
    pairs: dict[Grouping, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFound:
    """What was found in one scene at one overlap."""

    name: str
    overlap: float
    chips: int
    by_class: tuple[ClassFound, ...]


def main() -> None:
    """Lay, index, ask, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions", type=Path)
    parser.add_argument("--overlaps", type=float, nargs="+", default=list(OVERLAPS))
    asked = parser.parse_args()
    encoder = load_encoder("starter")
    print_machine()
    print(f"{encoder.spec.name}, scales {', '.join(f'{scale:g}' for scale in SCALES)}\n")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        scenes = [drawn(Path(scratch) / "coast.tif")]
        for dataset in ("ucm", "rsicd"):
            folder = asked.captions / dataset
            file = folder / f"dataset_{dataset}.json"
            images = [
                one for one in read_captions([file], [folder / "images"]) if one.split == "val"
            ]
            scenes.append(laid(f"{dataset} val", images, Path(scratch) / f"{dataset}.tif"))
        for truth in scenes:
            rows += [measure(encoder, truth, overlap) for overlap in asked.overlaps]
    print_rows(rows)
    print_classes(rows)


def laid(name: str, images: Sequence[CaptionedImage], path: Path) -> Truth:
    """Pictures side by side, each as large as the ground that the starter knows best."""
    mosaic = lay_mosaic(images, path, cell_px=_CELL_PX, pixel_size_m=_GROUND_M / _CELL_PX)
    labels = tuple(cell.image.label for cell in mosaic.cells)
    return Truth(name=name, path=path, crs=mosaic.crs, boxes=mosaic.boxes(), labels=labels)


def drawn(path: Path) -> Truth:
    """The drawn coast: each place is an object, called by its name."""
    scene = draw_scene(path, pixel_size_m=_DRAWN_PIXEL_M)
    to_plane = Transformer.from_crs("EPSG:4326", SCENE_CRS, always_xy=True)
    boxes = shapely.transform(
        np.array([place.footprint for place in scene.places], dtype=np.object_),
        lambda lonlat: np.column_stack(to_plane.transform(*lonlat.T)),
    )
    labels = tuple(place.name for place in scene.places)
    return Truth(name="drawn coast", path=path, crs=SCENE_CRS, boxes=boxes, labels=labels)


def measure(encoder: Encoder, truth: Truth, overlap: float) -> SceneFound:
    """Index a scene at an overlap, and ask for every class both ways."""
    plan = ChipPlan(overlap=overlap, scales=SCALES)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "index"
        with IndexStore.create(path, encoder=encoder.spec, plan=plan) as store:
            with ChipProgress(truth.name) as progress:
                report = index_scene(
                    store, encoder, open_scene(str(truth.path)), plan,
                    memory_bytes=500_000_000, progress=progress,
                )  # fmt: skip
            chips = [chip for chip, _ in store.fetch(store.select().rows)]
            asked = Asked(store=store, encoder=encoder, truth=truth, chips=chips)
            by_class = tuple(asked.ask(label) for label in sorted(set(truth.labels)))
    return SceneFound(name=truth.name, overlap=overlap, chips=report.chips, by_class=by_class)


class Asked:
    """An indexed scene with its truth."""

    def __init__(
        self, *, store: IndexStore, encoder: Encoder, truth: Truth, chips: Sequence[Chip]
    ) -> None:
        self._store, self._encoder, self._truth = store, encoder, truth
        self._number = {chip.chip_id: number for number, chip in enumerate(chips)}
        footprints = [chip.footprint for chip in chips]
        self._shares: Shares = measure_shares(footprints, truth.boxes, truth.crs)

    def ask(self, label: str) -> ClassFound:
        """Ask for a class by its name."""
        right = np.array([one == label for one in self._truth.labels])
        objects = int(right.sum())
        found, duplicates, pairs = {}, {}, {}
        for grouping in GROUPINGS:
            hits = self._hits(label, max(K, objects), grouping)
            found[grouping] = self._found(hits[:objects], right) / objects
            duplicates[grouping], pairs[grouping] = count_duplicates(hits[:K])
        return ClassFound(
            label=label, objects=objects, found=found, duplicates=duplicates, pairs=pairs
        )

    def _hits(self, label: str, k: int, grouping: Grouping) -> tuple[Hit, ...]:
        query = Query(terms=(Term(kind="text", value=label),), k=k, grouping=grouping)
        return search(self._store, self._encoder, query).hits

    def _found(self, hits: Sequence[Hit], right: npt.NDArray[np.bool_]) -> int:
        """Different objects of a class that hits show."""
        chips = np.array([self._number[hit.chip.chip_id] for hit in hits], dtype=np.int64)
        shows = self._shares.covered(right)[chips] > RIGHT_SHARE
        return len(np.unique(self._shares.largest(right)[chips[shows]]))


def count_duplicates(hits: Sequence[Hit]) -> tuple[int, int]:
    """Pairs of hits of one acquisition that share more than `MOST_SHARED`, and all pairs."""
    if not hits:
        return 0, 0
    middle = hits[0].chip.footprint.centroid
    to_plane = Transformer.from_crs(
        "EPSG:4326", f"+proj=laea +lat_0={middle.y} +lon_0={middle.x} +ellps=WGS84", always_xy=True
    )
    outlines = shapely.transform(
        np.array([hit.chip.footprint for hit in hits], dtype=np.object_),
        lambda lonlat: np.column_stack(to_plane.transform(*lonlat.T)),
    )
    pairs = list(combinations(range(len(hits)), 2))
    duplicates = 0
    for one, other in pairs:
        same = hits[one].scene.scene_id == hits[other].scene.scene_id
        shared = outlines[one].intersection(outlines[other]).area
        smaller = min(outlines[one].area, outlines[other].area)
        duplicates += same and shared > (MOST_SHARED + 1e-3) * smaller
    return duplicates, len(pairs)


def print_rows(rows: Sequence[SceneFound]) -> None:
    """Duplicates and objects found, both ways."""
    print(
        f"| scene | overlap | chips | questions | duplicates among the first {K}: overlaps kept "
        "| one hit per object | objects found among the first n: overlaps kept "
        "| one hit per object | classes better / same / worse |"
    )
    print("|---" * 9 + "|")
    for row in rows:
        kept, joined = (
            sum(one.duplicates[grouping] for one in row.by_class) for grouping in GROUPINGS
        )
        before, after = (
            fmean(one.found[grouping] for one in row.by_class) for grouping in GROUPINGS
        )
        gains = [one.found["object"] - one.found["none"] for one in row.by_class]
        moved = [sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)]
        print(
            f"| {row.name} | {row.overlap:g} | {row.chips} | {len(row.by_class)} "
            f"| {kept} of {sum(one.pairs['none'] for one in row.by_class)} pairs "
            f"| {joined} of {sum(one.pairs['object'] for one in row.by_class)} "
            f"| {before:.3f} | {after:.3f} "
            f"| {moved[0]} / {len(gains) - sum(moved)} / {moved[1]} |"
        )


def print_classes(rows: Sequence[SceneFound]) -> None:
    """Each class of each scene."""
    for row in rows:
        print(f"\n| {row.name}, overlap {row.overlap:g} | n | overlaps kept | one hit per object |")
        print("|---|---|---|---|")
        for one in row.by_class:
            print(
                f"| {one.label} | {one.objects} | {one.found['none']:.2f} "
                f"| {one.found['object']:.2f} |"
            )


if __name__ == "__main__":
    main()
