"""Torch towers to folders that run without torch, checked against the torch towers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.encoders.bundle import (
    CONFIG_FILE,
    IMAGE_FILES,
    Precision,
    joint_digest,
    write_bundle,
)
from georclip.encoders.clip import OpenClipEncoder
from georclip.encoders.compact import TorchCompactEncoder
from georclip.encoders.image_export import check_cosine, check_rows, not_in_torch, write_image_tower
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.text_export import TextExport, export_clip, export_compact
from georclip.errors import EncoderError
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    import torch

    from georclip.encoders.base import Encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """How exported towers compare with torch's.

    Attributes:
        cosine: The lowest between exported and torch embeddings.
        precision: What the image tower may be computed in.
    """

    cosine: float
    precision: Precision


def export_towers(
    image_tower: torch.nn.Module, text: TextExport, spec: EncoderSpec, folder: Path | str
) -> Exported:
    """Write both towers as a folder that `RuntimeEncoder.load` opens, and check them against torch.

    Args:
        image_tower: float32 (n, 3, side, side), normalised RGB -> (n, dim), of any length.
        text: The text tower.
        spec: What decides the embeddings. An empty `weights_sha256` is filled with the digest of
            the exported weights; one that is set (of the checkpoint) is kept.
        folder: Made if missing; an encoder in it is replaced.

    Raises:
        EncoderError: A tower cannot be exported, or differs from torch's.
    """
    target = _made(folder)
    image = write_image_tower(image_tower, spec, target)
    cosine = _finish(target, text, spec, IMAGE_FILES, image.precision)
    return Exported(cosine=min(image.cosine, cosine), precision=image.precision)


def export_text(text: TextExport, spec: EncoderSpec, folder: Path | str) -> float:
    """Write a text tower alone: a folder that answers questions and embeds no picture.

    Args:
        text: The text tower.
        spec: What decides the embeddings, `weights_sha256` included.
        folder: Made if missing; an encoder in it is replaced.

    Returns:
        The lowest cosine found between exported and torch embeddings.

    Raises:
        EncoderError: The tower differs from torch's.
    """
    target = _made(folder)
    return _finish(target, text, spec, (), "f32")


def text_of(encoder: Encoder) -> TextExport:
    """The text tower of an encoder that lives in torch.

    Raises:
        EncoderError: It is of a kind that cannot be exported.
    """
    if isinstance(encoder, OpenClipEncoder):
        return export_clip(encoder)
    if isinstance(encoder, TorchCompactEncoder):
        return export_compact(encoder.towers.text, encoder.tokenizer)
    raise EncoderError(not_in_torch(encoder))


def _made(folder: Path | str) -> Path:
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / CONFIG_FILE).unlink(missing_ok=True)  # half-written is no encoder
    return target


def _finish(
    target: Path,
    text: TextExport,
    spec: EncoderSpec,
    names: tuple[str, ...],
    precision: Precision,
) -> float:
    """Write the text tower and the record of all files; compare its embeddings with torch's."""
    wanted = text.embed(text.sentences)
    check_rows(wanted, (len(text.sentences), spec.dim), "text")
    names = (*names, *text.write(target))
    if not spec.weights_sha256:
        spec = replace(spec, weights_sha256=joint_digest(target))
    write_bundle(
        target,
        spec=spec,
        tokenizer=text.tokenizer,
        context_length=text.context_length,
        text=text.shape,
        names=names,
        precision=precision,
    )
    found = RuntimeEncoder.load(target).encode_texts(text.sentences)
    try:
        return check_cosine(found, wanted, text.least_cosine)
    except EncoderError:
        (target / CONFIG_FILE).unlink()
        raise
