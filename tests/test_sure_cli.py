"""How sure answers are, and where in a chip they lie, through real processes on the drawn coast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

import georclip
from georclip.testing import DrawnScene, draw_scene
from tests.test_cli import assert_one_line_error
from tests.test_cli import georclip as run


@pytest.fixture(scope="module")
def coast(tmp_path_factory: pytest.TempPathFactory) -> DrawnScene:
    """The drawn coast at 2 m, in an index beside it."""
    scene = draw_scene(tmp_path_factory.mktemp("sure") / "coast.tif", pixel_size_m=2)
    done = run("index", scene.path, "-i", scene.path.parent / "index", "--model", "starter")
    assert done.returncode == 0, done.stderr
    return scene


def search(coast: DrawnScene, *arguments: object) -> tuple[dict[str, Any], str]:
    done = run("search", *arguments, "-i", coast.path.parent / "index")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_a_chip_asked_for_its_likes_convinces_by_itself(coast: DrawnScene) -> None:
    there, _ = search(coast, "forest", "-k", 1)
    own = there["features"][0]["properties"]["chip_id"]
    found, told = search(coast, "--like-hit", own, "-k", 1, "--min-confidence", 0.9)
    first = found["features"][0]["properties"]
    assert first["chip_id"] == own
    assert first["convincing"] is True
    assert "convincing" not in told


def test_what_is_there_convinces_and_what_is_not_does_not(coast: DrawnScene) -> None:
    there, quiet = search(coast, "forest")
    first = there["features"][0]["properties"]
    assert 0.5 <= first["confidence"] <= 1
    assert first["convincing"] is there["georclip"]["convincing"] is True
    assert "convincing" not in quiet
    absent, told = search(coast, "railway station")
    assert "Nothing convincing was found" in told
    assert absent["features"]  # what comes nearest is shown all the same
    assert absent["georclip"]["convincing"] is False
    for feature in absent["features"]:
        assert feature["properties"]["convincing"] is False
        assert 0 <= feature["properties"]["confidence"] < 0.5


def test_a_least_confidence_leaves_out_what_is_less_sure(coast: DrawnScene) -> None:
    everything, _ = search(coast, "forest", "-k", 50)
    sure, _ = search(coast, "forest", "-k", 50, "--min-confidence", 0.5)
    wanted = {f["id"] for f in everything["features"] if f["properties"]["confidence"] >= 0.5}
    assert wanted <= {f["id"] for f in sure["features"]}
    assert 0 < len(sure["features"]) < len(everything["features"])
    assert all(f["properties"]["confidence"] >= 0.5 for f in sure["features"])
    none, told = search(coast, "railway station", "--min-confidence", 0.5)
    assert none["features"] == []
    assert "No chip answers with a confidence of 0.5 or more" in told
    refused = run("search", "forest", "--min-confidence", 2, "-i", coast.path.parent / "index")
    assert refused.returncode == 2


def test_how_sure_a_hit_is_does_not_depend_on_how_many_are_asked_for(coast: DrawnScene) -> None:
    with georclip.open_index(coast.path.parent / "index") as index:
        answers = [index.search("farmland", k=k, grouping="none") for k in (1, 7, 60)]
        together = index.search_many(["farmland"] * 20, k=7, grouping="none")
    for answer in (*answers, *together):
        for hit, other in zip(answer.hits, answers[-1].hits, strict=False):
            assert hit.chip.chip_id == other.chip.chip_id
            assert hit.confidence == pytest.approx(other.confidence, abs=1e-9)


def test_several_questions_are_told_apart_by_what_convinces(coast: DrawnScene) -> None:
    done = run(
        "search", "--queries", "-", "-i", coast.path.parent / "index",
        stdin="forest\nrailway station\n",
    )  # fmt: skip
    assert "Nothing convincing was found for 1 of 2 questions: railway station" in done.stderr


def test_zooming_in_shrinks_footprints_and_nothing_else(coast: DrawnScene) -> None:
    plain, _ = search(coast, "storage tanks", "-k", 3)
    zoomed, _ = search(coast, "storage tanks", "-k", 3, "--zoom-in")
    for before, after in zip(plain["features"], zoomed["features"], strict=True):
        outline, part = (shapely.from_geojson(json.dumps(f["geometry"])) for f in (before, after))
        assert part.area <= 0.55 * outline.area
        assert part.intersection(outline).area >= 0.99 * part.area
        for name in ("rank", "score", "chip_id", "confidence", "members", "scale"):
            assert before["properties"][name] == after["properties"][name]


def test_an_index_of_an_earlier_version_has_no_confidence_until_it_is_written_to(
    coast: DrawnScene, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    assert run("index", coast.path, "-i", folder, "--model", "starter").returncode == 0
    for file in (folder / "background.npy", *(folder / "references").iterdir()):
        file.unlink()
    manifest = json.loads((folder / "index.json").read_text())
    manifest["files"] = {n: f for n, f in manifest["files"].items() if n.startswith("segments/")}
    (folder / "index.json").write_text(json.dumps(manifest))
    old = run("search", "forest", "-k", 1, "-i", folder)
    (feature,) = json.loads(old.stdout)["features"]
    assert feature["properties"]["confidence"] is feature["properties"]["convincing"] is None
    refused = run("search", "forest", "--min-confidence", 0.5, "-i", folder)
    assert_one_line_error(refused, "does not say how sure", "georclip index")
    assert run("index", coast.path, "-i", folder).returncode == 0  # unchanged, but looked after
    new = run("search", "forest", "-k", 1, "-i", folder)
    (feature,) = json.loads(new.stdout)["features"]
    assert feature["properties"]["convincing"] is True
