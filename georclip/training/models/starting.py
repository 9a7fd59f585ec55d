"""From what a person asks to start from to a model that can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from georclip.captions.records import CaptionedImage
from georclip.encoders import registry
from georclip.encoders.checkpoints import read_checkpoint, read_metadata
from georclip.encoders.compact import read_compact
from georclip.encoders.compact_shapes import ARCHITECTURES, compact_shape
from georclip.encoders.file_records import file_sha256
from georclip.encoders.loading import AUTO, STARTER_FOLDER
from georclip.encoders.preprocessing import CLIP_MEAN, CLIP_STD
from georclip.encoders.registry import BEST_COMMON, STARTER
from georclip.encoders.weights import fetch_weights
from georclip.errors import EncoderError
from georclip.training.models.compact_model import DEFAULT_ARCHITECTURE, CompactModel
from georclip.training.models.imagenet import find_lite0
from georclip.training.record import SCRATCH, Origin
from georclip.training.settings import TrainSettings
from georclip.training.trainable import Trainable
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    from georclip.encoders.checkpoints import Checkpoint

Kind = Literal["compact", "clip"]
"""Whose towers: georclip's own, or open_clip's."""

COMPACT_SIZE_PX = 128
"""Side that georclip's own towers take when nothing else is asked for."""
_OWN = f"{STARTER}-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a run starts from.

    Attributes:
        kind: Whose towers.
        origin: For the record.
        spec: Of the weights; of random ones, as their architecture has it.
        path: The file of trained weights, or None.
        checkpoint: What is in it, where the towers are open_clip's.
    """

    kind: Kind
    origin: Origin
    spec: EncoderSpec
    path: Path | None = None
    checkpoint: Checkpoint | None = None


def scratch(architecture: str | None = None) -> Start:
    """Random weights.

    Args:
        architecture: One of georclip's own, or of open_clip; None: the starter's.

    Raises:
        EncoderError: There is no such architecture.
    """
    name = architecture or DEFAULT_ARCHITECTURE
    if name.startswith(_OWN):
        shape = compact_shape(name)
        spec = _spec(name, shape.activation, shape.dim, COMPACT_SIZE_PX)
        return Start(
            kind="compact", origin=SCRATCH, spec=replace(spec, mean=shape.mean, std=shape.std)
        )
    from georclip.encoders.clip import architecture_size, split_architecture

    try:
        plain, activation = split_architecture(name)
    except EncoderError as error:
        own = ", ".join(ARCHITECTURES)
        raise EncoderError(f"{error}; georclip's own are {own}") from error
    dim, side_px = architecture_size(plain)
    return Start(kind="clip", origin=SCRATCH, spec=_spec(plain, activation, dim, side_px))


def trained(model: str = AUTO, weights: Path | None = None, activation: str | None = None) -> Start:
    """Weights of a model of the registry, or of a file.

    Args:
        model: A name of the registry; with `weights`, also an open_clip architecture. "auto" is
            what the file says, or RemoteCLIP's ViT-B-32.
        weights: A .pt or .safetensors file.
        activation: "gelu" or "quickgelu", against what registry or file say.

    Raises:
        EncoderError: They cannot be had, or read.
    """
    if weights is not None:
        return _local(weights, model, activation)
    if model == STARTER:
        return _own(STARTER_FOLDER / f"{STARTER}.safetensors", STARTER)
    entry = registry.get(BEST_COMMON if model == AUTO else model)
    try:
        path = fetch_weights(entry)
    except EncoderError as error:
        raise EncoderError(
            f"{error}; to train from other weights: --weights FILE, --model {STARTER}, or "
            "--from-scratch"
        ) from error
    return _open_clip(path, entry.name, entry.name, activation)


def make_model(
    start: Start,
    learnt: Sequence[CaptionedImage],
    settings: TrainSettings,
    *,
    name: str,
    imagenet: bool = False,
) -> Trainable:
    """Make the model; random weights come from torch's generator as it stands.

    Args:
        start: What from.
        learnt: Training images: new towers of georclip's own learn their words.
        settings: Sizes and licence of what will be written.
        name: Of what will be written.
        imagenet: Start a new image tower of the starter's from ImageNet's weights.

    Raises:
        EncoderError: Weights that cannot be read, or a size that they cannot have.
    """
    if imagenet and (start.kind != "compact" or start.path is not None):
        raise EncoderError("--imagenet goes with --from-scratch and georclip's own towers")
    if start.kind == "compact" and start.path is not None:
        return CompactModel.from_weights(start.path, settings, name=name)
    if start.kind == "compact":
        return CompactModel.from_scratch(
            start.spec.architecture,
            learnt,
            settings,
            name=name,
            image_weights=find_lite0() if imagenet else None,
        )
    from georclip.training.models.clip_model import ClipModel

    spec = replace(
        start.spec,
        name=name,
        ground_size_m=settings.ground_size_m or start.spec.ground_size_m,
        licence=settings.licence,
    )
    if start.checkpoint is None:
        return ClipModel.from_scratch(replace(spec, image_size_px=settings.image_size_px))
    if settings.image_size_px != spec.image_size_px:
        raise EncoderError(
            f"{start.origin.name} has learnt places in pictures of {spec.image_size_px} px: "
            "leave --image-size out"
        )
    return ClipModel.from_checkpoint(start.checkpoint, spec)


def _local(path: Path, model: str, activation: str | None) -> Start:
    if not path.is_file():
        raise EncoderError(f"there are no weights at {path}")
    if (read_metadata(path).architecture or model).startswith(_OWN):
        return _own(path, path.name)
    return _open_clip(path, path.name, model, activation)


def _own(path: Path, name: str) -> Start:
    _, spec, _ = read_compact(path)
    origin = Origin(name=name, sha256=file_sha256(path), trained=True)
    return Start(kind="compact", origin=origin, spec=spec, path=path)


def _open_clip(path: Path, name: str, model: str, activation: str | None) -> Start:
    from georclip.encoders.local import checkpoint_spec

    checkpoint = read_checkpoint(path)
    spec = checkpoint_spec(checkpoint, model=model, activation=activation)
    origin = Origin(name=name, sha256=checkpoint.sha256, trained=True)
    return Start(kind="clip", origin=origin, spec=spec, path=path, checkpoint=checkpoint)


def _spec(architecture: str, activation: str, dim: int, side_px: int) -> EncoderSpec:
    return EncoderSpec(
        name=architecture,
        architecture=architecture,
        activation=activation,
        weights_sha256="",
        dim=dim,
        image_size_px=side_px,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        ground_size_m=None,
        licence="",
    )
