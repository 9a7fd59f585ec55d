"""Are scores of chips of different scales comparable? Raw cosines beside ways to make them so.

    python -m tests.benchmarks.scales CAPTIONS [--folder runs/scales]

Pictures of known class are laid into scenes: "mixed", half of them twice as wide as the others, or
"even", all of one size. Chips of several scales are ranked together for each class name, joined
to objects on the ground, and the first n of them judged, n being how many pictures of the class
there are. A rule is chosen on train pictures; what it does is told on val pictures, which neither
the model nor the choice has seen. The sample of the index that rules may look at is seeded, of
4,096 chips.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.cli.progress import ChipProgress
from georclip.encoders.base import Encoder
from georclip.encoders.loading import load_encoder
from georclip.evaluation.ground_truth import RIGHT_SHARE, Shares, measure_shares
from georclip.evaluation.mosaic import Mosaic, lay_mosaic
from georclip.index.making import is_index
from georclip.index.store import IndexStore
from georclip.indexing import index_scene
from georclip.scenes.scene import open_scene
from georclip.search.suppression import Ground, group_ground, lay_out
from georclip.values import ChipPlan
from tests.benchmarks.machine import print_machine
from tests.benchmarks.mixed_mosaic import lay_mixed
from tests.benchmarks.scale_rules import RULES, Rule

CELL_PX = 160
GROUND_M = 400.0
SCALES = (0.5, 1.0, 2.0, 4.0)
SETS = {"mixed": ((0.5, 1.0, 2.0), (1.0, 2.0, 4.0), (1.0, 2.0)), "even": ((0.5, 1.0, 2.0),)}
"""Scales searched together, by layout; the first are those of the automatic plan."""
MOST_PICTURES = 963
SAMPLE = 4_096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Laid:
    """A laid scene with its chips.

    Attributes:
        vectors: float32, (chips, dim).
        scales: float64, (chips,).
        shares: How chips and pictures overlap.
        ground: Footprints of the chips.
        labels: Class of each picture, (pictures,).
        large: bool, (pictures,): whether it is one of the wider ones.
    """

    vectors: npt.NDArray[np.float32]
    scales: npt.NDArray[np.float64]
    shares: Shares
    ground: Ground
    labels: npt.NDArray[np.str_]
    large: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of the first n objects of each class, mean over classes.

    Attributes:
        precision: Share that shows the class.
        found: Share of the pictures of the class that are shown by one.
        found_small: The same, of the smaller pictures alone.
        found_large: Of the wider ones.
        hits: Share of hits of each scale.
        right: Precision of the hits of each scale.
    """

    precision: float
    found: float
    found_small: float
    found_large: float
    hits: tuple[float, ...]
    right: tuple[float, ...]


def main() -> None:
    """Lay, index, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("runs/scales"))
    parser.add_argument("--layouts", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of train layouts")
    asked = parser.parse_args()
    encoder = load_encoder("starter")
    print_machine()
    folder = asked.captions / "rsicd"
    every = read_captions([folder / "dataset_rsicd.json"], [folder / "images"])
    for split, seeds in (("train", asked.seeds), ("val", (0,))):
        images = [one for one in every if one.split == split]
        for layout in asked.layouts:
            scenes = [
                lay(encoder, some(images, seed), asked.folder / f"{layout}-{split}-{seed}", seed)
                for seed in seeds
            ]
            for scales in SETS[layout]:
                print_rules(encoder, scenes, scales, f"{split}, {layout}")


def some(images: Sequence[CaptionedImage], seed: int) -> list[CaptionedImage]:
    """As many pictures as val has, so that scenes are of one size."""
    if len(images) <= MOST_PICTURES:
        return list(images)
    order = np.random.default_rng(seed).permutation(len(images))
    return [images[number] for number in order[:MOST_PICTURES].tolist()]


def lay(encoder: Encoder, images: Sequence[CaptionedImage], folder: Path, seed: int) -> Laid:
    """Lay a scene, and index it where that was not done before."""
    folder.mkdir(parents=True, exist_ok=True)
    path, size = folder / "scene.tif", GROUND_M / CELL_PX
    if folder.name.startswith("mixed"):
        mosaic = lay_mixed(images, path, small_px=CELL_PX, pixel_size_m=size, seed=seed)
    else:
        mosaic = lay_mosaic(images, path, cell_px=CELL_PX, pixel_size_m=size, seed=seed)
    index = folder / "index"
    if not is_index(index):
        plan = ChipPlan(size=GROUND_M, unit="m", scales=SCALES)
        with (
            IndexStore.create(index, encoder=encoder.spec, plan=plan) as store,
            ChipProgress(folder.name) as progress,
        ):
            index_scene(
                store, encoder, open_scene(str(path)), plan, memory_bytes=500_000_000,
                progress=progress,
            )  # fmt: skip
    return read(index, mosaic)


def read(index: Path, mosaic: Mosaic) -> Laid:
    """Chips of an index, and what they show."""
    with IndexStore.open(index, writable=False) as store:
        rows = store.select().rows
        chips = [chip for chip, _ in store.fetch(rows)]
        vectors = store.vectors(rows)
    footprints = [chip.footprint for chip in chips]
    widths = np.array([cell.window.width for cell in mosaic.cells])
    return Laid(
        vectors=vectors,
        scales=np.array([chip.scale for chip in chips]),
        shares=measure_shares(footprints, mosaic.boxes(), mosaic.crs),
        ground=lay_out(footprints, [0] * len(chips)),
        labels=np.array([cell.image.label for cell in mosaic.cells]),
        large=widths > 1.5 * CELL_PX,
    )


def print_rules(
    encoder: Encoder, scenes: Sequence[Laid], scales: tuple[float, ...], what: str
) -> None:
    """A row for each rule, mean over scenes."""
    named = ", ".join(f"{scale:g}" for scale in scales)
    print(f"\n{what}, scales {named}; {sum(len(one.labels) for one in scenes)} pictures\n")
    print(
        f"| rule | precision at n | objects found | of the small | of the large "
        f"| hits by scale ({named}) | their precision |\n|---|---|---|---|---|---|---|"
    )
    for name, rule in RULES.items():
        every = [measure(encoder, one, scales, rule) for one in scenes]
        means = [
            np.mean([getattr(one, part) for one in every], axis=0)
            for part in ("precision", "found", "found_small", "found_large", "hits", "right")
        ]
        singles = " | ".join(f"{mean:.3f}" for mean in means[:4])
        lists = " | ".join(" / ".join(f"{one:.2f}" for one in mean) for mean in means[4:])
        print(f"| {name} | {singles} | {lists} |", flush=True)


def measure(encoder: Encoder, laid: Laid, scales: tuple[float, ...], rule: Rule) -> Figures:
    """Ask a scene for every class by name, among the chips of some scales."""
    chips = np.flatnonzero(np.isin(laid.scales, scales))
    vectors, own = laid.vectors[chips], laid.scales[chips]
    sample = np.random.default_rng(0).permutation(len(chips))[:SAMPLE]
    labels = sorted(set(laid.labels.tolist()) - {""})
    rows = []
    hits, right_hits = np.zeros(len(scales)), np.zeros(len(scales))
    for label, question in zip(labels, encoder.encode_texts(labels), strict=True):
        right = laid.labels == label
        scores = (vectors @ question).astype(np.float64)
        ranked_by = rule(scores, own, scores[sample], own[sample])
        best = first_objects(laid, chips, ranked_by, int(right.sum()))
        shows = laid.shares.covered(right)[best] > RIGHT_SHARE
        found = np.unique(laid.shares.largest(right)[best[shows]])
        rows.append((
            shows.mean(),
            len(found) / right.sum(),
            share_of(~laid.large[found], right & ~laid.large),
            share_of(laid.large[found], right & laid.large),
        ))  # fmt: skip
        for number, scale in enumerate(scales):
            hits[number] += (laid.scales[best] == scale).sum()
            right_hits[number] += (shows & (laid.scales[best] == scale)).sum()
    means = np.nanmean(np.array(rows, dtype=np.float64), axis=0).tolist()
    return Figures(
        precision=means[0],
        found=means[1],
        found_small=means[2],
        found_large=means[3],
        hits=tuple((hits / hits.sum()).tolist()),
        right=tuple((right_hits / np.maximum(hits, 1)).tolist()),
    )


def first_objects(
    laid: Laid, chips: npt.NDArray[np.int64], ranked_by: npt.NDArray[np.float64], most: int
) -> npt.NDArray[np.int64]:
    """The best chips of the first objects, by their numbers."""
    order = np.argsort(-ranked_by, kind="stable")[: max(400, 20 * most)]
    found = group_ground(laid.ground.take(chips[order]), most)
    return chips[order[[one.best for one in found]]]


def share_of(found: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_]) -> float:
    """Part of what is wanted that was found; not a number where nothing is."""
    return float(found.sum() / wanted.sum()) if wanted.any() else float("nan")


if __name__ == "__main__":
    main()
