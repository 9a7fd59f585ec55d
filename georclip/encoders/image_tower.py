"""An exported image tower on OpenVINO, the one CPU runtime for pictures."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from georclip.encoders.bundle import IMAGE_FILES, Precision
from georclip.encoders.file_records import RecordedFolder
from georclip.encoders.preprocessing import check_pixels, preprocess, unit_rows
from georclip.errors import EncoderError
from georclip.values import EncoderSpec

IMAGE_BATCH = 8
"""Pictures per inference. Fixed, the last batch padded, so that a picture's embedding does not
depend on its neighbours; 8 was the fastest of 1, 4, 8, 16 and 32 on two cores."""
_CORES_A_RESIZER = 4
"""Resizing 512 px takes about a fifteenth of a ViT-B-32 in bf16, as much as a small tower in f32:
one thread in so many keeps the others busy, and on few cores the caller's own does it."""


class ImageTower:
    """Pictures to unit vectors, by an exported graph.

    It is checked and compiled when it is first used. In the precision that it was exported for, or
    in float32 where the processor has none of that: OpenVINO would take bf16 wherever there is one,
    and vectors of a compact tower move in it (cosine down to 0.996), so that an index would depend
    on the machine that made it.
    """

    def __init__(self, files: RecordedFolder, spec: EncoderSpec, precision: Precision) -> None:
        """Take a folder that holds `IMAGE_FILES`; nothing is read yet.

        Args:
            files: The folder.
            spec: Of the encoder that the tower belongs to.
            precision: What it may be computed in.
        """
        self._files = files
        self._spec = spec
        self._precision = precision

    @cached_property
    def precision(self) -> Precision:
        """What it is computed in here."""
        return self._precision if self._precision in precisions_here() else "f32"

    def encode(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed pictures: uint8 RGB (n, 3, height, width) to unit rows, float32 (n, dim).

        Raises:
            EncoderError: `pixels` has another shape or dtype, or the tower cannot be used.
        """
        check_pixels(pixels)
        starts = range(0, len(pixels), IMAGE_BATCH)
        parts = (pixels[start : start + IMAGE_BATCH] for start in starts)
        return unit_rows(self.infer(self._prepared(parts), len(pixels)))

    def infer(
        self, batches: Iterable[npt.NDArray[np.float32]], count: int
    ) -> npt.NDArray[np.float32]:
        """Put batches that are ready through the graph, one being made while others are inferred.

        Args:
            batches: float32 (`IMAGE_BATCH`, 3, side, side), normalised.
            count: Pictures in them, n; what fills the last batch is left out.

        Returns:
            float32 (n, dim), of about unit length.

        Raises:
            EncoderError: The tower cannot be used.
        """
        out = np.empty((count, self._spec.dim), dtype=np.float32)
        if count == 0:
            return out
        queue = self._queue

        def keep(request: Any, start: int) -> None:  # noqa: ANN401  OpenVINO types it as Any
            stop = min(start + IMAGE_BATCH, len(out))
            out[start:stop] = request.get_output_tensor(0).data[: stop - start]

        queue.set_callback(keep)
        for number, batch in enumerate(batches):
            queue.start_async({0: batch}, userdata=number * IMAGE_BATCH)
        queue.wait_all()
        return out

    def _prepared(
        self, parts: Iterator[npt.NDArray[np.uint8]]
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Parts as the graph takes them, float32 (`IMAGE_BATCH`, 3, side, side), in order."""
        return map(self._batch, parts) if self._pool is None else self._pool.map(self._batch, parts)

    def _batch(self, part: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        spec = self._spec
        side = spec.image_size_px
        ready = preprocess(part, side, spec.mean, spec.std)
        if len(part) == IMAGE_BATCH:
            return ready
        batch = np.zeros((IMAGE_BATCH, 3, side, side), dtype=np.float32)
        batch[: len(part)] = ready
        return batch

    @cached_property
    def _pool(self) -> ThreadPoolExecutor | None:
        """Threads that resize; Pillow lets go of the interpreter meanwhile."""
        threads = (os.cpu_count() or 1) // _CORES_A_RESIZER
        return ThreadPoolExecutor(threads, "georclip-resize") if threads else None

    @cached_property
    def _queue(self) -> ov.AsyncInferQueue:
        self._files.check_digests(IMAGE_FILES)
        side = self._spec.image_size_px
        with self._openvino_errors():
            core = runtime_core()
            model = core.read_model(self._files.folder / IMAGE_FILES[0])
            model.reshape([IMAGE_BATCH, 3, side, side])
            options = {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_PRECISION_HINT": self.precision,
            }
            return ov.AsyncInferQueue(core.compile_model(model, "CPU", options))

    @contextlib.contextmanager
    def _openvino_errors(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # OpenVINO raises nothing finer
            first_line = str(error).strip().splitlines()[0]
            raise EncoderError(
                f"{self._files.folder / IMAGE_FILES[0]} cannot be run by OpenVINO "
                f"{ov.get_version()}: {first_line}"
            ) from error


@cache
def runtime_core() -> ov.Core:
    """OpenVINO, one for the process.

    Each one sets a stack of its own for signal handlers, and puts back what it found when it goes.
    Two that do not go in the reverse order of their coming leave a stack that is freed: the next
    Ctrl-C ends the process with a segmentation fault (seen with OpenVINO 2026.4).
    """
    return ov.Core()


def precisions_here() -> tuple[Precision, ...]:
    """What this processor computes towers in."""
    capabilities = runtime_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("f32", "bf16") if "BF16" in capabilities else ("f32",)
