"""An image tower in torch to a graph that runs without it, checked against torch."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

from georclip.encoders.bundle import IMAGE_FILES, Precision
from georclip.encoders.check_pictures import check_pictures
from georclip.encoders.clip import OpenClipEncoder
from georclip.encoders.compact import TorchCompactEncoder
from georclip.encoders.file_records import FileRecord, RecordedFolder
from georclip.encoders.image_tower import ImageTower, precisions_here
from georclip.encoders.preprocessing import preprocess, unit_rows
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.text_export import MIN_COSINE_HALF
from georclip.errors import EncoderError
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder

MIN_COSINE_BF16 = 0.9999
"""Between a picture in bf16 and in torch's float32. Above it an index hardly tells which machine
made it; below, the tower is computed in float32 everywhere."""
_PART = 8  # pictures that torch embeds at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageExport:
    """How an exported image tower compares with torch's float32.

    Attributes:
        cosine: The lowest, in `precision`.
        precision: What it may be computed in.
    """

    cosine: float
    precision: Precision


def write_image_tower(tower: torch.nn.Module, spec: EncoderSpec, folder: Path) -> ImageExport:
    """Write `IMAGE_FILES`, and check what they compute against torch.

    Exported in evaluation mode, on the CPU, with a batch dimension that is free; weights are
    stored as fp16, and outputs are scaled to unit length inside the graph. bf16 is allowed where
    the processor has it and noise, smooth and natural pictures keep to `MIN_COSINE_BF16`.

    Args:
        tower: float32 (n, 3, side, side), normalised RGB -> (n, dim), of any length.
        spec: What decides the embeddings.
        folder: Is there; graphs in it are replaced.

    Raises:
        EncoderError: The tower cannot be exported, or differs from torch's.
    """
    pixels = check_pictures(spec.image_size_px)
    images = torch.from_numpy(preprocess(pixels, spec.image_size_px, spec.mean, spec.std))
    with _cpu_evaluation(tower), torch.inference_mode():
        parts = [tower(part) for part in torch.split(images, _PART)]
        wanted = torch.nn.functional.normalize(torch.cat(parts).float(), dim=-1).numpy()
    check_rows(wanted, (len(pixels), spec.dim), "image")
    _export(tower, images[:2], folder / IMAGE_FILES[0])
    files = RecordedFolder(
        folder=folder, files={name: FileRecord.of(folder / name) for name in IMAGE_FILES}
    )
    found = ImageTower(files, spec, "f32").encode(pixels)
    cosine = check_cosine(found, wanted, MIN_COSINE_HALF)
    if "bf16" in precisions_here():
        found = ImageTower(files, spec, "bf16").encode(pixels)
        half = _lowest(found, wanted)
        if half >= MIN_COSINE_BF16:
            return ImageExport(cosine=half, precision="bf16")
    return ImageExport(cosine=cosine, precision="f32")


def image_of(encoder: Encoder) -> torch.nn.Module:
    """The image tower of an encoder that lives in torch.

    Raises:
        EncoderError: It lives elsewhere.
    """
    if isinstance(encoder, OpenClipEncoder):
        return _ClipImages(encoder.model)
    if isinstance(encoder, TorchCompactEncoder):
        return encoder.towers.image
    raise EncoderError(not_in_torch(encoder))


def not_in_torch(encoder: Encoder) -> str:
    """Say why an encoder cannot be exported."""
    if isinstance(encoder, RuntimeEncoder):
        return f"{encoder.spec.name} is exported already: copy {encoder.bundle.folder}"
    return f"{encoder.spec.name} is of a kind that cannot be exported"


def check_rows(rows: npt.NDArray[np.float32], wanted: tuple[int, int], name: str) -> None:
    """Refuse embeddings of another shape than the spec says.

    Raises:
        EncoderError: They are.
    """
    if rows.shape != wanted:
        raise EncoderError(f"the {name} tower gives {rows.shape}, its spec says {wanted}")


def check_cosine(
    found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32], least: float
) -> float:
    """Compare exported embeddings with torch's, row by row; returns the lowest cosine.

    Raises:
        EncoderError: One is below `least`, or no number.
    """
    lowest = _lowest(found, wanted)
    if not lowest >= least:  # NaN too
        raise EncoderError(
            f"exported towers differ from torch's: cosine {lowest:.6f}, at least {least} is wanted"
        )
    return lowest


def _lowest(found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> float:
    return float((found * unit_rows(wanted)).sum(axis=1).min())


class _ClipImages(torch.nn.Module):
    """open_clip's image tower, as a module of its own."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - open_clip's classes vary
        super().__init__()
        self.model = model
        self.train(model.training)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, side, side) to (n, dim)."""
        rows: torch.Tensor = self.model.encode_image(pixels)
        return rows


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
