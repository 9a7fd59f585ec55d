"""Where scores change between two times: places that are known to have changed, and real lakes.

    python -m tests.benchmarks.changes ../shared/data/captions --scenes ../shared/data/scenes

Held-out pictures are laid into a scene twice; the second time a quarter of the cells hold other
pictures. The second scene is also shown with less contrast, with a tint, and on a grid that is
shifted by a third of a chip. Each class that came or went is asked for, and as many places looked
at as there are cells of it that changed (precision at n). Then the North Dakota series: how changes
of score go with changes of the water's share of each chip. Some minutes on one core.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from pyproj import Transformer

from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.encoders.loading import load_encoder
from georclip.evaluation.mosaic import Mosaic, lay_mosaic
from georclip.index.store import IndexStore
from georclip.indexing import index_scene
from georclip.scenes.scene import open_scene
from georclip.search.change_query import build_change_query
from georclip.search.change_ranking import Compared
from georclip.search.changes import compare_acquisitions, find_acquisitions
from georclip.search.suppression import group_objects
from georclip.values import ChipPlan
from tests.benchmarks.machine import print_machine

Floats = npt.NDArray[np.float64]

BEFORE = "2020-01-01"
SHOWN = {
    "as it is": "2021-01-01",
    "contrast x 0.7, brighter": "2022-01-01",
    "tinted": "2023-01-01",
    "grid shifted by a third": "2024-01-01",
}
"""How the second scene is shown, and when it was taken by its name."""

RANKINGS: dict[str, Callable[[Compared], Floats]] = {
    "difference": lambda found: found.score_to - found.score_from,
    "less the shift": lambda found: found.change,
    "evidence (georclip)": lambda found: found.rank_change,
}
QUESTIONS = ("lake", "pond", "water", "farmland with lakes")
_POOL = 400
MEMORY = 500_000_000
CLEAR, MUCH = 0.02, 0.15
"""Changes of the water's share of a chip; smaller ones have no direction."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--scenes", type=Path, help="with the north_dakota_naip_*.tif series")
    parser.add_argument("--weights", type=Path, help="instead of the model in the box")
    parser.add_argument("--dataset", default="rsicd")
    parser.add_argument("--split", default="val")
    parser.add_argument("--cells", type=int, default=480)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    asked = parser.parse_args()
    encoder = load_encoder("starter", weights=asked.weights)
    print_machine()
    folder = asked.captions / asked.dataset
    file = folder / f"dataset_{asked.dataset}.json"
    images = [one for one in read_captions([file], [folder / "images"]) if one.split == asked.split]
    print(f"{asked.dataset} {asked.split}, {asked.cells} cells, a quarter of them swapped\n")
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            measure_swaps(encoder, images, Path(scratch), cells=asked.cells, seed=seed)
    if asked.scenes:
        with tempfile.TemporaryDirectory() as scratch:
            measure_series(encoder, sorted(asked.scenes.glob("north_dakota_naip_*.tif")), scratch)


# Swapped cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Cells of both scenes: outlines in their CRS, and what each showed."""

    outlines: npt.NDArray[np.object_]
    crs: str
    before: list[str]
    after: list[str]

    def changed(self, label: str, sign: int) -> set[int]:
        """Cells that became a class, or ceased to be it."""
        now, then = (self.after, self.before) if sign > 0 else (self.before, self.after)
        pairs = enumerate(zip(now, then, strict=True))
        return {number for number, (one, other) in pairs if one == label != other}


def measure_swaps(
    encoder: Encoder, images: Sequence[CaptionedImage], folder: Path, *, cells: int, seed: int
) -> dict[str, dict[str, float]]:
    """Precision at n, for each way of showing the second scene and of ranking."""
    truth = lay_twice(images, folder, cells=cells, seed=seed, side_px=encoder.spec.image_size_px)
    with IndexStore.create(folder / "index", encoder=encoder.spec, plan=ChipPlan()) as store:
        for path in sorted(folder.glob("*.tif")):
            index_scene(store, encoder, open_scene(str(path)), store.plan, memory_bytes=MEMORY)
        found = {shown: precision(store, encoder, truth, to=time) for shown, time in SHOWN.items()}
    print(f"| seed {seed}: second scene | " + " | ".join(RANKINGS) + " |")
    print("|---|" + "---|" * len(RANKINGS))
    for shown, values in found.items():
        print(f"| {shown} | " + " | ".join(f"{values[one]:.3f}" for one in RANKINGS) + " |")
    print(flush=True)
    return found


def lay_twice(
    images: Sequence[CaptionedImage], folder: Path, *, cells: int, seed: int, side_px: int
) -> Truth:
    """Lay pictures, and again with a quarter of them swapped; then show that in other ways."""
    rng = np.random.default_rng(seed)
    swapped = cells // 4
    drawn = [images[n] for n in np.resize(rng.permutation(len(images)), cells + swapped)]
    before, after = drawn[:cells], drawn[:cells]
    for number, image in zip(rng.permutation(cells), drawn[cells:], strict=False):
        after[number] = image

    def lay(pictures: Sequence[CaptionedImage], date: str) -> Mosaic:
        path = folder / f"scene_{date.replace('-', '')}.tif"
        return lay_mosaic(pictures, path, cell_px=side_px, pixel_size_m=400 / side_px, seed=seed)

    first, second = lay(before, BEFORE), lay(after, SHOWN["as it is"])
    show(second.path, folder / "scene_20220101.tif", gains=(0.7, 0.7, 0.7), rises=(35, 35, 35))
    show(second.path, folder / "scene_20230101.tif", gains=(0.85, 0.9, 0.8), rises=(25, 10, -15))
    show(second.path, folder / "scene_20240101.tif", shift_px=side_px // 3)
    return Truth(
        outlines=first.boxes(),
        crs=first.crs,
        before=[cell.image.label for cell in first.cells],
        after=[cell.image.label for cell in second.cells],
    )


def show(
    source: Path,
    target: Path,
    *,
    gains: tuple[float, ...] = (1, 1, 1),
    rises: tuple[float, ...] = (0, 0, 0),
    shift_px: int = 0,
) -> None:
    """Write a scene again with other contrast and brightness, or without its first pixels."""
    with rasterio.open(source) as dataset:
        pixels, profile = dataset.read().astype(np.float32), dataset.profile
    gain, rise = (np.array(values, np.float32)[:, None, None] for values in (gains, rises))
    pixels = np.clip((pixels - 128) * gain + 128 + rise, 0, 255).astype(np.uint8)
    pixels = pixels[:, shift_px:, shift_px:]
    moved = profile["transform"] @ rasterio.Affine.translation(shift_px, shift_px)
    profile.update(
        width=pixels.shape[2], height=pixels.shape[1], transform=moved, photometric="RGB"
    )
    with rasterio.open(target, "w", **profile) as dataset:
        dataset.write(pixels)


def precision(store: IndexStore, encoder: Encoder, truth: Truth, *, to: str) -> dict[str, float]:
    """Mean over classes of precision at n: of n places, n cells being changed, those that are."""
    taken = find_acquisitions(store, build_change_query("any", from_=BEFORE, to=to))
    project = Transformer.from_crs("EPSG:4326", truth.crs, always_xy=True)
    tree = shapely.STRtree(truth.outlines)
    figures: dict[str, list[float]] = {name: [] for name in RANKINGS}
    for label in sorted({*truth.before, *truth.after}):
        wanted = {sign: truth.changed(label, sign) for sign in (1, -1)}
        n = len(wanted[1]) + len(wanted[-1])
        if n == 0:
            continue
        (direction,) = encoder.encode_texts([label])
        found = compare_acquisitions(store, direction, taken)
        for name, ranking in RANKINGS.items():
            values = ranking(found)
            order = np.argsort(-np.abs(values), kind="stable")[:_POOL]
            footprints = store.footprints(found.places.rows[order])
            chosen = [one.best for one in group_objects(list(footprints), [None] * len(order), n)]
            outlines = shapely.transform(
                footprints[chosen], lambda xy: np.column_stack(project.transform(*xy.T))
            )
            right = 0
            for place, outline in zip(order[chosen], outlines, strict=True):
                sign = 1 if values[place] > 0 else -1
                right += any(
                    shares(outline, truth.outlines[cell])
                    for cell in set(tree.query(outline).tolist()) & wanted[sign]
                )
            figures[name].append(right / n)
    return {name: float(np.mean(values)) for name, values in figures.items()}


def shares(one: shapely.Geometry, other: shapely.Geometry) -> bool:
    """Whether half of the smaller is shared."""
    return one.intersection(other).area >= 0.5 * min(one.area, other.area)


# Lakes


def measure_series(encoder: Encoder, scenes: Sequence[Path], scratch: str) -> None:
    """How changes of score go with changes of the water's share, over all pairs of dates."""
    water: dict[str, dict[int, Floats]] = {"NIR below Otsu's threshold": {}, "NDWI above 0.2": {}}
    with IndexStore.create(Path(scratch) / "index", encoder=encoder.spec, plan=ChipPlan()) as store:
        for path in scenes:
            scene = index_scene(
                store, encoder, open_scene(str(path)), store.plan, memory_bytes=MEMORY
            ).scene
            rows = store.select(scenes=scene.uri).rows
            windows = [chip.window for chip, _ in store.fetch(rows)]
            for name, mask in water_masks(path).items():
                for row, w in zip(rows.tolist(), windows, strict=True):
                    part = mask[w.row_off : w.row_off + w.height, w.col_off : w.col_off + w.width]
                    water[name][row] = part.mean()
        print(f"North Dakota, {len(scenes)} dates, {len(list(combinations(scenes, 2)))} pairs")
        head = ("question", "water is", "r over all pairs: difference / less the shift",
                "r within a pair", "right way: first ten of each pair", "all clear changes",
                "changes of 0.15 and more")  # fmt: skip
        print(f"| {' | '.join(head)} |")
        print("|---|---|---|---|---|---|---|")
        for question in QUESTIONS:
            (direction,) = encoder.encode_texts([question])
            pairs = [compared(store, direction, pair) for pair in combinations(scenes, 2)]
            for name, shares_of in water.items():
                print_series(question, name, pairs, [rise(one, shares_of) for one in pairs])


def water_masks(path: Path) -> dict[str, npt.NDArray[np.bool_]]:
    """Pixels of water of R, G, B, NIR, two ways."""
    with rasterio.open(path) as dataset:
        _, green, _, nir = dataset.read().astype(np.float64)
    ndwi = (green - nir) / np.maximum(green + nir, 1)  # McFeeters 1996
    return {"NIR below Otsu's threshold": nir < otsu(nir), "NDWI above 0.2": ndwi > 0.2}


def otsu(values: Floats) -> float:
    """The threshold that parts values best into two classes (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * middles)
    above = counts.sum() - below
    between = (sums[-1] * below / counts.sum() - sums[:-1]) ** 2 / np.maximum(below * above, 1)
    return float(middles[np.argmax(between)])


def compared(
    store: IndexStore, direction: npt.NDArray[np.float32], pair: tuple[Path, Path]
) -> Compared:
    """The places of two dates, which scenes' names end in."""
    before, after = (f"{p.stem[-8:-4]}-{p.stem[-4:-2]}-{p.stem[-2:]}" for p in pair)
    taken = find_acquisitions(store, build_change_query("any", from_=before, to=after))
    return compare_acquisitions(store, direction, taken)


def rise(found: Compared, share_of: dict[int, Floats]) -> Floats:
    """Rise of the water's share of each place."""
    places = found.places
    shares_ = np.array([share_of[row] for row in places.best_row.tolist()])
    rises = np.zeros(len(places.rows))
    np.add.at(rises, places.place, np.where(places.acquisition == 1, shares_, -shares_))
    return rises


def print_series(
    question: str, water: str, pairs: Sequence[Compared], rises: Sequence[Floats]
) -> None:
    truth = np.concatenate(rises)

    def r(values: Floats, rise: Floats) -> float:
        return float(np.corrcoef(values, rise)[0, 1])

    raw = np.concatenate([one.score_to - one.score_from for one in pairs])
    less = np.concatenate([one.change for one in pairs])
    within = np.mean([r(one.change, rise) for one, rise in zip(pairs, rises, strict=True)])
    first, clear, much = [], [], []
    for one, rise in zip(pairs, rises, strict=True):
        right = np.sign(one.change) == np.sign(rise)
        order = np.argsort(-np.abs(one.rank_change), kind="stable")
        first += right[order[np.abs(rise[order]) >= CLEAR][:10]].tolist()
        clear += right[np.abs(rise) >= CLEAR].tolist()
        much += right[np.abs(rise) >= MUCH].tolist()
    print(
        f"| {question} | {water} | {r(raw, truth):.2f} / {r(less, truth):.2f} | {within:.2f} "
        f"| {np.mean(first):.2f} | {np.mean(clear):.2f} "
        f"| {np.mean(much):.2f} ({len(much)} places) |",
        flush=True,
    )


if __name__ == "__main__":
    main()
