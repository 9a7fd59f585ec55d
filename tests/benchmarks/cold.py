"""One question to a new process: `georclip search` beside a script with open_clip, faiss and torch.

    python -m tests.benchmarks.cold [--chips 100000] [--repeats 7]

Both ask the same 100,000 random chips, with a ViT-B-32 of random weights, and must bring the same
ten; the starter, whose towers are others, asks as many of its own. Whole processes, warm files, in
turn; the first of each is not counted. A question is new where nothing is said: georclip's memory
of earlier ones is switched off then.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import geopandas
import torch

from georclip.encoders.clip import OpenClipEncoder, build_model
from georclip.encoders.loading import STARTER_FOLDER
from georclip.encoders.preprocessing import CLIP_MEAN, CLIP_STD
from georclip.encoders.remembered import SWITCH
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.saving import write_weights
from georclip.encoders.text_store import write_text_tower
from georclip.index.store import IndexStore
from georclip.values import ChipPlan, EncoderSpec
from tests.benchmarks.machine import georclip, print_machine, run
from tests.helpers_index import add_random, make_scene

ARCHITECTURE = "ViT-B-32"
QUESTION = "harbor with ships"
AGAIN = "asked before"
_SCENE_CHIPS = 25_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Whole processes of one kind.

    Attributes:
        name: For people.
        walls_s: Of each.
        answer: Ids of the chips found, the same every time.
    """

    name: str
    walls_s: tuple[float, ...]
    answer: tuple[str, ...]

    @property
    def median_s(self) -> float:
        """Of them."""
        return statistics.median(self.walls_s)


def main() -> None:
    """Make what is asked, ask it, and show how long that takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chips", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path("runs/cold"))
    asked = parser.parse_args()
    print_machine()
    plain, starter = asked.folder / "plain", asked.folder / "starter"
    index = str(plain / "index")
    if not plain.is_dir():
        make_clip(plain, asked.chips)
    if not starter.is_dir():
        make_starter(starter, asked.chips)
    script = [sys.executable, "-m", "tests.benchmarks.plain_search", str(plain), ARCHITECTURE]
    commands = {
        f"script: torch, open_clip, faiss, geopandas; {ARCHITECTURE}": [*script, QUESTION],
        f"georclip search, {ARCHITECTURE}": georclip("search", QUESTION, "-i", index),
        f"georclip search, {ARCHITECTURE}, {AGAIN}": georclip("search", QUESTION, "-i", index),
        "georclip search, starter": georclip("search", QUESTION, "-i", str(starter)),
    }
    print_times(measure(commands, asked.repeats, memory=asked.folder / "cache"), asked.chips)


def make_clip(folder: Path, chips: int, *, architecture: str = ARCHITECTURE) -> None:
    """An index of random chips with a CLIP of random weights, and the same for the script.

    Args:
        folder: Gets index/, weights.safetensors, vectors.faiss and chips.parquet.
        chips: At least.
        architecture: open_clip's.
    """
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    model = build_model(architecture, activation="gelu", image_size_px=224)
    spec = EncoderSpec(
        name="random", architecture=architecture, activation="gelu", weights_sha256="0" * 64,
        dim=model.text_projection.shape[1], image_size_px=224, mean=CLIP_MEAN, std=CLIP_STD,
        ground_size_m=None, licence="none",
    )  # fmt: skip
    write_weights(folder / "weights.safetensors", model.state_dict(), spec)
    encoder = OpenClipEncoder(model, spec, device=torch.device("cpu"))
    with IndexStore.create(folder / "index", encoder=spec, plan=ChipPlan()) as store:
        fill(store, chips)
        write_text_tower(encoder, store.encoder_folder)
        rows = store.select().rows
        found = store.fetch(rows)
        vectors = store.vectors(rows).astype("float32")
    flat = faiss.IndexFlatIP(spec.dim)
    flat.add(vectors)
    faiss.write_index(flat, str(folder / "vectors.faiss"))
    geopandas.GeoDataFrame(
        {"chip_id": [chip.chip_id for chip, _ in found], "scene": [one.name for _, one in found]},
        geometry=[chip.footprint for chip, _ in found],
        crs="EPSG:4326",
    ).to_parquet(folder / "chips.parquet")


def make_starter(folder: Path, chips: int) -> None:
    """An index of random chips, asked by the model in the box."""
    spec = RuntimeEncoder.load(STARTER_FOLDER).spec
    with IndexStore.create(folder, encoder=spec, plan=ChipPlan()) as store:
        fill(store, chips)


def fill(store: IndexStore, chips: int) -> None:
    """Random chips, in scenes of thousands."""
    for number, start in enumerate(range(0, chips, _SCENE_CHIPS)):
        count = min(_SCENE_CHIPS, chips - start)
        add_random(store, make_scene(f"{number}"), count, seed=number, batch=4096)


def measure(commands: dict[str, list[str]], repeats: int, *, memory: Path) -> list[Times]:
    """Run each command in turn, as a process of its own.

    Args:
        commands: By name; one that ends in `AGAIN` may remember its question.
        repeats: Times that count.
        memory: georclip's cache meanwhile.

    Raises:
        RuntimeError: One failed, or answered differently from time to time.
    """
    walls: dict[str, list[float]] = {name: [] for name in commands}
    answers: dict[str, set[tuple[str, ...]]] = {name: set() for name in commands}
    for _ in range(repeats + 1):
        for name, command in commands.items():
            remembers = "1" if name.endswith(AGAIN) else "0"
            own = {"GEORCLIP_CACHE": str(memory.absolute()), SWITCH: remembers}
            done = run(command, env=own)
            if done.code:
                raise RuntimeError(f"{name} ended with {done.code}")
            walls[name].append(done.wall_s)
            answers[name].add(chip_ids(done.stdout))
    for name, found in answers.items():
        if len(found) > 1:
            raise RuntimeError(f"{name} gave different answers")
    return [
        Times(name=name, walls_s=tuple(walls[name][1:]), answer=next(iter(answers[name])))
        for name in commands
    ]


def chip_ids(geojson: str) -> tuple[str, ...]:
    """Ids of the hits, best first."""
    features = json.loads(geojson)["features"]
    return tuple(feature["properties"]["chip_id"] for feature in features)


def print_times(found: Sequence[Times], chips: int) -> None:
    """The table: the script is the first."""
    script, same = found[0], found[0].answer == found[1].answer
    print(f"{chips} chips; the script and georclip bring the same hits: {same}\n")
    print("| whole process, warm files | median s | least s | most s | script : this |")
    print("|---|---|---|---|---|")
    for one in found:
        print(
            f"| {one.name} | {one.median_s:.2f} | {min(one.walls_s):.2f} "
            f"| {max(one.walls_s):.2f} | {script.median_s / one.median_s:.1f} |"
        )


if __name__ == "__main__":
    main()
