"""Image towers in 8 bits: other vectors, under another digest, at a cost that is told."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from georclip.cli.main import cli
from georclip.encoders.bundle import read_bundle
from georclip.encoders.loading import STARTER_FOLDER
from georclip.encoders.quantising import LEAST_PICTURES, quantise_bundle
from georclip.encoders.runtime import RuntimeEncoder
from georclip.errors import EncoderError
from tests.helpers_encoders import cosines, pictures, shared_starter


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    """Forty pictures on disk, and something that is none."""
    made = tmp_path / "pictures"
    made.mkdir()
    for number, picture in enumerate(pictures(40, 50, 60)):
        Image.fromarray(picture.transpose(1, 2, 0)).save(made / f"{number}.png")
    (made / "broken.png").write_bytes(b"no picture")
    return made


def test_what_is_rounded_is_near_what_was_there(tmp_path):
    source, target = STARTER_FOLDER, tmp_path / "int8"
    done = quantise_bundle(source, pictures(80), target)
    before, after = RuntimeEncoder.load(source), RuntimeEncoder.load(target)
    pixels = pictures(9, seed=5)
    found, wanted = after.encode_images(pixels), before.encode_images(pixels)
    assert not np.allclose(found, wanted, atol=1e-5)
    assert cosines(found, wanted).min() > 0.95
    assert cosines(found, np.roll(wanted, 1, axis=0)).mean() < cosines(found, wanted).min()
    assert 0.95 < done.least_cosine <= done.mean_cosine <= 1.0
    assert done.pictures == 40
    texts = ["a harbor with ships"]
    np.testing.assert_array_equal(after.encode_texts(texts), before.encode_texts(texts))


def test_its_digest_is_another_and_weights_take_half_the_room(tmp_path):
    quantise_bundle(STARTER_FOLDER, pictures(LEAST_PICTURES), tmp_path / "int8")
    before, after = read_bundle(STARTER_FOLDER), read_bundle(tmp_path / "int8")
    assert after.spec.weights_sha256 != before.spec.weights_sha256
    assert after.precision == before.precision
    after.check_whole()
    assert after.files["image.bin"].bytes < 0.65 * before.files["image.bin"].bytes


def test_few_pictures_and_no_image_tower_are_refused(tmp_path):
    with pytest.raises(EncoderError, match=f"at least {LEAST_PICTURES} pictures, not 3"):
        quantise_bundle(shared_starter(), pictures(3), tmp_path / "int8")
    damaged = shutil.copytree(shared_starter(), tmp_path / "copy")
    (damaged / "image.bin").write_bytes(b"x" * (damaged / "image.bin").stat().st_size)
    with pytest.raises(EncoderError, match="damaged"):
        quantise_bundle(damaged, pictures(40), tmp_path / "int8")


def call(*arguments):
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def test_the_command_tells_the_cost(folder, tmp_path):
    out = tmp_path / "quick"
    done = call("models", "export", "auto", "--weights", shared_starter(),
                "--int8", folder, "-o", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}\n"
    assert "1 of 41 files are no pictures" in done.stderr
    assert "on 20 pictures that it was not calibrated on, cosine" in done.stderr
    assert RuntimeEncoder.load(out).encode_images(pictures(2)).shape == (2, 32)
    assert {path.name for path in tmp_path.iterdir()} == {"pictures", "quick"}


def test_the_command_refuses_what_cannot_be(folder, tmp_path):
    out = tmp_path / "quick"
    assert call("models", "export", "starter", "--int8", folder, "--text-only", "-o", out
                ).exit_code == 2  # fmt: skip
    (tmp_path / "empty").mkdir()
    done = call("models", "export", "starter", "--int8", tmp_path / "empty", "-o", out)
    assert "there are no pictures in" in str(done.exception)
    assert not out.exists()
