"""`georclip train` as people call it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from click.testing import CliRunner

from georclip.cli.index import index
from georclip.cli.main import cli
from georclip.cli.train import train as command
from georclip.encoders.compact import read_compact
from georclip.encoders.compact_shapes import ARCHITECTURES
from georclip.encoders.loading import load_encoder
from georclip.encoders.preprocessing import CLIP_MEAN, CLIP_STD, preprocess
from georclip.errors import CaptionError
from georclip.testing import draw_scene
from georclip.training import loop
from georclip.training.checkpoint import checkpoint_path
from georclip.training.models.compact_model import DEFAULT_ARCHITECTURE
from tests import train_killed
from tests.helpers_clip import register, weights_of, write_clip
from tests.helpers_encoders import TINY, pictures
from tests.helpers_training import draw_captioned

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    """One thread, and no cache of the user's."""
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def captioned(tmp_path):
    return draw_captioned(tmp_path)


def call(captioned, output, *more):
    file, folder = captioned
    arguments = [str(file), "--images", str(folder), "-o", str(output), "--threads", "1"]
    return CliRunner().invoke(command, [*arguments, *map(str, more)], catch_exceptions=False)


# --- a checkpoint is tuned -------------------------------------------------------------------


def test_tuning_a_checkpoint_with_all_that_there_is(tmp_path, captioned, caplog, monkeypatch):
    register(tmp_path)
    monkeypatch.setattr(loop.log, "propagate", True)
    others = draw_captioned(tmp_path / "others", per_class=2, held_out=0, seed=5)
    start = write_clip(tmp_path / "start.safetensors")
    output = tmp_path / "tuned.safetensors"
    with caplog.at_level("INFO", logger="georclip"):
        result = call(
            captioned, output, "--weights", start, "--lora", 2, "--freeze", 1, "--wise", 0.5,
            "--epochs", 2, "--batch-size", 8, "--accum", 2, "--checkpointing", "--half",
            "--patience", 3, "--choose-by", "precision", "--precision", "fp32",
            "--forgetting", others[0], "--forgetting-images", others[1], "--quiet",
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(output)
    assert f"training {TINY} from start.safetensors on cpu in fp32: 2 epochs of 3" in caplog.text
    assert "learning rate 0.0002" in caplog.text
    record = json.loads((tmp_path / "tuned.training.json").read_text())
    assert record["settings"]["frozen"] == 1
    assert record["settings"]["choose_by"] == "precision"
    assert record["started_from"]["name"] == "start.safetensors"
    assert record["before"]["forgetting"][0]["images"] == 6
    assert record["data"]["caption_files"][0]["name"] == "captions.json"
    assert (tmp_path / "tuned.training.png").is_file()
    encoder = load_encoder(weights=output, device="cpu")
    assert encoder.spec.licence.startswith("MIT; tuned: ")
    assert encoder.encode_texts(["a port"]).shape == (1, 32)


def test_pictures_that_are_learnt_tell_nothing_about_forgetting(tmp_path, captioned):
    with pytest.raises(CaptionError, match=r"30 pictures of --forgetting .* are learnt as well"):
        call(captioned, tmp_path / "o.safetensors", "--from-scratch", "--batch-size", 8,
             "--forgetting", captioned[0], "--forgetting-images", captioned[1])  # fmt: skip


def test_forgetting_is_read_as_captions_are(tmp_path, captioned, monkeypatch):
    """A table with the same separator and columns; nothing but its pictures is missing."""
    others = tmp_path / "others.csv"
    others.write_text("what|where\na red port|gone.png\n")
    with pytest.raises(CaptionError, match=r"1 of 40 images are missing: .*gone.png"):
        call(captioned, tmp_path / "o.safetensors", "--from-scratch", "--architecture",
             "starter-tiny", "--image-size", 32, "--batch-size", 8, "--quiet",
             "--forgetting", others, "--separator", "|", "--image-column", "where",
             "--caption-column", "what")  # fmt: skip


def test_captions_that_are_cut_and_missing_pictures_are_said_before_training(
    tmp_path, captioned, caplog, monkeypatch
):
    monkeypatch.setattr(loop.log, "propagate", True)
    file, folder = captioned
    content = json.loads(file.read_text())
    content["images"][0]["sentences"] = [{"raw": "green farmland " * 40}]
    file.write_text(json.dumps(content))
    tiny = ["--from-scratch", "--architecture", "starter-tiny", "--image-size", 32, "--quiet"]
    tiny += ["--batch-size", 8, "--epochs", 1, "--precision", "fp32"]
    result = call(captioned, tmp_path / "o.safetensors", *tiny)
    assert result.exit_code == 0
    assert "1 of 77 captions are longer than the 32 tokens" in caplog.text
    (folder / "farmland_0.png").unlink()
    (folder / "Port_2.png").write_bytes(b"no picture")
    with pytest.raises(
        CaptionError, match=r"1 of 39 images are missing.*1 of 39 images are broken"
    ):
        call(captioned, tmp_path / "p.safetensors", *tiny)
    assert not (tmp_path / "p.safetensors").exists()


def test_the_help_lists_options_in_groups():
    shown = CliRunner().invoke(cli, ["train", "--help"]).stdout
    headings = ["Start:", "Captions:", "Views of the pictures:", "Learning:", "What is kept:"]
    places = [shown.index(heading) for heading in [*headings, "Machine:", "Other options:"]]
    assert places == sorted(places)
    assert places[3] < shown.index("--lora RANK") < places[4]
    assert shown.count("--images DIRECTORY") == 1
    assert "--resume" in shown[places[-1] :]


# --- random weights of the architectures that people use -------------------------------------


@pytest.mark.parametrize("architecture", ["RN50", "ViT-B-32"])
def test_a_few_steps_from_random_weights(architecture, tmp_path, monkeypatch):
    """The loss falls, and the file loads in open_clip and makes an index."""
    monkeypatch.setattr(loop, "save_state", lambda *_: None)  # gigabytes, six times
    output = tmp_path / "new.safetensors"
    captioned = draw_captioned(tmp_path, per_class=3, held_out=0)
    result = call(
        captioned, output, "--from-scratch", "--architecture", architecture, "--image-size", 64,
        "--epochs", 6, "--batch-size", 9, "--learning-rate", 3e-5, "--validate-every", 6,
        "--captions-per-image", 1, "--prompt-share", 0, "--smallest-crop", 0.9,
        "--precision", "bf16", "--averaging", 0.5, "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    losses = [e["loss"] for e in json.loads((tmp_path / "new.training.json").read_text())["epochs"]]
    assert np.mean(losses[-2:]) < losses[0] - 0.3, losses
    sentence = ["a harbor with ships"]
    encoder = load_encoder(weights=output, device="cpu")
    pixels = pictures(1, 64, 64)
    other = open_clip.create_model(architecture, pretrained=str(output), force_image_size=64)
    ready = torch.from_numpy(preprocess(pixels, 64, CLIP_MEAN, CLIP_STD))
    with torch.no_grad():
        image = other.eval().encode_image(ready, normalize=True)
        text = other.encode_text(open_clip.get_tokenizer(architecture)(sentence), normalize=True)
    np.testing.assert_allclose(encoder.encode_images(pixels), image, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_texts(sentence), text, atol=1e-5)
    del encoder, other
    scene = draw_scene(tmp_path / "coast.tif", pixel_size_m=10)
    arguments = [str(scene.path), "-i", str(tmp_path / "index"), "--weights", str(output)]
    arguments += ["--chip-size", "128px", "--overlap", "0", "--device", "cpu", "--quiet"]
    indexed = CliRunner().invoke(index, arguments, catch_exceptions=False)
    assert indexed.exit_code == 0, indexed.output
    manifest = json.loads((tmp_path / "index" / "index.json").read_text())
    assert architecture in json.dumps(manifest)


# --- killed by the system --------------------------------------------------------------------


def test_a_process_that_was_killed_goes_on_to_the_same_weights(tmp_path, captioned):
    whole, killed = tmp_path / "whole" / "killed.safetensors", tmp_path / "killed.safetensors"
    whole.parent.mkdir()
    arguments = [sys.executable, "-m", "tests.train_killed", *map(str, (*captioned, killed))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(arguments, cwd=REPOSITORY, env=environment) as process:
        deadline = time.monotonic() + 120
        while not checkpoint_path(killed).exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert checkpoint_path(killed).exists()
    assert not killed.exists()
    train_killed.run(*captioned, killed, resume=True)
    train_killed.run(*captioned, whole)
    expected, found = weights_of(whole), weights_of(killed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert read_compact(killed)[1].name == "killed"


def test_weights_that_are_there_are_not_replaced_by_chance(tmp_path, captioned):
    output = tmp_path / "mine.safetensors"
    output.write_text("hours of work")
    tiny = ["--from-scratch", "--architecture", "starter-tiny", "--image-size", 32, "--quiet"]
    tiny += ["--batch-size", 8, "--epochs", 1, "--precision", "fp32"]
    refused = call(captioned, output, *tiny)
    assert refused.exit_code == 2
    assert "exists: --overwrite replaces it, --resume goes on" in refused.stderr
    assert output.read_text() == "hours of work"
    assert call(captioned, output, *tiny, "--overwrite").exit_code == 0
    assert read_compact(output)[1].name == "mine"


def test_a_model_without_a_ground_size_is_said(tmp_path, captioned, caplog, monkeypatch):
    monkeypatch.setattr(loop.log, "propagate", True)
    tiny = ["--from-scratch", "--architecture", "starter-tiny", "--image-size", 32, "--quiet"]
    tiny += ["--batch-size", 8, "--epochs", 1, "--precision", "fp32"]
    assert call(captioned, tmp_path / "one.safetensors", *tiny).exit_code == 0
    assert "no --ground-size: georclip index" in caplog.text
    caplog.clear()
    sized = call(captioned, tmp_path / "two.safetensors", *tiny, "--ground-size", "75,400,2000")
    assert sized.exit_code == 0
    assert "--ground-size" not in caplog.text


def test_architectures_in_the_help_are_those_there_are():
    shown = " ".join(CliRunner().invoke(cli, ["train", "--help"]).stdout.split())
    assert f"from scratch: {', '.join(ARCHITECTURES)}" in shown.replace("- ", "-")
    assert DEFAULT_ARCHITECTURE == next(iter(ARCHITECTURES))


@pytest.mark.parametrize("where", ["captions", "--forgetting"])
def test_a_caption_file_that_is_not_there_is_named_at_once(tmp_path, captioned, where):
    given = ["no.csv"] if where == "captions" else [str(captioned[0]), where, "no.csv"]
    arguments = [sys.executable, "-X", "importtime", "-m", "georclip.cli.main", "train", *given]
    arguments += ["--images", str(captioned[1]), "-o", str(tmp_path / "w.safetensors")]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Error: there is no caption file no.csv"
    assert "| torch" not in done.stderr


def test_a_picture_folder_that_is_not_there_is_named(tmp_path, captioned):
    file, _ = captioned
    arguments = [
        str(file),
        "--images",
        str(tmp_path / "nodir"),
        "-o",
        str(tmp_path / "w.safetensors"),
    ]
    with pytest.raises(CaptionError, match=r"there is no image folder .*nodir"):
        CliRunner().invoke(command, [*arguments, "--from-scratch"], catch_exceptions=False)
