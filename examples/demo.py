"""Draw a scene with known truth, index it with the model in the box, and ask it three questions.

Run by `make demo`, or by hand: python examples/demo.py [FOLDER]
Everything lands in FOLDER (default: demo). Exit code 0: the place asked for is at rank 1 each time.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from shapely.geometry import shape

from georclip.testing import DrawnScene, draw_scene

HITS = 5
PICTURE_WIDTH_PX = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    text: str
    place: str
    file_name: str
    colour: tuple[int, int, int]


QUESTIONS = (
    Question(
        text="harbor with ships", place="harbor", file_name="hits.geojson", colour=(255, 214, 64)
    ),
    Question(
        text="airport with planes",
        place="airport",
        file_name="hits-airport.geojson",
        colour=(255, 110, 90),
    ),
    Question(
        text="storage tanks",
        place="storage tanks",
        file_name="hits-tanks.geojson",
        colour=(90, 220, 255),
    ),
)


SHOWN_SHARE = 1 / 3
"""A hit shows a place if a third of the hit, or of the place, is shared by both."""


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    started = time.monotonic()
    scene, index = draw(folder), folder / "georclip-index"
    shutil.rmtree(index, ignore_errors=True)
    georclip("index", str(folder / scene.path.name), "-i", str(index), "--model", "starter")

    answers = {}
    for question in QUESTIONS:
        path = folder / question.file_name
        georclip(
            "search",
            question.text,
            "-i",
            str(index),
            "-k",
            str(HITS),
            "-o",
            str(path),
            "--overwrite",
        )
        answers[question] = json.loads(path.read_text(encoding="utf-8"))["features"]
    project = str(folder / "hits.qgz")  # and hits.gpkg beside it
    georclip("export", str(folder / "hits.geojson"), "-o", project, "--overwrite")
    draw_picture(scene, answers, folder / "hits.png")

    print("\nWhat was found, against what was drawn:")
    right = [check(scene, question, features) for question, features in answers.items()]
    print_next_steps(folder, time.monotonic() - started)
    return 0 if all(right) else 1


def draw(folder: Path) -> DrawnScene:
    """Draw the scene."""
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Drawing a coast of 3.0 x 2.4 km at 1 m a pixel: {folder / 'coast.tif'}", flush=True)
    return draw_scene(folder / "coast.tif")


def georclip(*arguments: str) -> None:
    """Run the command line as a person would, and show what was run."""
    print(f"\n$ georclip {shlex.join(arguments)}", flush=True)
    command = [sys.executable, "-m", "georclip.cli.main", *arguments]
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        print(f"\nThe demo failed: the command above ended with exit code {code}.")
        sys.exit(1)


def check(scene: DrawnScene, question: Question, features: list[dict[str, Any]]) -> bool:
    """Say whether the best hit is the place asked for."""
    shown = [
        scene.places_in(shape(feature["geometry"]), least_share=SHOWN_SHARE) for feature in features
    ]
    names = [
        " and ".join(place.name for place in places) or "none of the places" for places in shown
    ]
    right = bool(shown) and question.place in [place.name for place in shown[0]]
    verdict = "right" if right else f"WRONG, it should be the {question.place}"
    best = features[0]["properties"]["score"] if features else float("nan")
    print(f'  "{question.text}": rank 1 (score {best:.2f}) shows {names[0]}: {verdict}')
    print(f"      ranks 1 to {len(names)}: {', '.join(names)}")
    return right


def draw_picture(
    scene: DrawnScene, answers: dict[Question, list[dict[str, Any]]], path: Path
) -> None:
    """Outline every hit on the scene, with its rank, in the colour of its question."""
    picture = Image.open(scene.path).convert("RGB")
    scale = PICTURE_WIDTH_PX / picture.width
    picture = picture.resize((PICTURE_WIDTH_PX, round(picture.height * scale)))
    pen = ImageDraw.Draw(picture, "RGBA")
    for question, features in answers.items():
        for feature in reversed(features):  # rank 1 on top
            outline_hit(pen, feature["properties"], question.colour, scale)
    font = ImageFont.load_default(size=22)
    row_px = 34
    top = picture.height - row_px * len(answers) - 24
    pen.rectangle((12, top, 330, picture.height - 12), fill=(12, 16, 20, 200))
    for row, question in enumerate(answers):
        y = top + 8 + row * row_px
        pen.rectangle((24, y + 4, 46, y + 22), outline=question.colour, width=4)
        pen.text((60, y), question.text, fill=(255, 255, 255), font=font)
    picture.save(path)


def outline_hit(
    pen: ImageDraw.ImageDraw, hit: dict[str, Any], colour: tuple[int, int, int], scale: float
) -> None:
    left, top = hit["col_off"] * scale, hit["row_off"] * scale
    right, bottom = left + hit["width"] * scale, top + hit["height"] * scale
    rank = hit["rank"]
    pen.rectangle((left, top, right, bottom), outline=colour, width=5 if rank == 1 else 2)
    size = 26 if rank == 1 else 18
    label = (left + 6, top + 6, left + 10 + size, top + 10 + size)
    pen.rectangle(label, fill=(*colour, 230))
    pen.text(
        (left + 11, top + 7), str(rank), fill=(0, 0, 0), font=ImageFont.load_default(size=size)
    )


def print_next_steps(folder: Path, elapsed_s: float) -> None:
    program = "georclip"
    beside_python = Path(sys.executable).with_name(program)
    if shutil.which(program) is None and beside_python.exists():
        inside = beside_python.is_relative_to(Path.cwd())
        program = str(beside_python.relative_to(Path.cwd()) if inside else beside_python)
    print(f"""
Done in {elapsed_s:.0f} s. Look at
  {folder / "hits.png"}       the scene with the hits outlined, rank by rank
  {folder / "hits.qgz"}       the same in QGIS: hits over the scene, styled and labelled
  {folder / "hits.gpkg"}      hits as a GeoPackage that carries its style
  {folder / "hits.geojson"}   hits as RFC 7946 GeoJSON

Next, with scenes of your own (GeoTIFF, COG, JP2, VRT; files, folders, globs, URLs):
  {program} index path/to/your/scenes/*.tif
  {program} search "a bridge over a river" -f table
  {program} search "dense houses" --bbox WEST,SOUTH,EAST,NORTH -o hits.gpkg
  {program} models        which models there are; the starter is small and knows few words
  {program} --help
""")


if __name__ == "__main__":
    sys.exit(main())
