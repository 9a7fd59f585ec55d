from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from georclip.cli.models import models
from georclip.encoders import listing
from georclip.encoders.registry import MODELS, get
from georclip.encoders.weights import weights_place
from georclip.errors import EncoderError
from tests.helpers_encoders import serve, shared_starter


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path):
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(listing, "STARTER_FOLDER", shared_starter())


def call(*words):
    return CliRunner().invoke(models, words, catch_exceptions=False)


def test_the_table_has_every_model_and_says_where_its_weights_are():
    place = weights_place(get("remoteclip-rn50"))
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    lines = call("list").stdout.splitlines()
    assert lines[0].split() == "name architecture dim image px ground m weights licence".split()
    rows = {line.split()[0]: line for line in lines[1:]}
    assert list(rows) == list(MODELS)
    assert "in the box" in rows["starter"]
    assert "research use" in rows["starter"]  # what its own record says
    assert "77/300/4800" in rows["starter"]
    assert "on this machine" in rows["remoteclip-rn50"]
    assert "to fetch" in rows["remoteclip-vit-b-32"]
    assert "512" in rows["remoteclip-vit-b-32"]


def test_notes_go_to_stderr():
    result = call("list")
    assert "awaits proof" in result.stderr
    assert "awaits proof" not in result.stdout


def test_list_is_what_happens_without_a_subcommand():
    assert call().stdout == call("list").stdout


def test_a_damaged_starter_is_shown_and_does_not_hide_the_rest(monkeypatch, tmp_path):
    monkeypatch.setattr(listing, "STARTER_FOLDER", tmp_path)
    result = call("list")
    assert "damaged" in result.stdout
    assert "remoteclip-vit-l-14" in result.stdout
    assert "holds no encoder" in result.stderr


def test_fetch_prints_the_path_and_nothing_else(monkeypatch):
    with serve() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.put("/chendelong/RemoteCLIP/resolve/main/RemoteCLIP-ViT-B-32.pt", b"weights")
        result = call("fetch", "remoteclip-vit-b-32")
    assert result.exit_code == 0
    path = weights_place(get("remoteclip-vit-b-32"))
    assert result.stdout == f"{path}\n"
    assert path.read_bytes() == b"weights"


def test_the_starter_needs_no_fetching():
    result = call("fetch", "starter")
    assert result.exit_code == 0
    assert "in the box" in result.stderr


def test_fetch_of_what_is_not_there():
    with pytest.raises(EncoderError, match="there are: starter"):
        call("fetch", "clip")
    with pytest.raises(EncoderError, match="copy the file to"):
        call("fetch", "remoteclip-rn50")


def test_help_has_examples():
    assert "georclip models fetch remoteclip-vit-b-32" in call("--help").output
    assert "georclip models fetch" in call("fetch", "--help").output
    assert call("fetch").exit_code == 2


def test_listing_loads_nothing_heavy():
    script = """
import sys
from georclip.cli.models import models
models(["list"], standalone_mode=False)
heavy = {"torch", "open_clip", "openvino", "faiss", "rasterio", "geopandas", "huggingface_hub"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
