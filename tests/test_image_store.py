"""Image towers on a CPU: exported once to the cache, used for indexing, never trusted blindly."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch

from georclip.api import create_index, open_index
from georclip.encoders import image_export, image_store, image_tower
from georclip.encoders.clip import OpenClipEncoder
from georclip.encoders.empty_pictures import draw_empty_pictures
from georclip.encoders.for_indexing import for_indexing
from georclip.encoders.image_store import find_image_tower, image_folder, keep_image_tower
from georclip.encoders.loading import load_encoder
from georclip.encoders.runtime import RuntimeEncoder
from georclip.errors import EncoderError
from georclip.testing import FakeEncoder, draw_scene
from tests.helpers_clip import register, write_clip
from tests.helpers_encoders import cosines, pictures, shared_starter

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(logging.getLogger("georclip"), "propagate", True)
    register(tmp_path)


@pytest.fixture
def encoder(tmp_path):
    return load_encoder(weights=write_clip(tmp_path / "tiny.safetensors"), device="cpu")


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)


def no_export(*_):
    pytest.fail("it was exported again")


def test_pictures_run_on_the_exported_tower_and_sentences_in_torch(encoder, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="georclip")
    fast = for_indexing(encoder)
    assert fast.spec == encoder.spec
    assert fast.device.startswith("cpu (OpenVINO, ")
    assert "is exported, once" in caplog.text
    pixels = pictures(11, 50, 40)
    wanted = encoder.encode_images(pixels)
    monkeypatch.setattr(OpenClipEncoder, "encode_images", lambda *_: pytest.fail("torch was asked"))
    assert cosines(fast.encode_images(pixels), wanted).min() > 0.999
    assert cosines(fast.encode_images(pixels), np.roll(wanted, 1, axis=0)).max() < 0.999
    texts = ["a harbor with ships"]
    np.testing.assert_array_equal(fast.encode_texts(texts), encoder.encode_texts(texts))
    assert fast.unknown_words("zeppelin") == ()


def test_it_is_exported_once(encoder, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="georclip")
    first = keep_image_tower(encoder).encode(pictures(3))
    names = {path.name for path in image_folder(encoder.spec).parent.iterdir()}
    assert names == {image_folder(encoder.spec).name}  # nothing half-made is left
    monkeypatch.setattr(image_export, "write_image_tower", no_export)
    caplog.clear()
    np.testing.assert_array_equal(keep_image_tower(encoder).encode(pictures(3)), first)
    assert caplog.text == ""


@pytest.mark.parametrize("damage", ["graph", "cut", "record", "other model", "newer"])
def test_what_is_damaged_is_named_and_made_again(encoder, damage, caplog):
    keep_image_tower(encoder)
    folder = image_folder(encoder.spec)
    if damage == "graph":
        flip_a_byte(folder / "image.bin")
    elif damage == "cut":
        (folder / "image.bin").write_bytes((folder / "image.bin").read_bytes()[:-1])
    else:
        record = json.loads((folder / "tower.json").read_text())
        if damage == "record":
            record = []
        elif damage == "newer":
            record["format"] += 1
        else:
            record["spec"]["weights_sha256"] = "0" * 64
        (folder / "tower.json").write_text(json.dumps(record))
    assert find_image_tower(encoder.spec) is None
    assert "an image tower is passed over" in caplog.text
    assert keep_image_tower(encoder) is not None
    assert find_image_tower(encoder.spec) is not None


def test_without_an_export_torch_goes_on_and_that_is_said(encoder, monkeypatch, caplog):
    def fails(*_):
        raise EncoderError("exported towers differ")

    monkeypatch.setattr(image_export, "write_image_tower", fails)
    assert for_indexing(encoder) is encoder
    assert "was not exported (exported towers differ): torch embeds" in caplog.text
    assert not image_folder(encoder.spec).exists()


def test_a_disk_that_is_full_leaves_nothing_and_torch_goes_on(encoder, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_store, "write_file", full)
    assert for_indexing(encoder) is encoder
    assert "No space left" in caplog.text
    assert list(image_folder(encoder.spec).parent.iterdir()) == []


def test_encoders_elsewhere_stay_as_they_are(encoder, monkeypatch):
    monkeypatch.setattr(image_store, "keep_image_tower", no_export)
    exported, fake = RuntimeEncoder.load(shared_starter()), FakeEncoder()
    assert for_indexing(exported) is exported
    assert for_indexing(fake) is fake
    monkeypatch.setattr(encoder, "_device", torch.device("cuda", 0))
    assert for_indexing(encoder) is encoder


def test_an_index_is_filled_by_the_exported_tower(tmp_path, monkeypatch):
    weights = write_clip(tmp_path / "tiny.safetensors")
    scene = draw_scene(tmp_path / "coast.tif", pixel_size_m=6).path
    with create_index(tmp_path / "index", weights=weights, device="cpu") as index:
        asked, _ = [], index.indexer
        encode = image_tower.ImageTower.encode
        monkeypatch.setattr(
            image_tower.ImageTower, "encode",
            lambda self, pixels: asked.append(len(pixels)) or encode(self, pixels),
        )  # fmt: skip
        report = index.add(scene)
        drawn, _ = draw_empty_pictures(index.encoder_spec.image_size_px)
        assert sum(asked) == report.chips + len(drawn) > len(drawn)
    with open_index(tmp_path / "index") as again:
        assert len(again.search("a harbor").hits) > 0
        again.add(scene)
    assert sum(asked) == report.chips + len(drawn)


def test_many_cores_prepare_pictures_in_threads(monkeypatch):
    encoder = RuntimeEncoder.load(shared_starter())
    pixels = pictures(27, 100, 90)
    alone = encoder.encode_images(pixels)
    monkeypatch.setattr(image_tower.os, "cpu_count", lambda: 16)
    together = RuntimeEncoder.load(shared_starter())
    found = together.encode_images(pixels)
    assert together._image_tower._pool._max_workers == 4
    np.testing.assert_allclose(found, alone, atol=1e-6)
