"""Indexing a scene on a CPU, beside its parts alone and beside a plain loop.

    python -m tests.benchmarks.indexing [--side 10000] [--repeats 3] [--plain-chips 256]

A made RGB scene (seeded, tiles of 512 px, deflate) is indexed with a ViT-B-32 of random weights,
with the same in 8 bits, and with the starter, in chips of the tower's own size that overlap by a
quarter. Beside the whole of `Index.add` (opening, reading, encoding, writing, commit; models are
loaded and towers exported before) stand the bare tower on batches that are ready, reading alone,
and, for the ViT, a plain loop: one window read, open_clip's preprocessing, torch in float32, on the
first chips of the scene.
The whole cannot be faster than 1 / (1 / tower + 1 / reading) where both need the same cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import open_clip
import rasterio
import torch
from PIL import Image
from rasterio.windows import Window

from georclip.api import Index, create_index
from georclip.encoders.bundle import read_bundle
from georclip.encoders.clip import OpenClipEncoder, architecture_size, build_model
from georclip.encoders.exporting import export_towers, text_of
from georclip.encoders.image_export import image_of
from georclip.encoders.image_store import find_image_tower
from georclip.encoders.image_tower import IMAGE_BATCH, ImageTower
from georclip.encoders.loading import STARTER_FOLDER, load_encoder
from georclip.encoders.preprocessing import CLIP_MEAN, CLIP_STD
from georclip.encoders.quantising import quantise_bundle
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.saving import write_weights
from georclip.scene_report import SceneReport
from georclip.scenes.chips import resolve_plan
from georclip.scenes.reader import ChipReader
from georclip.scenes.scene import open_scene
from georclip.values import Chip, ChipPlan, EncoderSpec
from tests.benchmarks.machine import print_machine
from tests.benchmarks.memory import draw

LAYOUT = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
ARCHITECTURE = "ViT-B-32"
INT8 = "-int8"
"""Behind an architecture: its image tower rounded to 8 bits."""
OVERLAP = 0.25
MEMORY_BYTES = 1_000_000_000
PLAIN_BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Chips per second, measured one after the other.

    Attributes:
        tower: The bare tower on ready batches.
        reading: Reading alone.
        whole: `Index.add`.
        plain: The plain loop, or None.
        report: What `Index.add` says of its parts.
    """

    tower: float
    reading: float
    whole: float
    plain: float | None
    report: SceneReport

    @property
    def share(self) -> float:
        """The whole, of what tower and reading allow on the same cores."""
        return self.whole * (1 / self.tower + 1 / self.reading)


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plain-chips", type=int, default=256)
    parser.add_argument("--models", default=f"{ARCHITECTURE},{ARCHITECTURE}{INT8},starter")
    asked = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.environ["GEORCLIP_CACHE"] = str(folder / "cache")
        scene = folder / "scene.tif"
        draw(scene, asked.side, LAYOUT)
        for model in asked.models.split(","):
            found = measure(folder, scene, model, asked.repeats, asked.plain_chips)
            print_rates(model, asked.side, found, asked.plain_chips)


def measure(folder: Path, scene: Path, model: str, repeats: int, plain_chips: int) -> list[Rates]:
    """Index a scene again and again, each time beside the parts alone.

    Args:
        folder: For weights and indexes.
        scene: Its path.
        model: "starter", or an architecture of open_clip's, which gets random weights.
        repeats: How often.
        plain_chips: Chips for the plain loop, which only open_clip's architectures have.
    """
    architecture = model.removesuffix(INT8)
    weights = None
    if model != "starter":
        weights = random_weights(folder / f"{architecture}.safetensors", architecture)
    if weights is not None and model != architecture:
        weights = rounded(weights, scene, architecture, folder / model)
    found = []
    for number in range(repeats):
        with _index(folder / f"{model}-{number}", architecture, weights) as index:
            tower = _tower(index)
            found.append(
                Rates(
                    tower=tower_rate(tower, index.encoder_spec),
                    reading=reading_rate(scene, index),
                    plain=None
                    if weights is None
                    else plain_rate(scene, index, architecture, plain_chips),
                    whole=(report := _timed_add(index, scene)).encoded / report.elapsed_s,
                    report=report,
                )
            )
    return found


def random_weights(path: Path, architecture: str) -> Path:
    """A checkpoint of an architecture that has learnt nothing."""
    if path.exists():
        return path
    torch.manual_seed(0)
    dim, side = architecture_size(architecture)
    model = build_model(architecture, activation="gelu", image_size_px=side)
    spec = EncoderSpec(
        name="random", architecture=architecture, activation="gelu", weights_sha256="",
        dim=dim, image_size_px=side, mean=CLIP_MEAN, std=CLIP_STD, ground_size_m=None,
        licence="none",
    )  # fmt: skip
    write_weights(path, model.state_dict(), spec)
    return path


def rounded(weights: Path, scene: Path, architecture: str, folder: Path) -> Path:
    """Towers with these weights, the image tower in 8 bits, calibrated on chips of the scene."""
    if folder.exists():
        return folder
    encoder = load_encoder("auto", weights=str(weights), device="cpu")
    assert isinstance(encoder, OpenClipEncoder)
    exported = folder.with_name(f"{folder.name}.exported")
    export_towers(image_of(encoder), text_of(encoder), encoder.spec, exported)
    side = encoder.spec.image_size_px
    with rasterio.open(scene) as dataset:
        pixels = dataset.read((1, 2, 3), window=Window(0, 0, 8 * side, 8 * side))
    chips = pixels.reshape(3, 8, side, 8, side).transpose(1, 3, 0, 2, 4).reshape(64, 3, side, side)
    quantise_bundle(exported, chips, folder)
    return folder


def tower_rate(tower: ImageTower, spec: EncoderSpec, *, batches: int = 32) -> float:
    """Pictures per second of a graph on batches that are ready."""
    shape = (IMAGE_BATCH, 3, spec.image_size_px, spec.image_size_px)
    ready = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    tower.infer([ready] * 4, 4 * IMAGE_BATCH)
    started = time.perf_counter()
    tower.infer([ready] * batches, batches * IMAGE_BATCH)
    return batches * IMAGE_BATCH / (time.perf_counter() - started)


def reading_rate(path: Path, index: Index) -> float:
    """Chips per second of the reader with nothing beside it, opening the scene included."""
    started = time.perf_counter()
    count = sum(1 for _ in _chips(path, index))
    return count / (time.perf_counter() - started)


def plain_rate(path: Path, index: Index, architecture: str, count: int) -> float:
    """Chips per second of a loop as people write it: read, prepare, embed, in batches."""
    side = index.encoder_spec.image_size_px
    model = build_model(architecture, activation="gelu", image_size_px=side)
    prepare = open_clip.image_transform(side, is_train=False, mean=CLIP_MEAN, std=CLIP_STD)
    chips = list(islice(_chips(path, index), count))
    with torch.inference_mode():
        model.encode_image(torch.zeros(PLAIN_BATCH, 3, side, side))
        started = time.perf_counter()
        rows, batch = [], []
        with rasterio.open(path) as dataset:
            for chip in chips:
                where = chip.window
                window = Window(where.col_off, where.row_off, where.width, where.height)
                pixels = dataset.read((1, 2, 3), window=window)
                batch.append(prepare(Image.fromarray(pixels.transpose(1, 2, 0))))
                if len(batch) == PLAIN_BATCH:
                    rows.append(model.encode_image(torch.stack(batch)))
                    batch = []
        if batch:
            rows.append(model.encode_image(torch.stack(batch)))
        vectors = torch.nn.functional.normalize(torch.cat(rows), dim=-1).numpy()
    assert len(vectors) == len(chips)
    return len(chips) / (time.perf_counter() - started)


def _index(folder: Path, model: str, weights: Path | None) -> Index:
    """An empty index whose chips have the tower's own size."""
    if weights is None:
        side = read_bundle(STARTER_FOLDER).spec.image_size_px
    else:
        _, side = architecture_size(model)
    return create_index(
        folder,
        model="starter" if weights is None else "auto",
        weights=weights,
        device="cpu",
        plan=ChipPlan(size=side, unit="px", overlap=OVERLAP, scales=(1.0,)),
    )


def _tower(index: Index) -> ImageTower:
    """The tower that the index is filled by."""
    indexer = index.indexer
    if isinstance(indexer, RuntimeEncoder):
        return ImageTower(indexer.bundle, indexer.spec, indexer.bundle.precision)
    found = find_image_tower(indexer.spec)
    assert found is not None
    return found


def _timed_add(index: Index, scene: Path) -> SceneReport:
    """Index a scene; what is made once, by a model's first use, is made before."""
    side = index.encoder_spec.image_size_px
    index.indexer.encode_images(np.zeros((IMAGE_BATCH, 3, side, side), dtype=np.uint8))
    index._keep_text()
    started = time.perf_counter()
    report = index.add(scene, memory_bytes=MEMORY_BYTES)
    return replace(report, elapsed_s=time.perf_counter() - started)  # opening counts, too


def _chips(path: Path, index: Index) -> Iterator[Chip]:
    """Chips as the index would read them."""
    spec = index.encoder_spec
    scene = open_scene(str(path))
    resolved = resolve_plan(scene, index.plan, spec.ground_size_m, spec.image_size_px)
    reader = ChipReader(
        scene, resolved, memory_bytes=MEMORY_BYTES // 4, max_side_px=4 * spec.image_size_px
    )
    return (item.image.chip for item in reader)


def print_rates(model: str, side_px: int, found: Sequence[Rates], plain_chips: int) -> None:
    """A table of medians, and what the last run said of its parts."""
    last = found[-1].report
    print(f"\n{model}: {last.encoded} chips of {side_px} x {side_px} px, median of {len(found)}\n")
    print("| what | chips/s, median | least | most |\n|---|---|---|---|")
    rows = {
        "bare tower, ready batches": [one.tower for one in found],
        "reading alone": [one.reading for one in found],
        "whole `Index.add`": [one.whole for one in found],
    }
    plain = [one.plain for one in found if one.plain is not None]
    if plain:
        rows[f"plain loop, {min(plain_chips, last.encoded)} chips"] = plain
    for name, rates in rows.items():
        print(
            f"| {name} | {statistics.median(rates):,.1f} | {min(rates):,.1f} | {max(rates):,.1f} |"
        )
    shares = [one.share for one in found]
    print(
        f"\nwhole, of 1 / (1 / tower + 1 / reading): {statistics.median(shares):.3f} "
        f"({min(shares):.3f} to {max(shares):.3f})"
    )
    if plain:
        ratios = [one.whole / one.plain for one in found if one.plain is not None]
        print(
            f"whole : plain loop: {statistics.median(ratios):.1f} "
            f"({min(ratios):.1f} to {max(ratios):.1f})"
        )
    parts = ", ".join(f"{part} {rate:,.0f}" for part, rate in last.rates.items())
    print(f"the last run's parts, while at work beside each other: {parts}: {last.limit} the limit")


if __name__ == "__main__":
    main()
