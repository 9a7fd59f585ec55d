"""What a person's own checkpoint is: its own words, completed by what was asked for."""

from __future__ import annotations

from pathlib import Path

from georclip.encoders import registry
from georclip.encoders.checkpoints import Checkpoint, CheckpointMetadata, detect_architecture
from georclip.encoders.clip import architecture_size, split_architecture
from georclip.encoders.preprocessing import CLIP_MEAN, CLIP_STD
from georclip.encoders.registry import ModelEntry
from georclip.errors import EncoderError
from georclip.values import EncoderSpec


def checkpoint_spec(checkpoint: Checkpoint, *, model: str, activation: str | None) -> EncoderSpec:
    """Complete what a checkpoint says about itself by what was asked for.

    Args:
        checkpoint: Of an open_clip architecture.
        model: "auto" (the file must say its architecture), an open_clip architecture, or a model
            of the registry whose settings are to be taken over.
        activation: Against what file and model say, or None.

    Raises:
        EncoderError: The architecture is not known, or file and `model` contradict each other.
    """
    said = checkpoint.metadata
    entry = registry.MODELS.get(model.lower())
    asked = entry.architecture if entry is not None else model
    if model == "auto" and said.architecture is None:
        looks = detect_architecture(checkpoint.state) or "no CLIP"
        raise EncoderError(
            f"{checkpoint.path} does not say its architecture (it looks like {looks}): "
            "name it with --model, for example --model ViT-B-32"
        )
    architecture, default = split_architecture(said.architecture or asked)
    if said.architecture and model != "auto" and split_architecture(asked)[0] != architecture:
        raise EncoderError(
            f"{checkpoint.path} says that it is {said.architecture}, not {asked}: leave --model out"
        )
    if entry is not None:
        default = entry.activation
    dim, side = architecture_size(architecture)
    return EncoderSpec(
        name=checkpoint.path.name,
        architecture=architecture,
        activation=activation or said.activation or default,
        weights_sha256=checkpoint.sha256,
        dim=dim,
        image_size_px=said.image_size_px or side,
        mean=said.mean or (entry.mean if entry else CLIP_MEAN),
        std=said.std or (entry.std if entry else CLIP_STD),
        ground_size_m=said.ground_size_m or (entry.ground_size_m if entry else None),
        licence=_licence(said, entry, checkpoint.path),
    )


def _licence(said: CheckpointMetadata, entry: ModelEntry | None, path: Path) -> str:
    if said.licence:
        return said.licence
    if entry is not None and entry.weights is not None:
        return f"local file, after {entry.name}: {entry.licence}"
    return f"unknown: {path.name} states none"
