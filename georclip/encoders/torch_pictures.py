"""Pictures through an image tower in torch: copied, resized and normalised on its device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from georclip.encoders.preprocessing import check_pixels, unit_rows
from georclip.errors import EncoderError
from georclip.values import EncoderSpec

CPU_BATCH = 16
GPU_BATCH = 256
_FREE_SHARE = 0.5
"""Of the free GPU memory that a batch may take: others use the card, too."""
_TRIAL = 8  # pictures that tell what one takes


class TorchPictures:
    """A tower with what comes before and after it.

    On a GPU pixels travel as uint8 from pinned memory without being waited for, and embeddings stay
    there until all batches are under way: a batch is copied while the one before is computed. The
    first call sizes batches by the free memory, and a batch that is too much is halved.
    """

    def __init__(
        self,
        embed: Callable[[Tensor], Tensor],
        spec: EncoderSpec,
        device: torch.device,
        batch_size: int | None,
    ) -> None:
        """Take a tower that is on its device.

        Args:
            embed: float32 (n, 3, side, side), normalised, to (n, dim).
            spec: Of the encoder.
            device: Where the tower is.
            batch_size: Most pictures at once; None chooses.

        Raises:
            EncoderError: A batch without a picture.
        """
        if batch_size is not None and batch_size < 1:
            raise EncoderError(f"a batch has at least one picture, not {batch_size}")
        self._embed = embed
        self._side = spec.image_size_px
        self._dim = spec.dim
        self._device = device
        self._on_gpu = device.type == "cuda"
        self._sized = batch_size is not None or not self._on_gpu
        self._batch_size = batch_size or (GPU_BATCH if self._on_gpu else CPU_BATCH)
        self._mean = torch.tensor(spec.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(spec.std, device=device).view(1, 3, 1, 1)

    @property
    def batch_size(self) -> int:
        """Pictures at once; halved when a GPU runs out of memory."""
        return self._batch_size

    def encode(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed pictures: uint8 RGB (n, 3, height, width) to unit rows, float32 (n, dim).

        Raises:
            EncoderError: `pixels` has another shape or dtype, or one picture alone is too much
                for the GPU.
        """
        check_pixels(pixels)
        if not self._sized and len(pixels):
            self._sized = True
            self._batch_size = self._fitting(pixels[:_TRIAL])
        done: list[Tensor] = []
        start = 0
        while start < len(pixels):
            part = pixels[start : start + self._batch_size]
            try:
                done.append(self._rows(part))
            except torch.cuda.OutOfMemoryError as error:
                if self._batch_size == 1:
                    raise EncoderError(
                        f"{self._device} has no memory for one picture; use --device cpu"
                    ) from error
                torch.cuda.empty_cache()
                self._batch_size = max(1, min(self._batch_size, len(part)) // 2)
                continue
            start += len(part)
        if not done:
            return np.empty((0, self._dim), dtype=np.float32)
        rows: npt.NDArray[np.float32] = torch.cat(done).cpu().numpy()  # waits for the device
        return unit_rows(rows)

    def _rows(self, pixels: npt.NDArray[np.uint8]) -> Tensor:
        """One batch: (n, 3, height, width) uint8 to float32 (n, dim), on the device."""
        batch = torch.from_numpy(np.ascontiguousarray(pixels))
        if self._on_gpu:
            batch = batch.pin_memory().to(self._device, non_blocking=True)
        with computing(self._device):
            return self._embed(self._prepare(batch)).float()

    def _prepare(self, batch: Tensor) -> Tensor:
        """Resize to the tower's square and normalise, on the device.

        Rounded and held within [0, 255] after resizing, as Pillow does.
        """
        side = self._side
        resized = batch.float()  # (batch, 3, height, width)
        if batch.shape[2:] != (side, side):
            resized = F.interpolate(
                resized, size=(side, side), mode="bicubic", antialias=True, align_corners=False
            )
            resized = resized.round().clamp(0, 255)
        return (resized / 255 - self._mean) / self._std

    def _fitting(self, few: npt.NDArray[np.uint8]) -> int:
        """Pictures of this kind that a share of the free GPU memory holds, at most `GPU_BATCH`."""
        try:
            torch.cuda.reset_peak_memory_stats(self._device)
            before = torch.cuda.memory_allocated(self._device)
            self._rows(few)
            taken = torch.cuda.max_memory_allocated(self._device) - before
            free, _ = torch.cuda.mem_get_info(self._device)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            return len(few)  # halved from there
        return batch_that_fits(free, taken / len(few))


def batch_that_fits(free_bytes: int, picture_bytes: float) -> int:
    """Pictures that a share of the free memory holds, from 1 to `GPU_BATCH`."""
    fits = int(free_bytes * _FREE_SHARE / max(picture_bytes, 1.0))
    return max(1, min(GPU_BATCH, fits))


@contextmanager
def computing(device: torch.device) -> Iterator[None]:
    """No gradients; half precision on a GPU; on a CPU torch's faster float32 kernels."""
    if device.type == "cuda":
        half = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        with torch.inference_mode(), torch.autocast("cuda", dtype=half):
            yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_float32_matmul_precision(before)
