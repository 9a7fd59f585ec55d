from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from types import MappingProxyType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from georclip.encoders import loading, registry
from georclip.encoders.compact import write_compact
from georclip.encoders.loading import load_encoder, load_for_index, torch_is_here
from georclip.encoders.preprocessing import CLIP_MEAN
from georclip.encoders.weights import weights_place
from georclip.errors import EncoderError, EncoderMismatchError
from tests.helpers_encoders import (
    TINY,
    cosines,
    register_tiny,
    shared_starter,
    starter_spec,
    starter_towers,
    tiny_entry,
    tiny_model,
)


@pytest.fixture(scope="module", autouse=True)
def tiny_registered(tmp_path_factory):
    register_tiny(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path):
    """A machine without a network, with a model in the box and one named "tiny"."""
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(loading, "STARTER_FOLDER", shared_starter())
    monkeypatch.setattr(
        registry, "MODELS", MappingProxyType({**registry.MODELS, "tiny": tiny_entry()})
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def notes(caplog):
    caplog.set_level(logging.INFO, logger="georclip")
    return caplog


def put_tiny(seed=0):
    """The weights of the model named "tiny", as if fetched."""
    place = weights_place(tiny_entry()).with_name("tiny.pt")
    place.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tiny_model(seed=seed).state_dict(), place)
    return place


def put_own(folder, seed=0, **metadata):
    path = folder / "own.safetensors"
    texts = {key: json.dumps(value) for key, value in metadata.items()}
    save_file(tiny_model(seed=seed).state_dict(), path, metadata=texts or None)
    return path


def without_torch(monkeypatch):
    monkeypatch.setattr(loading, "torch_is_here", lambda: False)


def test_auto_without_torch_is_the_starter(notes, monkeypatch):
    without_torch(monkeypatch)
    encoder = load_encoder()
    assert encoder.spec.name == "starter"
    assert 'pip install "georclip[torch]"' in notes.text
    assert "georclip models fetch remoteclip-vit-b-32" in notes.text
    assert "encoder: starter on cpu (OpenVINO)" in notes.text


def test_auto_without_weights_is_the_starter(notes):
    assert load_encoder().spec.name == "starter"
    assert "georclip models fetch remoteclip-vit-b-32" in notes.text
    assert "pip install" not in notes.text


def test_auto_with_torch_and_weights_is_the_better_one(notes, monkeypatch):
    monkeypatch.setattr(registry, "BEST_COMMON", "tiny")
    put_tiny()
    assert load_encoder().spec.name == "tiny"
    assert "model: tiny, its weights are on this machine" in notes.text
    assert "encoder: tiny on cpu (torch)" in notes.text


def test_a_named_model_has_the_registrys_settings():
    put_tiny()
    encoder = load_encoder("Tiny")
    assert encoder.spec.activation == "quickgelu"
    assert encoder.spec.mean == CLIP_MEAN
    assert encoder.spec.ground_size_m == (50.0, 100.0, 200.0)
    assert len(encoder.spec.weights_sha256) == 64
    assert encoder.encode_texts(["harbor"]).shape == (1, 32)


def test_activation_overrides_and_shows():
    put_tiny()
    one, other = load_encoder("tiny"), load_encoder("tiny", activation="gelu")
    assert other.spec.activation == "gelu"
    difference = one.encode_texts(["harbor"]) - other.encode_texts(["harbor"])
    assert np.linalg.norm(difference) > 1e-3


def test_a_named_model_is_never_replaced():
    with pytest.raises(
        EncoderError, match=r"tiny cannot be fetched from http://127.*copy the file"
    ):
        load_encoder("tiny")


def test_a_named_model_needs_torch(monkeypatch):
    without_torch(monkeypatch)
    with pytest.raises(EncoderError, match=r'tiny needs torch: pip install "georclip\[torch\]"'):
        load_encoder("tiny")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "remoteclip"}, "there are: starter, remoteclip-rn50"),
        ({"model": "ViT-B-32"}, "needs --weights FILE"),
        ({"model": "starter", "activation": "gelu"}, "its own activation"),
        ({"model": "starter", "device": "cuda"}, "run on the CPU"),
        ({"activation": "relu6"}, "one of gelu, quickgelu"),
        ({"device": "tpu"}, "one of auto, cpu, cuda"),
        ({"weights": "nowhere.pt"}, "no weights at nowhere.pt"),
    ],
)
def test_what_cannot_be_asked_for(arguments, message):
    with pytest.raises(EncoderError, match=message):
        load_encoder(**arguments)


def test_cuda_that_is_not_there():
    put_tiny()
    with pytest.raises(EncoderError, match="no CUDA GPU"):
        load_encoder("tiny", device="cuda")


def test_a_checkpoint_that_says_everything(tmp_path):
    path = put_own(
        tmp_path,
        architecture=TINY,
        activation="quickgelu",
        image_size_px=32,
        mean=[0.1, 0.2, 0.3],
        std=[0.4, 0.5, 0.6],
        ground_size_m=[10, 20, 30],
        licence="CC0",
    )
    spec = load_encoder(weights=path).spec
    assert spec.name == "own.safetensors"
    assert (spec.architecture, spec.activation, spec.dim) == (TINY, "quickgelu", 32)
    assert (spec.mean, spec.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (spec.ground_size_m, spec.licence) == ((10.0, 20.0, 30.0), "CC0")
    assert load_encoder(weights=path, activation="gelu").spec.activation == "gelu"


def test_a_checkpoint_that_says_nothing(tmp_path):
    path = put_own(tmp_path)
    with pytest.raises(EncoderError, match=r"does not say.*a ViT of width 64.*--model"):
        load_encoder(weights=path)
    plain = load_encoder(TINY, weights=path).spec
    assert (plain.activation, plain.ground_size_m) == ("gelu", None)
    assert "unknown" in plain.licence
    named = load_encoder("tiny", weights=path).spec  # as the registry's model
    assert (named.activation, named.ground_size_m) == ("quickgelu", (50.0, 100.0, 200.0))
    assert load_encoder(f"{TINY}-quickgelu", weights=path).spec.activation == "quickgelu"


def test_a_checkpoint_against_what_was_asked(tmp_path):
    path = put_own(tmp_path, architecture=TINY)
    with pytest.raises(EncoderError, match=rf"says that it is {TINY}, not RN50"):
        load_encoder("RN50", weights=path)
    with pytest.raises(EncoderError, match="no architecture 'RN5000'"):
        load_encoder("RN5000", weights=path.rename(tmp_path / "w.safetensors"))


def test_another_architecture_names_both(tmp_path):
    with pytest.raises(EncoderError, match=r"holds a ViT of width 64.*not ViT-B-32"):
        load_encoder("ViT-B-32", weights=put_own(tmp_path))


def test_a_starter_of_ones_own_runs_in_torch(tmp_path):
    towers, tokenizer = starter_towers(seed=5)
    write_compact(tmp_path / "mine.safetensors", towers, starter_spec(), tokenizer)
    encoder = load_encoder(weights=tmp_path / "mine.safetensors")
    assert encoder.spec.name == "mine.safetensors"
    assert "torch" in encoder.device
    again = load_for_index(encoder.spec)
    assert cosines(encoder.encode_texts(["harbor"]), again.encode_texts(["harbor"]))[0] > 0.9999


def test_an_index_of_the_starter():
    spec = load_encoder("starter").spec
    assert load_for_index(spec).spec == spec
    other = dataclasses.replace(spec, weights_sha256="0" * 64)
    with pytest.raises(EncoderMismatchError, match=r"other starter weights \(000000000000\)"):
        load_for_index(other)


def test_an_index_of_a_named_model(monkeypatch):
    put_tiny()
    made = load_encoder("tiny", activation="gelu")
    found = load_for_index(made.spec)
    assert found.spec == made.spec  # the override too
    assert cosines(found.encode_texts(["harbor"]), made.encode_texts(["harbor"]))[0] > 0.99999
    put_tiny(seed=1)
    with pytest.raises(EncoderMismatchError, match=r"made with tiny .*tiny.pt is another"):
        load_for_index(made.spec)
    without_torch(monkeypatch)
    with pytest.raises(EncoderError, match=r"georclip\[torch\]"):
        load_for_index(made.spec)


def test_an_index_of_a_local_checkpoint(tmp_path):
    path = put_own(tmp_path, architecture=TINY, ground_size_m=[10, 20, 30])
    made = load_encoder(weights=path)
    assert load_for_index(made.spec).spec == made.spec
    moved = path.rename(tmp_path / "moved.safetensors")
    with pytest.raises(EncoderError, match=r"own.safetensors .*no longer at .*--weights FILE"):
        load_for_index(made.spec)
    assert load_for_index(made.spec, weights=moved).spec == made.spec
    other = put_own(tmp_path, seed=1, architecture=TINY)
    with pytest.raises(EncoderMismatchError, match=r"own.safetensors is another"):
        load_for_index(made.spec, weights=other)


def test_an_index_from_another_machine(tmp_path):
    spec = starter_spec(name="theirs.pt", architecture=TINY, weights_sha256="ab" * 32)
    with pytest.raises(EncoderError, match=r"theirs.pt \(sha256 abab.*not known here.*--weights"):
        load_for_index(spec)


def test_a_folder_of_exported_towers(tmp_path):
    folder = shutil.copytree(shared_starter(), tmp_path / "towers")
    encoder = load_encoder(weights=folder)
    assert encoder.spec.name == "towers"
    assert load_for_index(encoder.spec).device == "cpu (OpenVINO)"


def test_torch_is_here_without_importing(monkeypatch):
    assert torch_is_here()
    monkeypatch.setitem(__import__("sys").modules, "open_clip", None)
    assert not torch_is_here()
