"""Tiny CLIP models of open_clip's that can be trained in a moment."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file

from georclip.encoders.clip import build_model
from georclip.encoders.preprocessing import CLIP_MEAN, CLIP_STD
from georclip.encoders.saving import write_weights
from georclip.training.models.clip_model import ClipModel
from georclip.training.settings import TrainSettings
from georclip.values import EncoderSpec
from tests.helpers_encoders import TINY, TINY_CONFIG, register_tiny

TINY_RESNET = "tiny-clip-resnet"
"""Like `TINY`, with a ResNet for pictures."""
_RESNET_CONFIG = {
    **TINY_CONFIG,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
}
SETTINGS = TrainSettings(
    image_size_px=32,
    view_sizes_px=(32,),
    epochs=2,
    batch_size=8,
    captions_per_image=1,
    learning_rate=2e-3,
    body_rate=1.0,
    averaging=0.5,
    validate_every=2,
    synonym_share=0.0,
)


def register(folder: Path) -> None:
    """Make both architectures known to open_clip, for this process."""
    register_tiny(folder)
    path = folder / f"{TINY_RESNET}.json"
    path.write_text(json.dumps(_RESNET_CONFIG))
    open_clip.add_model_config(path)


def clip_spec(architecture: str = TINY, *, activation: str = "quickgelu") -> EncoderSpec:
    return EncoderSpec(
        name="tuned",
        architecture=architecture,
        activation=activation,
        weights_sha256="",
        dim=32,
        image_size_px=32,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        ground_size_m=(50.0, 100.0, 200.0),
        licence="MIT",
    )


def random_clip(architecture: str = TINY, *, seed: int = 0) -> torch.nn.Module:
    """Untrained towers, of which all layers take part."""
    torch.manual_seed(seed)
    clip = build_model(architecture, activation="quickgelu", image_size_px=32)
    with torch.no_grad():
        for name, value in clip.named_parameters():
            if "c_proj.weight" in name and "mlp" in name:
                value.mul_(20)
            elif name.endswith("bn3.weight"):  # a bottleneck starts as its own shortcut
                value.fill_(0.5)
    return clip


def clip_model(architecture: str = TINY, *, trained: bool = True) -> ClipModel:
    return ClipModel(random_clip(architecture), clip_spec(architecture), trained=trained)


def write_clip(path: Path, architecture: str = TINY, *, seed: int = 0) -> Path:
    """A checkpoint to start from."""
    write_weights(path, random_clip(architecture, seed=seed).state_dict(), clip_spec(architecture))
    return path


def open_clip_embeddings(path: Path, architecture: str, pictures, texts):
    """What open_clip alone makes of a file: unit vectors of normalised pictures and of texts."""
    model = open_clip.create_model(architecture, pretrained=str(path), force_quick_gelu=True)
    ids = open_clip.get_tokenizer(architecture)(texts)
    with torch.no_grad():
        images = model.eval().encode_image(pictures, normalize=True)
        return images.numpy(), model.encode_text(ids, normalize=True).numpy()


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path)
