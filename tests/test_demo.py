"""The demo answers its three questions rightly and leaves what it promises."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from georclip.encoders.loading import STARTER_FOLDER

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    if not (STARTER_FOLDER / "encoder.json").is_file():
        pytest.skip("this checkout holds no starter weights")
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py"), str(folder)],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done, folder


def test_every_question_finds_its_place_first(demo):
    done, _ = demo
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": right") == 3
    assert "WRONG" not in done.stdout


def test_commands_are_shown_for_the_person_to_learn(demo):
    done, folder = demo
    assert f"$ georclip index {folder / 'coast.tif'}" in done.stdout
    assert "$ georclip search 'harbor with ships'" in done.stdout
    assert "Next, with scenes of your own" in done.stdout


def test_files_are_there_and_hold_the_hits(demo):
    _, folder = demo
    hits = json.loads((folder / "hits.geojson").read_text(encoding="utf-8"))["features"]
    assert [hit["properties"]["rank"] for hit in hits] == [1, 2, 3, 4, 5]
    with sqlite3.connect(folder / "hits.gpkg") as package:
        assert package.execute("SELECT count(*) FROM hits").fetchone() == (5,)
        assert package.execute("SELECT count(*) FROM layer_styles").fetchone() == (1,)
    assert (folder / "hits.qgz").is_file()


def test_picture_outlines_the_hits(demo):
    _, folder = demo
    picture = Image.open(folder / "hits.png").convert("RGB")
    assert picture.size == (1500, 1200)
    hits = json.loads((folder / "hits.geojson").read_text(encoding="utf-8"))["features"]
    best = hits[0]["properties"]
    x, y = best["col_off"] // 2 + best["width"] // 4, best["row_off"] // 2 + 2
    assert picture.getpixel((x, y)) == (255, 214, 64)
