"""Questions without torch: text towers kept in the cache, in an index, or carried in a folder."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from georclip.api import create_index, open_index
from georclip.cli.main import cli
from georclip.encoders import file_records, text_store
from georclip.encoders.bundle import read_bundle
from georclip.encoders.cache import text_folder
from georclip.encoders.loading import load_encoder
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.text_store import find_text_tower, keep_text_tower
from georclip.errors import EncoderError, EncoderMismatchError, ExportError
from georclip.testing import draw_scene
from tests.helpers_clip import register, write_clip
from tests.helpers_encoders import TINY, export_starter

pytestmark = pytest.mark.usefixtures("one_thread")
REPOSITORY = Path(__file__).parents[1]
WITHOUT_TORCH = """
import sys
for name in ("torch", "torchvision", "open_clip", "timm"):
    sys.modules[name] = None
from georclip.cli.main import main
main()
"""
QUESTION = ("search", "a harbor with ships", "-k", "20")


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(logging.getLogger("georclip"), "propagate", True)
    register(tmp_path)


@pytest.fixture
def scene(tmp_path):
    return draw_scene(tmp_path / "coast.tif", pixel_size_m=6).path


@pytest.fixture
def weights(tmp_path):
    return write_clip(tmp_path / "tiny.safetensors")


def call(*arguments):
    return CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)


def index(scene, weights, folder, *more):
    done = call("index", scene, "-i", folder, "--weights", weights, "--device", "cpu",
                "--chip-size", "64px", "--overlap", "0", *more)  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder


def without_torch(*arguments):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)


def ids(text):
    return [feature["properties"]["chip_id"] for feature in json.loads(text)["features"]]


def test_the_index_that_is_made_is_asked_without_torch(scene, weights, tmp_path):
    folder = index(scene, weights, tmp_path / "index")
    done = without_torch(*QUESTION, "-i", folder)
    assert done.returncode == 0, done.stderr
    with open_index(folder, weights=weights, device="cpu") as opened:
        by_torch = opened.search("a harbor with ships", k=20)
    assert ids(done.stdout) == [hit.chip.chip_id for hit in by_torch.hits]
    assert len(by_torch.hits) == 20


def test_a_portable_index_needs_nothing_of_this_machine(scene, weights, tmp_path):
    folder = index(scene, weights, tmp_path / "index", "--portable")
    assert not (tmp_path / "cache" / "text-towers").exists()
    shutil.rmtree(tmp_path / "cache")
    weights.unlink()
    moved = folder.rename(tmp_path / "elsewhere")
    done = without_torch(*QUESTION, "-i", moved)
    assert done.returncode == 0, done.stderr
    assert len(ids(done.stdout)) == 20
    assert call("verify", "-i", moved, "--full").exit_code == 0
    modes = {path.stat().st_mode & 0o777 for path in (moved / "encoder").iterdir()}
    assert len(modes) == 1  # whoever can read one file can read them all
    tower = moved / "encoder" / "text.safetensors"
    flip_a_byte(tower)
    assert call("verify", "-i", moved).exit_code == 0
    found = CliRunner().invoke(cli, ["verify", "-i", str(moved), "--full"])
    assert found.exit_code == 1
    assert "text.safetensors is damaged" in found.output
    done = without_torch(*QUESTION, "-i", moved)
    assert done.returncode == 1
    assert "a text tower is passed over" in done.stderr


def test_without_torch_and_tower_a_line_says_what_to_do(scene, weights, tmp_path):
    folder = index(scene, weights, tmp_path / "index")
    shutil.rmtree(tmp_path / "cache")
    done = without_torch(*QUESTION, "-i", folder)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"georclip models export {TINY} --weights tiny.safetensors -o DIR" in line
    assert "georclip index --portable" in line


def test_without_a_tower_torch_is_asked_and_the_next_question_is_quick(
    scene, weights, tmp_path, caplog
):
    folder = index(scene, weights, tmp_path / "index")
    shutil.rmtree(tmp_path / "cache" / "text-towers")
    with caplog.at_level("INFO", logger="georclip"):
        first = call(*QUESTION, "-i", folder, "--device", "cpu")
    assert "by way of torch" in caplog.text
    caplog.clear()
    with caplog.at_level("INFO", logger="georclip"):
        second = call(*QUESTION, "-i", folder, "--device", "cpu")
    assert caplog.text == ""
    assert ids(first.stdout) == ids(second.stdout)


@pytest.mark.parametrize("how", ["cut", "flipped", "zeros"])
def test_a_damaged_tower_is_named_passed_over_and_made_anew(
    scene, weights, tmp_path, caplog, monkeypatch, how
):
    folder = index(scene, weights, tmp_path / "index")
    (kept,) = (tmp_path / "cache" / "text-towers").iterdir()
    tower = kept / "text.safetensors"
    if how == "cut":
        tower.write_bytes(b"short")
    elif how == "flipped":
        flip_a_byte(tower)
    else:  # as after a power cut, in a file that is too large for a digest
        monkeypatch.setattr(file_records, "_DIGESTED_BYTES", 1000)
        tower.write_bytes(tower.read_bytes()[:500_000].ljust(tower.stat().st_size, b"\0"))
    done = call(*QUESTION, "-i", folder, "--device", "cpu")
    assert done.exit_code == 0
    assert "a text tower is passed over" in caplog.text
    assert "text.safetensors is " in caplog.text
    assert without_torch(*QUESTION, "-i", folder).returncode == 0  # made anew


def test_towers_of_another_model_are_passed_over(weights, tmp_path, caplog):
    encoder = load_encoder(weights=weights, device="cpu")
    other = load_encoder(weights=write_clip(tmp_path / "other.safetensors", seed=5), device="cpu")
    keep_text_tower(other)
    text_folder(other.spec).rename(text_folder(encoder.spec))
    assert find_text_tower(encoder.spec, text_folder(encoder.spec)) is None
    assert "text tower of another model" in caplog.text
    scaled = replace(encoder.spec, mean=(0.1, 0.2, 0.3), name="other name", licence="other")
    assert text_folder(scaled) == text_folder(encoder.spec)  # what only pictures see
    keep_text_tower(encoder)
    found = find_text_tower(encoder.spec, text_folder(encoder.spec))
    np.testing.assert_allclose(
        found.encode_texts(["a port"]), encoder.encode_texts(["a port"]), atol=2e-6
    )


def test_a_cache_that_cannot_be_written_is_said_and_no_error(
    scene, weights, tmp_path, monkeypatch, caplog
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "file" / "cache"))
    index(scene, weights, tmp_path / "index")
    assert "was not exported" in caplog.text


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_a_tower_that_cannot_be_written_costs_the_index_nothing(
    scene, weights, tmp_path, monkeypatch, caplog, error
):
    def fails(path, content):
        raise error

    monkeypatch.setattr("georclip.encoders.text_export.write_file", fails)
    folder = index(scene, weights, tmp_path / "index")
    assert "was not exported" in caplog.text
    assert call(*QUESTION, "-i", folder, "--device", "cpu").exit_code == 0
    assert not list((tmp_path / "cache" / "text-towers").iterdir())
    if isinstance(error, OSError):
        with pytest.raises(EncoderError, match=r"cannot be written to .*No space left"):
            call("index", scene, "-i", tmp_path / "two", "--weights", weights, "--portable")


def test_a_tower_that_another_process_made_meanwhile_stays(weights, monkeypatch):
    encoder = load_encoder(weights=weights, device="cpu")
    folder = text_folder(encoder.spec)
    write = text_store.write_text_tower

    def both(encoder, made):
        write(encoder, made)
        if not folder.exists():
            write(encoder, folder)
            (folder / "theirs").touch()

    monkeypatch.setattr(text_store, "write_text_tower", both)
    keep_text_tower(encoder)
    assert (folder / "theirs").exists()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_what_killed_exports_left_is_swept_away_after_a_day(weights, tmp_path):
    old, new = (tmp_path / "cache" / "text-towers" / name for name in (".new-a", ".new-b"))
    for left in (old, new):
        left.mkdir(parents=True)
    os.utime(old, (1, 1))
    keep_text_tower(load_encoder(weights=weights, device="cpu"))
    assert (old.exists(), new.exists()) == (False, True)


def test_the_device_that_was_asked_for_counts(scene, weights, tmp_path):
    folder = index(scene, weights, tmp_path / "index")
    with (
        pytest.raises(EncoderError, match="a device is one of"),
        open_index(folder, device="tpu") as opened,
    ):
        opened.search("a port")
    with pytest.raises(EncoderError, match="torch finds no CUDA GPU"):
        call(*QUESTION, "-i", folder, "--device", "cuda")


# --- towers carried in a folder --------------------------------------------------------------


def test_exported_towers_index_and_answer_without_torch(scene, weights, tmp_path):
    made = index(scene, weights, tmp_path / "made-by-torch")
    folder = tmp_path / "carried"
    done = call("models", "export", "auto", "--weights", weights, "-o", folder)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(folder)
    shutil.rmtree(tmp_path / "cache")
    carried = tmp_path / "made-by-the-export"
    done = without_torch("index", scene, "-i", carried, "--weights", folder, "--portable",
                         "--chip-size", "64px", "--overlap", "0")  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [
        without_torch(*QUESTION, "-i", made, "--weights", folder),
        without_torch(*QUESTION, "-i", carried),
    ]
    assert [one.returncode for one in answers] == [0, 0], answers
    first, second = (ids(one.stdout) for one in answers)
    assert len(set(first) & set(second)) >= 18  # fp16 weights may swap chips that are alike
    assert not (tmp_path / "cache" / "text-towers").exists()  # whose digest is only what it says
    shutil.rmtree(carried / "encoder")
    assert without_torch(*QUESTION, "-i", carried).returncode == 0  # the folder is remembered
    shutil.rmtree(tmp_path / "cache")
    done = without_torch(*QUESTION, "-i", carried)
    assert done.returncode == 1
    assert "made with carried, a folder of exported towers" in done.stderr


def test_a_text_tower_alone_answers_and_cannot_index(scene, weights, tmp_path):
    made = index(scene, weights, tmp_path / "index")
    folder = tmp_path / "text"
    assert call("models", "export", "auto", "--weights", weights, "-o", folder,
                "--text-only").exit_code == 0  # fmt: skip
    assert not (folder / "image.xml").exists()
    assert without_torch(*QUESTION, "-i", made, "--weights", folder).returncode == 0
    done = without_torch("index", scene, "-i", tmp_path / "new", "--weights", folder)
    assert done.returncode == 1
    assert "it answers questions, and embeds no picture" in done.stderr
    assert "without --text-only" in done.stderr
    assert not (tmp_path / "new").exists()


def test_an_export_of_another_model_is_refused(scene, weights, tmp_path):
    made = index(scene, weights, tmp_path / "index")
    other = write_clip(tmp_path / "other.safetensors", seed=5)
    call("models", "export", "auto", "--weights", other, "-o", tmp_path / "other")
    with pytest.raises(EncoderMismatchError, match="name the right file with --weights"):
        call(*QUESTION, "-i", made, "--weights", tmp_path / "other")


def test_what_cannot_be_exported_is_said(scene, weights, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    done = CliRunner().invoke(
        cli, ["models", "export", "auto", "--weights", str(weights), "-o", str(tmp_path / "full")]
    )
    assert "is in the way, and is no earlier export: name a new folder" in str(done.exception)
    towers = export_starter(tmp_path / "towers")
    with pytest.raises(EncoderError, match=r"is exported already: copy .*towers"):
        call("models", "export", "auto", "--weights", towers, "-o", tmp_path / "again")
    assert not (tmp_path / "again").exists()
    with pytest.raises(EncoderError, match="rename the folder"):
        call("index", scene, "-i", tmp_path / "i", "--weights",
             towers.rename(tmp_path / "starter"))  # fmt: skip
    done = without_torch("models", "export", "starter", "-o", tmp_path / "x")
    assert "starter is exported already: copy" in done.stderr
    done = without_torch("models", "export", "vit-b-32", "-o", tmp_path / "x")
    assert done.returncode == 1
    assert "needs torch: pip install" in done.stderr


def test_an_index_of_the_starter_is_portable_as_it_is(scene, tmp_path):
    with create_index(tmp_path / "index", model="starter") as made:
        made.make_portable()
    assert not (tmp_path / "index" / "encoder").exists()


def test_an_earlier_export_is_replaced_when_told_and_nothing_else_is(weights, tmp_path):
    folder, other = tmp_path / "towers", write_clip(tmp_path / "other.safetensors", seed=5)
    export = ("models", "export", "auto", "-o", folder, "--text-only", "--weights")
    assert call(*export, weights).exit_code == 0
    first = read_bundle(folder).spec.weights_sha256
    with pytest.raises(ExportError, match="replace it with --overwrite"):
        call(*export, other)
    assert read_bundle(folder).spec.weights_sha256 == first
    (folder / "text.safetensors").unlink()  # a damaged one, too
    assert call(*export, other, "--overwrite").exit_code == 0
    read_bundle(folder).check_whole()
    assert read_bundle(folder).spec.weights_sha256 != first
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match="no earlier export"):
        call(*export, weights, "--overwrite")
    assert (folder / "notes.txt").read_text() == "mine"
    left = {path.name for path in tmp_path.iterdir()}
    assert not {name for name in left if name.startswith(".") or name.endswith(".partial")}


def test_a_replacement_that_fails_leaves_the_earlier_export(weights, tmp_path, monkeypatch):
    folder = tmp_path / "towers"
    export = ("models", "export", "auto", "-o", folder, "--text-only", "--weights", weights)
    call(*export)
    replace_path = Path.replace

    def fails(self, target):
        if self.name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        return replace_path(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(ExportError, match="No space left"):
        call(*export, "--overwrite")
    read_bundle(folder).check_whole()
    assert not list(tmp_path.glob(".georclip-*"))


def test_a_link_to_an_export_stays_a_link(weights, tmp_path):
    folder, link = tmp_path / "towers", tmp_path / "link"
    call("models", "export", "auto", "-o", folder, "--text-only", "--weights", weights)
    link.symlink_to(folder, target_is_directory=True)
    done = call("models", "export", "auto", "-o", link, "--text-only", "--weights", weights,
                "--overwrite")  # fmt: skip
    assert done.stdout.strip() == str(link)
    assert link.is_symlink()
    read_bundle(folder).check_whole()


def test_pictures_for_a_text_tower_alone_are_one_clear_line(scene, weights, tmp_path):
    made = index(scene, weights, tmp_path / "index")
    folder = tmp_path / "text"
    call("models", "export", "auto", "--weights", weights, "-o", folder, "--text-only")
    other = draw_scene(tmp_path / "other.tif", pixel_size_m=6, seed=1).path
    before = read_chips(made)
    for arguments in (("index", other, "-i", made), ("index", other, "-i", tmp_path / "new")):
        done = without_torch(*arguments, "--weights", folder, "--chip-size", "64px")
        assert done.returncode == 1
        (line,) = [one for one in done.stderr.splitlines() if one.startswith("Error:")]
        assert "embeds no picture" in line and "Traceback" not in done.stderr
        assert str(folder) in line
    assert read_chips(made) == before
    with open_index(made, weights=folder) as opened, pytest.raises(EncoderError, match="picture"):
        opened.add(other)
    with pytest.raises(EncoderError, match="embeds no picture"):
        RuntimeEncoder.load(folder).encode_images(np.zeros((1, 3, 32, 32), dtype=np.uint8))


def read_chips(folder):
    with open_index(folder) as opened:
        return opened.info().chip_count
