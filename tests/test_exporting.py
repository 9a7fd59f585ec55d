from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from georclip.encoders import image_export, image_tower
from georclip.encoders.bundle import read_bundle
from georclip.encoders.check_pictures import check_pictures
from georclip.encoders.clip import OpenClipEncoder
from georclip.encoders.compact import TorchCompactEncoder
from georclip.encoders.compact_shapes import CompactShape
from georclip.encoders.compact_text import TextTower
from georclip.encoders.exporting import export_text, export_towers
from georclip.encoders.image_export import image_of, write_image_tower
from georclip.encoders.image_tower import ImageTower
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.text_export import MIN_COSINE_HALF, TextExport, export_compact
from georclip.encoders.words import WordTokenizer
from georclip.errors import EncoderError
from tests.helpers_clip import TINY_RESNET, clip_spec, random_clip, register
from tests.helpers_encoders import (
    WORDS,
    cosines,
    pictures,
    shared_starter,
    starter_spec,
    starter_towers,
)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))


class Sorted(torch.nn.Module):
    """An image tower with a step that no converter knows."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        rows = pixels.mean(dim=(2, 3))
        return torch.linalg.svd(rows @ rows.T + torch.eye(len(rows)))[0][:, :1] * rows


class Colours(torch.nn.Module):
    """An image tower: a projection of mean colours, at any scale."""

    def __init__(self, dim: int = 16, scale: float = 1.0) -> None:
        super().__init__()
        self.project = torch.nn.Linear(3 * 16, dim)
        self.dropout = torch.nn.Dropout(0.5)
        self.scale = scale

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        means = torch.nn.functional.adaptive_avg_pool2d(pixels, 4).flatten(1)
        return self.dropout(self.project(means)) * self.scale


def texts(dim: int = 16) -> TextExport:
    torch.manual_seed(0)
    words = WordTokenizer(WORDS, 12)
    shape = CompactShape(dim=dim, text_width=16, text_layers=1, text_heads=2, context_length=12)
    return export_compact(TextTower(shape, len(words)).eval(), words)


@pytest.fixture(scope="module")
def starter():
    return shared_starter()


def test_exported_starter_equals_torch(starter):
    towers, words = starter_towers()
    torch_encoder = TorchCompactEncoder(towers, starter_spec(), words, "cpu")
    encoder = RuntimeEncoder.load(starter)
    pixels = pictures(11, 90, 70)
    texts = ["a harbor with ships", "farmland", "dense houses near the river", "green forest"]
    pairs = [
        (encoder.encode_images(pixels), torch_encoder.encode_images(pixels)),
        (encoder.encode_texts(texts), torch_encoder.encode_texts(texts)),
    ]
    for found, wanted in pairs:
        assert cosines(found, wanted).min() >= MIN_COSINE_HALF
        assert cosines(found, np.roll(wanted, 1, axis=0)).max() < 0.99  # or nothing was shown


def test_any_image_tower_and_training_goes_on_as_it_was(tmp_path):
    image = Colours(scale=37.0).train()
    fused = torch.backends.mha.get_fastpath_enabled()
    spec = starter_spec(dim=16, image_size_px=32, weights_sha256="ab" * 32)
    assert export_towers(image, texts(), spec, tmp_path).cosine >= MIN_COSINE_HALF
    rows = RuntimeEncoder.load(tmp_path).encode_images(pictures(3))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)
    assert image.training
    assert torch.backends.mha.get_fastpath_enabled() == fused
    assert read_bundle(tmp_path).spec == spec  # a checkpoint's digest is kept


def test_a_text_tower_alone_answers_and_embeds_no_picture(tmp_path):
    spec = starter_spec(dim=16, image_size_px=32, weights_sha256="ab" * 32)
    assert export_text(texts(), spec, tmp_path) >= MIN_COSINE_HALF
    encoder = RuntimeEncoder.load(tmp_path)
    assert encoder.device == "cpu"
    assert encoder.encode_texts(["a harbor"]).shape == (1, 16)
    with pytest.raises(EncoderError, match="text tower of starter alone: it answers questions"):
        encoder.encode_images(pictures(1))


def test_a_missing_digest_is_made(starter):
    assert len(read_bundle(starter).spec.weights_sha256) == 64


def test_weights_are_stored_as_half(starter):
    towers, _ = starter_towers()
    floats = sum(parameter.numel() for parameter in towers.text.parameters())
    assert (starter / "text.safetensors").stat().st_size < 3 * floats


@pytest.mark.parametrize(("image", "dim"), [(Colours(8), 16), (Colours(), 8)])
def test_a_tower_of_another_length_is_refused(image, dim, tmp_path):
    with pytest.raises(EncoderError, match=r"tower gives \(\d+, 8\).*\(\d+, 16\)"):
        export_towers(image, texts(dim), starter_spec(dim=16, image_size_px=32), tmp_path)


def test_towers_that_compute_no_numbers_leave_no_encoder(tmp_path):
    image = Colours()
    torch.nn.init.constant_(image.project.bias, float("nan"))
    with pytest.raises(EncoderError, match="differ"):
        export_towers(image, texts(), starter_spec(dim=16, image_size_px=32), tmp_path)
    assert not (tmp_path / "encoder.json").exists()


def test_a_tower_that_cannot_be_exported_is_named(tmp_path):
    with pytest.raises(EncoderError, match="image tower cannot be exported"):
        export_towers(Sorted(), texts(3), starter_spec(dim=3, image_size_px=32), tmp_path)
    assert not (tmp_path / "encoder.json").exists()


def test_nothing_of_the_machine_is_written(starter):
    config = json.loads((starter / "encoder.json").read_text())
    assert set(config["files"]) == {path.name for path in starter.iterdir()} - {"encoder.json"}
    for name in ("encoder.json", "image.xml"):
        assert str(starter) not in (starter / name).read_text()


def test_an_encoder_is_as_it_was_after_its_export(tmp_path):
    register(tmp_path)
    model = random_clip(TINY_RESNET)  # batch normalisation shows what mode it is in
    encoder = OpenClipEncoder(model, clip_spec(TINY_RESNET), device=torch.device("cpu"))
    before = encoder.encode_images(pictures(3))
    write_image_tower(image_of(encoder), encoder.spec, tmp_path)
    assert not any(module.training for module in model.modules())
    np.testing.assert_array_equal(encoder.encode_images(pictures(3)), before)


@pytest.mark.parametrize(
    ("here", "least", "wanted"),
    [
        (("f32", "bf16"), -1.0, "bf16"),
        (("f32", "bf16"), 1.1, "f32"),  # it moves too far
        (("f32",), -1.0, "f32"),  # it cannot be looked at here
    ],
)
def test_bf16_is_for_towers_that_were_seen_to_keep_still(
    here, least, wanted, tmp_path, monkeypatch
):
    spec = starter_spec(dim=16, image_size_px=32)
    monkeypatch.setattr(image_export, "precisions_here", lambda: here)
    monkeypatch.setattr(image_export, "MIN_COSINE_BF16", least)
    assert export_towers(Colours(), texts(), spec, tmp_path).precision == wanted
    assert read_bundle(tmp_path).precision == wanted


def test_bf16_waits_for_a_processor_that_has_it(starter, monkeypatch):
    bundle = read_bundle(starter)
    tower = ImageTower(bundle, bundle.spec, "bf16")
    monkeypatch.setattr(image_tower, "precisions_here", lambda: ("f32",))
    assert tower.precision == "f32"
    wanted = RuntimeEncoder.load(starter).encode_images(pictures(3))
    assert cosines(tower.encode(pictures(3)), wanted).min() > 0.999


def test_an_unknown_precision_is_refused(starter, tmp_path):
    folder = shutil.copytree(starter, tmp_path / "copy")
    config = json.loads((folder / "encoder.json").read_text())
    for precision, fine in ((None, True), ("int2", False)):
        config.pop("precision", None)
        if precision:
            config["precision"] = precision
        (folder / "encoder.json").write_text(json.dumps(config))
        if fine:  # written before there was one
            assert read_bundle(folder).precision == "f32"
        else:
            with pytest.raises(EncoderError, match="'int2' is not known"):
                read_bundle(folder)


def test_pictures_to_check_on_are_three_kinds_and_always_the_same():
    found = check_pictures(40)
    assert found.shape == (18, 3, 40, 40)
    np.testing.assert_array_equal(found, check_pictures(40))
    steps = np.abs(np.diff(found.astype(int), axis=3)).mean(axis=(1, 2, 3)).reshape(3, 6)
    noise, coarse, natural = steps.mean(axis=1)
    assert noise > natural > 0
    assert noise > coarse > 0
    assert found.reshape(18, -1).std(axis=1).min() > 20
