"""Torch towers to graphs that run without torch, checked against the torch towers."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

from georclip.encoders.bundle import (
    CONFIG_FILE,
    IMAGE_FILES,
    TEXT_FILE,
    write_bundle,
)
from georclip.encoders.clip import OpenClipEncoder
from georclip.encoders.compact import TorchCompactEncoder
from georclip.encoders.file_records import file_sha256
from georclip.encoders.preprocessing import preprocess, unit_rows
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.text_export import (
    MIN_COSINE_HALF,
    TextExport,
    export_clip,
    export_compact,
)
from georclip.errors import EncoderError
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder

_PICTURES = 16
_SEED = 20240229


def export_towers(
    image_tower: torch.nn.Module, text: TextExport, spec: EncoderSpec, folder: Path | str
) -> float:
    """Write both towers as a folder that `RuntimeEncoder.load` opens, and check them against torch.

    The image tower is exported in evaluation mode, on the CPU, with a batch dimension that is
    free; its weights are stored as fp16, and outputs are scaled to unit length inside the graph.

    Args:
        image_tower: float32 (n, 3, side, side), normalised RGB -> (n, dim), of any length.
        text: The text tower.
        spec: What decides the embeddings. An empty `weights_sha256` is filled with the digest of
            the exported weights; one that is set (of the checkpoint) is kept.
        folder: Made if missing; an encoder in it is replaced.

    Returns:
        The lowest cosine found between exported and torch embeddings.

    Raises:
        EncoderError: A tower cannot be exported, or differs from torch's.
    """
    target = _made(folder)
    pixels = _pictures(spec)
    images = torch.from_numpy(preprocess(pixels, spec.image_size_px, spec.mean, spec.std))
    with _cpu_evaluation(image_tower), torch.inference_mode():
        wanted = torch.nn.functional.normalize(image_tower(images).float(), dim=-1).numpy()
    _check_shape(wanted, (len(pixels), spec.dim), "image")
    _export(image_tower, images[:2], target / IMAGE_FILES[0])
    encoder, lowest = _finish(target, text, spec, IMAGE_FILES)
    of_images = _lowest(encoder.encode_images(pixels), wanted)
    return min(lowest, _checked(of_images, MIN_COSINE_HALF, target))


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
    return _finish(target, text, spec, ())[1]


def image_of(encoder: Encoder) -> torch.nn.Module:
    """The image tower of an encoder that lives in torch.

    Raises:
        EncoderError: It lives elsewhere.
    """
    if isinstance(encoder, OpenClipEncoder):
        return _ClipImages(encoder.model)
    if isinstance(encoder, TorchCompactEncoder):
        return encoder.towers.image
    raise EncoderError(_not_in_torch(encoder))


def text_of(encoder: Encoder) -> TextExport:
    """The text tower of an encoder that lives in torch.

    Raises:
        EncoderError: It is of a kind that cannot be exported.
    """
    if isinstance(encoder, OpenClipEncoder):
        return export_clip(encoder)
    if isinstance(encoder, TorchCompactEncoder):
        return export_compact(encoder.towers.text, encoder.tokenizer)
    raise EncoderError(_not_in_torch(encoder))


def _not_in_torch(encoder: Encoder) -> str:
    if isinstance(encoder, RuntimeEncoder):
        return f"{encoder.spec.name} is exported already: copy {encoder.bundle.folder}"
    return f"{encoder.spec.name} is of a kind that cannot be exported"


class _ClipImages(torch.nn.Module):
    """open_clip's image tower, as a module of its own."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - open_clip's classes vary
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, side, side) to (n, dim)."""
        rows: torch.Tensor = self.model.encode_image(pixels)
        return rows


def _made(folder: Path | str) -> Path:
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / CONFIG_FILE).unlink(missing_ok=True)  # half-written is no encoder
    return target


def _finish(
    target: Path, text: TextExport, spec: EncoderSpec, names: tuple[str, ...]
) -> tuple[RuntimeEncoder, float]:
    """Write the text tower and the record of all files; compare its embeddings with torch's."""
    wanted = text.embed(text.sentences)
    _check_shape(wanted, (len(text.sentences), spec.dim), "text")
    names = (*names, *text.write(target))
    if not spec.weights_sha256:
        spec = replace(spec, weights_sha256=_joint_digest(target))
    write_bundle(
        target,
        spec=spec,
        tokenizer=text.tokenizer,
        context_length=text.context_length,
        text=text.shape,
        names=names,
    )
    encoder = RuntimeEncoder.load(target)
    lowest = _lowest(encoder.encode_texts(text.sentences), wanted)
    return encoder, _checked(lowest, text.least_cosine, target)


def _lowest(found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> float:
    return float((found * unit_rows(wanted)).sum(axis=1).min())


def _checked(lowest: float, wanted: float, target: Path) -> float:
    if not lowest >= wanted:  # NaN too
        (target / CONFIG_FILE).unlink()
        raise EncoderError(
            f"exported towers differ from torch's: cosine {lowest:.6f}, at least {wanted} "
            f"is wanted; {target} was left without {CONFIG_FILE}"
        )
    return lowest


class _UnitTower(torch.nn.Module):
    """A tower whose output has unit length."""

    def __init__(self, tower: torch.nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(n, ...) to unit rows (n, dim)."""
        return torch.nn.functional.normalize(self.tower(batch), dim=-1)


def _export(tower: torch.nn.Module, example: torch.Tensor, path: Path) -> None:
    """Trace one tower and save it as OpenVINO IR with fp16 weights beside `path`."""
    with _cpu_evaluation(tower), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every shape it makes constant
        try:
            graph = _convert(_UnitTower(tower).eval(), example)
        except Exception as error:  # the converter raises whatever the tower provoked
            first_line = str(error).strip().splitlines()[0]
            raise EncoderError(f"{path.stem} tower cannot be exported: {first_line}") from error
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        ov.save_model(graph, Path(scratch) / path.name, compress_to_fp16=True)
        for name in (path.name, path.with_suffix(".bin").name):
            (Path(scratch) / name).replace(path.parent / name)


def _convert(tower: torch.nn.Module, example: torch.Tensor) -> ov.Model:
    """Trace a tower into a graph whose batch is free.

    By OpenVINO's reader of traced modules and not by `openvino.convert_model`, which reports
    every call to its maker.
    """
    decoder = TorchScriptPythonDecoder(tower, example_input=example)  # must outlive the reader
    frontend = FrontEndManager().load_by_framework("pytorch")
    graph = frontend.convert(frontend.load(decoder))
    graph.reshape(ov.PartialShape([-1, *example.shape[1:]]))
    return graph


@contextmanager
def _cpu_evaluation(tower: torch.nn.Module) -> Iterator[None]:
    """Hold a tower in evaluation mode, without the fused attention that no converter reads."""
    training = tower.training
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    tower.eval()
    try:
        yield
    finally:
        tower.train(training)
        torch.backends.mha.set_fastpath_enabled(fused)


def _pictures(spec: EncoderSpec) -> npt.NDArray[np.uint8]:
    """Seeded pictures, smooth and noisy, to compare with."""
    rng = np.random.default_rng(_SEED)
    side = spec.image_size_px
    coarse = rng.integers(0, 256, (_PICTURES, 3, 8, 8), dtype=np.uint8)
    repeat = -(-side // 8)
    pixels = coarse.repeat(repeat, axis=2).repeat(repeat, axis=3)[:, :, :side, :side]
    noise = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    return np.where((np.arange(_PICTURES) % 2 == 0)[:, None, None, None], pixels, noise)


def _check_shape(rows: npt.NDArray[np.float32], wanted: tuple[int, int], name: str) -> None:
    if rows.shape != wanted:
        raise EncoderError(f"the {name} tower gives {rows.shape}, its spec says {wanted}")


def _joint_digest(folder: Path) -> str:
    """One digest for both weight files."""
    parts = [file_sha256(folder / name) for name in (IMAGE_FILES[1], TEXT_FILE)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()
