from __future__ import annotations

import json
import pickle

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from georclip.encoders.checkpoints import (
    CheckpointMetadata,
    detect_architecture,
    read_checkpoint,
    read_metadata,
)
from georclip.encoders.file_records import file_sha256
from georclip.errors import EncoderError
from tests.helpers_encoders import tiny_model

STATE = {"visual.a": torch.arange(4.0), "text.b": torch.ones(2, 3)}


def same(state):
    return state.keys() == STATE.keys() and all(torch.equal(state[k], STATE[k]) for k in STATE)


@pytest.mark.parametrize(
    "wrapped",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3, "optimizer": {"lr": 0.1}},
        {f"module.{key}": value for key, value in STATE.items()},
        {"state_dict": {f"module.{key}": value for key, value in STATE.items()}},
        {"model": {f"module._orig_mod.{key}": value for key, value in STATE.items()}},
        {**STATE, "transformer.attn_mask": torch.full((2, 2), float("-inf"))},
        {**STATE, "input_resolution": torch.tensor(224)},
    ],
)
def test_weights_are_found_however_they_were_saved(wrapped, tmp_path):
    path = tmp_path / "w.pt"
    torch.save(wrapped, path)
    checkpoint = read_checkpoint(path)
    assert same(checkpoint.state)
    assert checkpoint.sha256 == file_sha256(path)
    assert checkpoint.metadata == CheckpointMetadata()


def test_safetensors_with_all_metadata(tmp_path):
    path = tmp_path / "w.safetensors"
    values = {
        "architecture": "ViT-B-32",
        "activation": "quickgelu",
        "image_size_px": 224,
        "mean": [0.1, 0.2, 0.3],
        "std": [1, 2, 3],
        "ground_size_m": [50, 100.5, 200],
        "licence": "CC BY 4.0",
    }
    save_file(STATE, path, metadata={key: json.dumps(value) for key, value in values.items()})
    wanted = CheckpointMetadata(
        architecture="ViT-B-32",
        activation="quickgelu",
        image_size_px=224,
        mean=(0.1, 0.2, 0.3),
        std=(1.0, 2.0, 3.0),
        ground_size_m=(50.0, 100.5, 200.0),
        licence="CC BY 4.0",
    )
    checkpoint = read_checkpoint(path)
    assert checkpoint.metadata == wanted
    assert same(checkpoint.state)


def test_bare_words_and_null_in_metadata(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(STATE, path, metadata={"architecture": "RN50", "ground_size_m": "null", "x": "y"})
    assert read_metadata(path) == CheckpointMetadata(architecture="RN50")


@pytest.mark.parametrize(
    "metadata",
    [
        {"mean": "[1, 2]"},
        {"ground_size_m": '"wide"'},
        {"image_size_px": "[2]"},
        {"std": "[1,2,{}]"},
    ],
)
def test_metadata_that_means_nothing_is_refused(metadata, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(STATE, path, metadata=metadata)
    with pytest.raises(EncoderError, match=r"w.safetensors cannot be understood"):
        read_metadata(path)


class Runs:
    """A pickle that would run code on loading."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"state_dict": STATE, "extra": Runs(tmp_path / "ran")}, tmp_path / "w.pt")
    with pytest.raises(EncoderError, match=r"more than tensors.*state_dict alone"):
        read_checkpoint(tmp_path / "w.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    with pytest.raises(EncoderError, match=r"plain.pt"):
        read_checkpoint(tmp_path / "plain.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
def test_torchscript_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "w.pt")
    with pytest.raises(EncoderError, match=r"TorchScript archive.*openai-"):
        read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 5, 300])
def test_a_damaged_file_is_one_line(suffix, keep, tmp_path):
    path = tmp_path / f"w{suffix}"
    if suffix == ".pt":
        torch.save(STATE, path)
    else:
        save_file({"a": torch.zeros(500)}, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(EncoderError, match=rf"w{suffix}") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {}}, {"epoch": 1}])
def test_a_file_without_weights_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(EncoderError, match="holds"):
        read_checkpoint(tmp_path / "w.pt")


def test_a_missing_file(tmp_path):
    with pytest.raises(EncoderError, match="No such file"):
        read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(bad, tmp_path):
    broken = STATE["text.b"].clone()
    broken[1, 2] = bad
    torch.save({**STATE, "text.b": broken}, tmp_path / "w.pt")
    with pytest.raises(EncoderError, match=r"text.b holds NaN or infinity"):
        read_checkpoint(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "name", ["RN50", "RN101", "ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-L-14-336", "ViT-H-14"]
)
def test_architectures_are_known_by_their_shapes(name):
    with torch.device("meta"):  # shapes without memory
        model = open_clip.CLIP(**open_clip.get_model_config(name))
    assert detect_architecture(model.state_dict()) == name


def test_other_shapes_are_described():
    found = detect_architecture(tiny_model().state_dict())
    assert found == "a ViT of width 64, 2 layers, patch 16, image 32 px, dim 32"
    assert detect_architecture(STATE) is None
