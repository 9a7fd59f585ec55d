"""Real scenes through the whole path: what each becomes, and what questions find.

    python -m tests.benchmarks.real_scenes ../shared/data/scenes [-o FOLDER]

Prints a row per scene (indexed, or refused and why), the best hits of each question, and writes
a contact sheet to look at. Indexes lie in a folder of their own for each model and weights.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import georclip
from georclip.encoders.loading import load_encoder
from georclip.errors import SceneError
from tests.benchmarks.contact_sheet import write_contact_sheet
from tests.benchmarks.machine import print_machine

QUESTIONS = (
    "a bridge over a river",
    "farmland with lakes",
    "dense houses",
    "harbor with ships",
    "beach and sea",
    "a road between hills",
    "factories beside a river",
    "a parking lot",
    "a road junction between houses",
    "boats on a river",
    "small vegetable fields",
    "an airport with planes",
)
"""Twelve; the last asks for what no scene shows."""


def main() -> None:
    """Index every raster below the folder and ask the questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/real-scenes"))
    parser.add_argument("--model", default="starter")
    parser.add_argument("--weights", type=Path, help="a checkpoint or exported towers instead")
    asked = parser.parse_args()
    folder = own_folder(asked.output, asked.model, asked.weights)
    folder.mkdir(parents=True, exist_ok=True)
    print_machine()
    main_scenes = sorted(asked.scenes.glob("*.tif"))
    odd_scenes = sorted((asked.scenes / "odd").glob("*.tif"))
    with index_all(main_scenes, folder / "index", asked) as index:
        results = [index.search(question, k=8) for question in QUESTIONS]
    index_all(odd_scenes, folder / "odd-index", asked).close()
    print("\n| question | first hits: scene (score) |\n|---|---|")
    for result in results:
        hits = ", ".join(f"{hit.scene.name} ({hit.score:.3f})" for hit in result.hits[:5])
        print(f"| {result.query.terms[0].value} | {hits} |")
    sheet = folder / f"contact-sheet-{time.strftime('%Y%m%d-%H%M%S')}.png"
    write_contact_sheet(results, sheet)
    print(f"\nlook at {sheet}")


def own_folder(output: Path, model: str, weights: Path | None) -> Path:
    """Where a model's indexes lie: others' weights make others."""
    spec = load_encoder("auto" if weights else model, weights=weights).spec
    return output / f"{spec.name}-{spec.weights_sha256[:12]}"


def index_all(paths: list[Path], folder: Path, asked: argparse.Namespace) -> georclip.Index:
    """Index each scene and print a row for it."""
    index = (
        georclip.open_index(folder, weights=asked.weights)
        if (folder / "index.json").exists()
        else georclip.create_index(
            folder, model="auto" if asked.weights else asked.model, weights=asked.weights
        )
    )
    print("\n| scene | outcome | chips | skipped | s |\n|---|---|---|---|---|")
    for path in paths:
        try:
            report = index.add(path)
        except SceneError as error:
            print(f"| {path.name} | refused: {str(error).split(': ', 1)[-1]} | | | |")
            continue
        print(
            f"| {path.name} | {report.outcome} | {report.chips} | {report.skipped} "
            f"| {report.elapsed_s:.1f} |"
        )
    return index


if __name__ == "__main__":
    main()
