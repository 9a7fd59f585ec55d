from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from georclip.encoders import file_records
from georclip.encoders.image_tower import IMAGE_BATCH
from georclip.encoders.runtime import RuntimeEncoder
from georclip.errors import EncoderError, QueryError
from tests.helpers_encoders import (
    cosines,
    pictures,
    shared_starter,
    starter_spec,
)


@pytest.fixture(scope="module")
def exported():
    return shared_starter()


@pytest.fixture
def folder(exported, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(exported, tmp_path / "encoder")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)


def test_says_what_it_is(exported):
    encoder = RuntimeEncoder.load(exported)
    assert encoder.spec.name == "starter"
    assert encoder.spec.ground_size_m == (77.0, 300.0, 4800.0)
    assert encoder.spec.dim == starter_spec().dim
    assert encoder.device == "cpu (OpenVINO)"
    assert RuntimeEncoder.load(exported, name="mine").spec.name == "mine"


def test_unit_rows_for_texts_and_pictures(exported):
    encoder = RuntimeEncoder.load(exported)
    texts = encoder.encode_texts(["a harbor", "two lakes in a forest", "a harbor"])
    images = encoder.encode_images(pictures(2 * IMAGE_BATCH + 3))
    for rows, count in ((texts, 3), (images, 2 * IMAGE_BATCH + 3)):
        assert rows.shape == (count, 32)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(texts[0], texts[2])
    assert cosines(texts[:1], texts[1:2])[0] < 0.999


def test_a_picture_does_not_depend_on_its_batch(exported):
    encoder = RuntimeEncoder.load(exported)
    pixels = pictures(IMAGE_BATCH + 5, 100, 60)
    together = encoder.encode_images(pixels)
    alone = np.concatenate([encoder.encode_images(pixels[n : n + 1]) for n in range(len(pixels))])
    assert cosines(together, alone).min() > 0.99999
    backwards = encoder.encode_images(pixels[::-1])[::-1]
    assert cosines(together, backwards).min() > 0.99999
    assert cosines(together[:-1], together[1:]).min() < 0.999


def test_no_picture_and_no_text(exported):
    encoder = RuntimeEncoder.load(exported)
    assert encoder.encode_images(np.empty((0, 3, 5, 5), np.uint8)).shape == (0, 32)
    assert encoder.encode_texts([]).shape == (0, 32)


def test_unknown_words_are_named(exported):
    encoder = RuntimeEncoder.load(exported)
    assert encoder.unknown_words("a harbor with zeppelins") == ("zeppelin",)
    assert encoder.unknown_words("many ships") == ()


def test_a_question_of_unknown_words_names_near_ones(exported):
    encoder = RuntimeEncoder.load(exported)
    with pytest.raises(QueryError, match=r"no word of 'harbxr'.*harbor"):
        encoder.encode_texts(["a river", "harbxr"])


@pytest.mark.parametrize("text", ["", "  \n", "?!", "with the"])
def test_a_question_without_content_is_refused(exported, text):
    with pytest.raises(QueryError, match="say in words"):
        RuntimeEncoder.load(exported).encode_texts([text])


def test_wrong_pixels_are_refused(exported):
    with pytest.raises(EncoderError, match="uint8"):
        RuntimeEncoder.load(exported).encode_images(np.zeros((1, 3, 8, 8), np.float32))


@pytest.mark.parametrize("name", ["image.bin", "text.safetensors", "vocabulary.txt"])
def test_a_missing_or_short_file_is_found_at_once(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EncoderError, match=rf"{name} is \d+ bytes, not \d+; reinstall"):
        RuntimeEncoder.load(folder)
    path.unlink()
    with pytest.raises(EncoderError, match=rf"{name} is missing"):
        RuntimeEncoder.load(folder)


@pytest.mark.parametrize("name", ["text.safetensors", "vocabulary.txt"])
def test_a_flipped_bit_is_found_when_a_text_is_encoded(folder, name):
    flip_a_byte(folder / name)
    encoder = RuntimeEncoder.load(folder)
    with pytest.raises(EncoderError, match=rf"{name} is damaged"):
        encoder.encode_texts(["harbor"])


def test_a_search_leaves_the_image_tower_alone(folder):
    flip_a_byte(folder / "image.bin")
    encoder = RuntimeEncoder.load(folder)
    assert encoder.encode_texts(["harbor"]).shape == (1, 32)
    with pytest.raises(EncoderError, match=r"image.bin is damaged"):
        encoder.encode_images(pictures(1))


def test_no_encoder_there(tmp_path):
    with pytest.raises(EncoderError, match=r"holds no encoder: encoder.json is missing"):
        RuntimeEncoder.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "format 9, this georclip reads 2: update"),
        ({"format": 1}, "format 1, this georclip reads 2: export the model again"),
        ({"tokenizer": "runes"}, "tokenizer 'runes' is not known"),
        (
            {"text": {"layers": 1, "heads": 0, "pooling": "end", "activation": "gelu"}},
            "0 is no whole number",
        ),
        ({"spec": {"name": "x"}}, "cannot be understood"),
        ({"files": {"image.bin": 3}}, "cannot be understood"),
    ],
)
def test_a_record_of_another_kind_is_refused(folder, change, message):
    path = folder / "encoder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(EncoderError, match=message):
        RuntimeEncoder.load(folder)


def test_a_broken_record_is_refused(folder):
    (folder / "encoder.json").write_text('{"format": 2,')
    with pytest.raises(EncoderError, match=r"encoder.json cannot be read"):
        RuntimeEncoder.load(folder)


def test_a_file_that_is_not_what_its_record_says(folder):
    """Digests of large files are not looked at, so that a file's own form must tell."""
    path = folder / "text.safetensors"
    path.write_bytes(b"\xff" * path.stat().st_size)
    encoder = RuntimeEncoder.load(folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(file_records, "_DIGESTED_BYTES", 10)
        with pytest.raises(EncoderError, match="is damaged"):
            encoder.encode_texts(["harbor"])


def test_runs_without_torch(exported, tmp_path):
    script = f"""
import sys
for name in ("torch", "torchvision", "open_clip", "geopandas", "rasterio"):
    sys.modules[name] = None
import numpy as np
from georclip.encoders.loading import load_encoder
encoder = load_encoder(weights={str(exported)!r})
texts, images = encoder.encode_texts(["harbor"]), np.zeros((2, 3, 9, 9), np.uint8)
assert "openvino" not in sys.modules, "a question has no time for it"
print(texts.shape, encoder.encode_images(images).shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(1, 32) (2, 32)\n"


def test_an_interrupt_after_towers_have_gone_is_an_interrupt(exported):
    script = """
import os, signal, sys, time
import numpy as np
from georclip.encoders.runtime import RuntimeEncoder

pixels = np.zeros((2, 3, 64, 64), np.uint8)
towers = [RuntimeEncoder.load(sys.argv[1]) for _ in range(2)]
for tower in towers:
    tower.encode_images(pixels)
del towers[0], tower
towers.clear()
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(exported)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
