"""Contact sheets from the command line, and from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import georclip
from georclip.testing import draw_scene
from georclip.values import ChipPlan
from tests.helpers_sheet import parse
from tests.test_cli import georclip as run


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn coast and its index."""
    folder = tmp_path_factory.mktemp("sheets")
    scene = draw_scene(folder / "coast.tif", pixel_size_m=10)
    plan = ChipPlan(size=64, unit="px")
    with georclip.create_index(folder / "index", model="starter", plan=plan) as index:
        index.add(scene.path)
    return folder


def ask(world: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run("search", "-i", world / "index", *arguments)


def test_a_search_writes_a_sheet(world: Path, tmp_path: Path) -> None:
    done = ask(world, "harbor with ships", "-k", 5, "-o", tmp_path / "sheet.html")
    assert done.returncode == 0 and done.stdout == ""
    page = parse((tmp_path / "sheet.html").read_text("ascii"))
    cards = page.all("li", "card")
    assert 1 <= len(cards) <= 5 and all(card.all("img") for card in cards)
    assert page.all("image", "backdrop")
    again = ask(world, "harbor with ships", "-k", 5, "-o", tmp_path / "sheet.html")
    assert again.returncode == 1 and "--overwrite" in again.stderr


def test_a_sheet_goes_to_stdout_too(world: Path) -> None:
    done = ask(world, "forest", "-k", 2, "-f", "html")
    assert done.returncode == 0
    assert done.stdout.startswith("<!DOCTYPE html>")
    assert len(parse(done.stdout).all("li", "card")) <= 2


def test_several_questions_share_a_sheet(world: Path, tmp_path: Path) -> None:
    (tmp_path / "questions.txt").write_text("forest\nharbor\n")
    done = ask(world, "--queries", tmp_path / "questions.txt", "-k", 2, "-f", "html")
    assert [one.text for one in parse(done.stdout).all("h2")] == ["“forest”", "“harbor”"]


def test_a_file_of_hits_becomes_a_sheet(world: Path, tmp_path: Path) -> None:
    hits = tmp_path / "hits.geojson"
    ask(world, "harbor", "-k", 3, "-o", hits)
    sheet = tmp_path / "sheet.html"
    done = run("export", hits, "-o", sheet)
    assert done.returncode == 0 and "--allow-outside" in done.stderr
    assert not parse(sheet.read_text("ascii")).all("img")
    done = run("export", hits, "-o", sheet, "--overwrite", "--allow-outside", world)
    assert done.returncode == 0 and "--allow-outside" not in done.stderr
    assert parse(sheet.read_text("ascii")).all("img")


def test_python_writes_a_sheet(world: Path, tmp_path: Path) -> None:
    with georclip.open_index(world / "index") as index:
        path = index.search("beach", k=2).write(tmp_path / "sheet.html")
    assert parse(path.read_text("ascii")).all("li", "card")


def test_a_search_for_geojson_loads_nothing_of_it(world: Path) -> None:
    code = (
        "import json, sys\nfrom georclip.cli.main import main\n"
        f"try:\n    main({['search', 'forest', '-i', str(world / 'index'), '-k', '1']!r})\n"
        "except SystemExit:\n    pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert not loaded & {"rasterio", "georclip.export.sheet", "georclip.scenes.access"}
