"""Checkpoint files: read without running code from them, checked, and recognised by shape."""

from __future__ import annotations

import json
import math
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from georclip.encoders.file_records import file_sha256
from georclip.encoders.preprocessing import Triple
from georclip.errors import EncoderError

State = dict[str, torch.Tensor]

_MAX_HEADER_BYTES = 100_000_000
_PREFIXES = ("module.", "_orig_mod.", "model.")
_NOT_WEIGHTS = ("attn_mask", "input_resolution", "context_length", "vocab_size")
"""Entries that older CLIP checkpoints carry and that no tower learns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMetadata:
    """What a .safetensors file says about itself; None where it says nothing.

    In the file every value is a JSON text: `"quickgelu"` with its quotes, `[0.48, 0.46, 0.41]`.

    Attributes:
        architecture: open_clip's name, or one of georclip's own ("starter-...").
        activation: "gelu", "quickgelu" or "relu".
        image_size_px: Side of the square that the image tower takes, px.
        mean: Subtracted from RGB in [0, 1].
        std: Divides what is left.
        ground_size_m: (low, typical, high) ground side of its training images, m.
        licence: Terms of the weights.
    """

    architecture: str | None = None
    activation: str | None = None
    image_size_px: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    ground_size_m: Triple | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Weights from a file.

    Attributes:
        path: The file.
        sha256: Hex digest of the file.
        state: Tensor by name, on the CPU, prefixes removed.
        metadata: What the file says about itself.
    """

    path: Path
    sha256: str
    state: State
    metadata: CheckpointMetadata


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a .pt or .safetensors checkpoint. No code in the file is run.

    Raises:
        EncoderError: No such file, damaged, TorchScript, holding more than tensors, or holding
            weights that are no numbers.
    """
    sha256 = file_sha256(path)
    if path.suffix == ".safetensors":
        metadata = read_metadata(path)
        tensors = _load_safetensors(path)
    else:
        metadata = CheckpointMetadata()
        tensors = _load_pickle(path)
    state = _strip(_tensors_of(tensors, path))
    _refuse_non_numbers(state, path)
    return Checkpoint(path=path, sha256=sha256, state=state, metadata=metadata)


def read_metadata(path: Path) -> CheckpointMetadata:
    """What a checkpoint says about itself, from its header alone; a .pt file says nothing.

    Raises:
        EncoderError: The header of a .safetensors file cannot be read or understood.
    """
    if path.suffix != ".safetensors":
        return CheckpointMetadata()
    raw = _header(path).get("__metadata__") or {}
    try:
        return CheckpointMetadata(
            architecture=_text(raw, "architecture"),
            activation=_text(raw, "activation"),
            image_size_px=_size(raw),
            mean=_triple(raw, "mean"),
            std=_triple(raw, "std"),
            ground_size_m=_triple(raw, "ground_size_m"),
            licence=_text(raw, "licence"),
        )
    except (TypeError, ValueError) as error:
        raise EncoderError(f"the metadata of {path} cannot be understood: {error}") from error


def _header(path: Path) -> dict[str, Any]:
    """The JSON header of a .safetensors file: 8 bytes of length, then the text."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= _MAX_HEADER_BYTES:
                raise ValueError("no .safetensors header")
            header = json.loads(stream.read(length))
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise EncoderError(f"{path} is no .safetensors file, or damaged") from error
    if not isinstance(header, dict):
        raise EncoderError(f"{path} is no .safetensors file")
    return header


def _value(raw: Mapping[str, str], key: str) -> Any:  # noqa: ANN401  whatever JSON holds
    text = raw.get(key)
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text  # a bare word, as other tools write it


def _text(raw: Mapping[str, str], key: str) -> str | None:
    value = _value(raw, key)
    return None if value is None else str(value)


def _size(raw: Mapping[str, str]) -> int | None:
    value = _value(raw, "image_size_px")
    return None if value is None else int(value)


def _triple(raw: Mapping[str, str], key: str) -> Triple | None:
    value = _value(raw, key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(f"{key} must be three numbers, not {value!r}")
    return (float(value[0]), float(value[1]), float(value[2]))


def _load_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: {error}") from error


def _load_pickle(path: Path) -> Mapping[str, Any]:
    """Load what torch.save wrote, tensors only."""
    if _is_torchscript(path):
        raise EncoderError(
            f"{path} is a TorchScript archive (OpenAI's own files are): georclip takes plain "
            "weights; use --model openai-..., or save its state_dict"
        )
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise EncoderError(
            f"{path} holds more than tensors, or is damaged; georclip runs no code from a "
            "checkpoint: save its state_dict alone"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EncoderError(f"{path} is no checkpoint, or damaged: {first_line}") from error
    if not isinstance(loaded, Mapping):
        raise EncoderError(f"{path} holds a {type(loaded).__name__}, not weights by name")
    return loaded


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False  # older torch.save, or damaged: torch.load says


def _tensors_of(loaded: Mapping[str, Any], path: Path) -> State:
    """The weights themselves, wherever a training script put them."""
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    state = {key: value for key, value in loaded.items() if isinstance(value, torch.Tensor)}
    if not state:
        raise EncoderError(f"{path} holds no weights by name")
    return state


def _strip(state: State) -> State:
    """Remove the prefixes that wrappers add to every name, and entries that are no weights."""
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if all(key.startswith(prefix) for key in state):
                state = {key.removeprefix(prefix): value for key, value in state.items()}
                stripped = True
    return {key: value for key, value in state.items() if key.split(".")[-1] not in _NOT_WEIGHTS}


def _refuse_non_numbers(state: State, path: Path) -> None:
    for key, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise EncoderError(f"{path} is broken: {key} holds NaN or infinity")


# What tells CLIP's architectures apart: (kind, dim, width, layers, patch px, image side px).
# ResNets: width of the stem's output, blocks per stage, no patch.
_Signature = tuple[str, int, int, tuple[int, ...], int, int]
_KNOWN: dict[_Signature, str] = {
    ("resnet", 1024, 64, (3, 4, 6, 3), 0, 224): "RN50",
    ("resnet", 512, 64, (3, 4, 23, 3), 0, 224): "RN101",
    ("resnet", 640, 80, (4, 6, 10, 6), 0, 288): "RN50x4",
    ("resnet", 768, 96, (6, 8, 18, 8), 0, 384): "RN50x16",
    ("resnet", 1024, 128, (3, 15, 36, 10), 0, 448): "RN50x64",
    ("vit", 512, 768, (12,), 32, 224): "ViT-B-32",
    ("vit", 512, 768, (12,), 32, 256): "ViT-B-32-256",
    ("vit", 512, 768, (12,), 16, 224): "ViT-B-16",
    ("vit", 768, 1024, (24,), 14, 224): "ViT-L-14",
    ("vit", 768, 1024, (24,), 14, 336): "ViT-L-14-336",
    ("vit", 1024, 1280, (32,), 14, 224): "ViT-H-14",
    ("vit", 1024, 1408, (40,), 14, 224): "ViT-g-14",
    ("vit", 1280, 1664, (48,), 14, 224): "ViT-bigG-14",
}


def detect_architecture(state: State) -> str | None:
    """The architecture that weights have by their shapes.

    Returns:
        open_clip's name where it is a known one; else a description such as
        "a ViT of width 512, 6 layers, patch 16, dim 256"; None where it is no CLIP at all.
    """
    signature = _signature(state)
    if signature is None:
        return None
    kind, dim, width, layers, patch, side = signature
    known = _KNOWN.get(signature)
    if known is not None:
        return known
    if kind == "vit":
        return (
            f"a ViT of width {width}, {layers[0]} layers, patch {patch}, image {side} px, dim {dim}"
        )
    return f"a ResNet of width {width}, blocks {layers}, image {side} px, dim {dim}"


def _signature(state: State) -> _Signature | None:
    if "visual.proj" in state and "visual.conv1.weight" in state:
        width, dim = state["visual.proj"].shape
        patch = state["visual.conv1.weight"].shape[-1]
        grid = _grid(state, "visual.positional_embedding")
        layers = _count(state, r"visual\.transformer\.resblocks\.(\d+)\.")
        return ("vit", dim, width, (layers,), patch, grid * patch)
    if "visual.attnpool.c_proj.weight" in state:
        dim = state["visual.attnpool.c_proj.weight"].shape[0]
        width = state["visual.layer1.0.conv1.weight"].shape[0]
        blocks = tuple(_count(state, rf"visual\.layer{n}\.(\d+)\.") for n in (1, 2, 3, 4))
        side = _grid(state, "visual.attnpool.positional_embedding") * 32
        return ("resnet", dim, width, blocks, 0, side)
    return None


def _grid(state: State, key: str) -> int:
    """Side of the grid of places, from its learned embedding (one more than the square)."""
    places = state[key].shape[0] if key in state else 1
    return math.isqrt(max(places - 1, 0))


def _count(state: State, pattern: str) -> int:
    found = {int(match[1]) for key in state if (match := re.match(pattern, key))}
    return len(found)
