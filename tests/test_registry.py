from __future__ import annotations

import open_clip
import pytest

from georclip.encoders.preprocessing import CLIP_MEAN, CLIP_STD
from georclip.encoders.registry import BEST_COMMON, MODELS, STARTER, get
from georclip.errors import EncoderError

FETCHED = [entry for entry in MODELS.values() if entry.weights is not None]


def test_the_promised_models_are_there():
    assert next(iter(MODELS)) == STARTER
    assert {
        "remoteclip-rn50",
        "remoteclip-vit-b-32",
        "remoteclip-vit-l-14",
        "georsclip-vit-b-32",
        "skyclip-vit-l-14",
        "openai-vit-b-32",
        "laion-vit-b-32",
    } <= set(MODELS)
    assert BEST_COMMON in MODELS


@pytest.mark.parametrize("entry", FETCHED, ids=lambda entry: entry.name)
def test_entries_agree_with_open_clip(entry):
    config = open_clip.get_model_config(entry.architecture)
    assert entry.dim == config["embed_dim"]
    assert entry.image_size_px == config["vision_cfg"]["image_size"]


@pytest.mark.parametrize("entry", FETCHED, ids=lambda entry: entry.name)
def test_entries_say_source_and_licence(entry):
    assert entry.name == entry.name.lower()
    assert entry.licence
    assert entry.source
    assert entry.activation in ("gelu", "quickgelu")
    if entry.ground_size_m is not None:
        low, typical, high = entry.ground_size_m
        assert 0 < low < typical < high
        assert "estimate" in entry.note


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("openai-rn50", "openai"),
        ("openai-vit-b-32", "openai"),
        ("openai-vit-l-14", "openai"),
        ("laion-vit-b-32", "laion2b_s34b_b79k"),
        ("laion-vit-l-14", "laion2b_s32b_b82k"),
    ],
)
def test_open_clips_own_weights_are_described_as_open_clip_does(name, tag):
    entry = get(name)
    pretrained = open_clip.get_pretrained_cfg(entry.architecture, tag)
    assert entry.weights is not None
    assert entry.weights.repo == pretrained["hf_hub"].rstrip("/")
    assert entry.mean == tuple(pretrained["mean"])
    assert entry.std == tuple(pretrained["std"])
    assert (entry.activation == "quickgelu") == pretrained.get("quick_gelu", False)


def test_remoteclip_is_as_its_readme_says():
    entry = get("RemoteCLIP-ViT-B-32")  # names are not about case
    assert entry.weights is not None
    assert entry.weights.repo == "chendelong/RemoteCLIP"
    assert entry.weights.files == ("RemoteCLIP-ViT-B-32.pt",)
    assert (entry.mean, entry.std) == (CLIP_MEAN, CLIP_STD)
    assert "awaits proof" in entry.note


def test_a_name_that_is_not_there_lists_those_that_are():
    with pytest.raises(EncoderError, match=r"'remoteclip'; there are: starter, remoteclip-rn50"):
        get("remoteclip")
