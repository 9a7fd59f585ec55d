"""Everything in the README that can be run is run, in its order, in one folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from georclip.encoders.loading import STARTER_FOLDER
from georclip.testing import draw_scene
from tests.helpers_training import draw_captioned

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

NOT_RUN = {
    "source .venv/bin/activate": "made by make demo; the test has its own environment",
    "make demo": "makes a virtual environment; examples/demo.py has its own test",
    "make test": "runs this suite",
    "georclip models fetch remoteclip-vit-b-32": "downloads 600 MB",
    "georclip index scenes/ --model remoteclip-vit-b-32 -i with-remoteclip": "needs those weights",
    "georclip index scenes/ --model remoteclip-vit-b-32 -i to-give-away --portable": "as above",
    "georclip models export remoteclip-vit-b-32 -o remoteclip": "as above; one is exported later",
    'georclip search "harbor with ships" -i with-remoteclip --weights remoteclip': "as above",
    "georclip train captions.json --images images -o tuned.safetensors --freeze 6 --wise 0.5": (
        "needs RemoteCLIP's weights; test_train_cli runs small ones"
    ),
    "georclip train captions.json --images images -o adapted.safetensors --model laion-vit-b-32 "
    "--lora 8": "needs LAION's weights; test_clip_training runs a small one",
    "georclip train captions.csv --images images -o new.safetensors --from-scratch --imagenet "
    "--ground-size 75,400,2000": "trains for an hour; test_training runs a small one",
    "georclip evaluate dataset_RSITMD.json dataset_rsicd.json dataset_ucm.json --images rsitmd "
    "--images rsicd --images ucm --published remoteclip --weights remoteclip-weights "
    "--activation both": "needs RemoteCLIP's weights and three data sets",
}
"""Commands of the README that this test leaves out, and why."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language):
    return [body for kind, body in _FENCE.findall(README) if kind == language]


def commands():
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [" ".join(line.split("  #")[0].split()) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Scenes and an area with the names that the README uses."""
    if not (STARTER_FOLDER / "encoder.json").is_file():
        pytest.skip("this checkout holds no starter weights")
    folder = tmp_path_factory.mktemp("readme")
    draw_scene(folder / "scene.tif", pixel_size_m=3)
    draw_captioned(folder, per_class=12, held_out=12)
    draw_scene(folder / "later.tif", pixel_size_m=3, seed=1)
    (folder / "scenes").mkdir()
    draw_scene(folder / "scenes" / "one.tif", pixel_size_m=6)
    draw_scene(folder / "scenes" / "two.tif", pixel_size_m=6, seed=1)
    (folder / "area.geojson").write_text(
        '{"type": "Polygon", "coordinates": [[[-8.92, 40], [-8.87, 40], [-8.87, 40.03],'
        " [-8.92, 40.03], [-8.92, 40]]]}",
        encoding="utf-8",
    )
    return folder


def environment():
    """A path that finds `georclip` as the running interpreter has it."""
    found = dict(os.environ, PYTHONPATH=str(ROOT))
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found["PATH"]])
    found.pop("GEORCLIP_INDEX", None)
    return found


def run(command, folder):
    if shutil.which("georclip", path=environment()["PATH"]) is None:
        command = re.sub(r"^georclip\b", f"{sys.executable} -m georclip.cli.main", command)
    shell = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(
        shell, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300
    )


def test_every_code_block_is_of_a_known_kind():
    kinds = {kind for kind, _ in _FENCE.findall(README)}
    assert kinds == {"bash", "python", "text"}, "blocks of another kind are run by no test"


def test_list_of_commands_not_run_holds_only_commands_of_the_readme():
    assert set(NOT_RUN) <= set(commands())


def test_commands_run_in_order(folder):
    ran = [command for command in commands() if command not in NOT_RUN]
    assert len(ran) > 15
    for command in ran:
        done = run(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert "Traceback" not in done.stderr, command


def test_python_blocks_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    ran = blocks("python")
    assert len(ran) >= 2
    for number, body in enumerate(ran):
        exec(compile(body, f"README block {number}", "exec"), {"__name__": "readme"})
    assert (folder / "from-python.gpkg").is_file()
    assert (folder / "coast.tif").is_file()


def test_first_lines_say_what_it_is_and_is_not():
    head = "\n".join(README.splitlines()[:12])
    for word in ("sentence", "satellite", "neither", "GeoRSCLIP", "GeoCLIP"):
        assert word in head


def test_files_that_the_readme_names_exist():
    named = set(re.findall(r"`((?:georclip|examples|tests)/[\w/.-]+|[\w]+/[\w]+\.py)`", README))
    assert named
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "georclip" / name).exists(), name


def test_rooms_that_the_readme_names_exist():
    table = README[README.index("| room |") : README.index("What differs")]
    for name in re.findall(r"`([\w]+(?:/|\.py))`", table):
        assert (ROOT / "georclip" / name).exists(), name


def test_layers_in_the_readme_are_those_that_are_checked():
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    checked = [
        {name.strip().removeprefix("georclip.") for name in re.split(r"[:|]", layer)}
        for layer in reversed(layers)
    ]
    (drawn,) = (body for body in blocks("text") if body.startswith("errors"))
    shown = [{name.strip() for name in re.split(r"[,|]", layer)} for layer in drawn.split("<-")]
    assert shown == checked


def test_nothing_names_a_machine():
    """No file of the project holds a path or host of the machines that it was built on."""
    home, work = "/" + "root/", "/" + "work/"
    strange = [home, work, "/" + "tmp/georclip", "." + "library", "farm" + "-"]
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".bin", ".safetensors"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not [word for word in strange if word in text], name
