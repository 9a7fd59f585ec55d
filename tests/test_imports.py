"""What is loaded when: the command line stays light."""

import json
import subprocess
import sys

import pytest

import georclip
from georclip.testing import draw_scene
from georclip.values import ChipPlan

HEAVY = ("torch", "faiss", "rasterio", "geopandas", "openvino", "numpy", "shapely", "PIL")

LOADED = """
import json, sys
from georclip.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    pass
print(json.dumps(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr)
"""


def loaded_by(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=[str(a) for a in arguments])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(json.loads(done.stderr.splitlines()[-1])), done


@pytest.mark.parametrize(
    "command",
    ["index", "search", "feedback", "heatmap", "changes", "export", "info", "list", "remove",
     "relocate", "verify", "compact", "models", "train", "evaluate"],
)  # fmt: skip
def test_every_command_has_help_with_an_example_and_loads_nothing_heavy(command):
    modules, done = loaded_by(command, "--help")
    assert not modules & set(HEAVY)
    assert "Example" in done.stdout
    assert f"georclip {command}" in done.stdout
    assert r"\b" not in done.stdout


def test_help_loads_nothing_heavy():
    modules, done = loaded_by("--help")
    assert not modules & set(HEAVY)
    assert "search" in done.stdout


def test_importing_georclip_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", "import georclip, sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not set(done.stdout.split()) & set(HEAVY)


@pytest.fixture
def starter_index(tmp_path):
    scene = draw_scene(tmp_path / "coast.tif", pixel_size_m=10)
    plan = ChipPlan(size=128, unit="px")
    with georclip.create_index(tmp_path / "index", model="starter", plan=plan) as index:
        index.add(scene.path)
    return tmp_path / "index"


def test_a_search_with_a_bbox_loads_no_torch_geopandas_or_rasterio(starter_index):
    modules, done = loaded_by(
        "search", "forest", "-i", starter_index, "--bbox", "-180,-90,180,90", "-k", "1"
    )
    assert '"FeatureCollection"' in done.stdout
    assert not modules & {"torch", "geopandas", "rasterio", "pandas", "pyproj"}


def test_the_public_names_are_pinned():
    assert georclip.__all__ == [
        "CaptionError", "EncoderError", "EncoderMismatchError", "ExportError", "GeorclipError",
        "Index", "IndexCorruptError", "IndexFormatError", "QueryError", "SceneError",
        "SearchResult", "__version__", "create_index", "open_index",
    ]  # fmt: skip
    for name in georclip.__all__:
        assert getattr(georclip, name) is not None
    with pytest.raises(AttributeError):
        _ = georclip.nonsense
