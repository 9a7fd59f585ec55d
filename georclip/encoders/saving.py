"""Weights to .safetensors files that say what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from georclip.errors import EncoderError
from georclip.values import EncoderSpec


def write_weights(
    path: Path,
    weights: Mapping[str, Tensor],
    spec: EncoderSpec,
    *,
    vocabulary: tuple[str, ...] | None = None,
    half: bool = False,
) -> None:
    """Write weights with metadata, all JSON texts, from which they can be loaded.

    Args:
        path: Replaced whole, or not at all.
        weights: Tensor by name, on any device.
        spec: What they are; weights_sha256 is not written.
        vocabulary: The words of a text tower that has its own.
        half: Store fp16, half the size.

    Raises:
        EncoderError: The file cannot be written.
    """
    described: dict[str, object] = asdict(spec)
    del described["weights_sha256"]
    if vocabulary is not None:
        described["vocabulary"] = vocabulary
    metadata = {key: json.dumps(value) for key, value in described.items()}
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous()
        for name, value in weights.items()
    }
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, partial, metadata=metadata)
        partial.chmod(0o644)  # safetensors makes it private
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise EncoderError(f"cannot write {path}: {error}") from error
