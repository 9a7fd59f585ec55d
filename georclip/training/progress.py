"""How far a run is: a bar for each epoch on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm

log = logging.getLogger("georclip")

_BETWEEN_LINES_S = 15.0


class RunProgress:
    """Loss, images per second and the time left for the whole run."""

    def __init__(
        self, *, epochs: int, done_epochs: int, batches: int, batch_size: int, quiet: bool
    ) -> None:
        """Count from here.

        Args:
            epochs: Of the run.
            done_epochs: Of them, before this process began.
            batches: Steps in an epoch.
            batch_size: Pictures in a step.
            quiet: Show nothing.
        """
        self._epochs = epochs
        self._batches = batches
        self._batch_size = batch_size
        self._quiet = quiet
        self._began = time.monotonic()
        self._epoch_began = self._began
        self._steps = 0  # since the run began
        self._left = (epochs - done_epochs) * batches
        self._last_line = self._began
        self._bar: tqdm[NoReturn] | None = None
        self._epoch = done_epochs
        self._done = 0  # steps of the epoch

    @contextmanager
    def epoch(self, epoch: int, side_px: int) -> Iterator[None]:
        """Show an epoch, counted from 0, while the block runs."""
        self._epoch, self._done = epoch, 0
        self._epoch_began = time.monotonic()
        if not self._quiet and sys.stderr.isatty():
            self._bar = tqdm(
                total=self._batches * self._batch_size,
                desc=f"epoch {epoch + 1}/{self._epochs}, {side_px} px",
                unit="img",
                file=sys.stderr,
            )
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.close()
                self._bar = None

    def step(self, loss: float) -> None:
        """A step is done; `loss` is the epoch's mean so far."""
        self._done += 1
        self._steps += 1
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.3f}, {self.left()} for all", refresh=False)
            self._bar.update(self._batch_size)
            return
        now = time.monotonic()
        if not self._quiet and now - self._last_line >= _BETWEEN_LINES_S:
            self._last_line = now
            log.info(
                "epoch %d/%d: %d of %d images, loss %.3f, %.0f images/s, %s for all",
                self._epoch + 1, self._epochs, self._done * self._batch_size,
                self._batches * self._batch_size, loss, self._rate(now), self.left(),
            )  # fmt: skip

    def left(self) -> str:
        """Time that the rest of the run takes at the mean pace so far, validation included."""
        elapsed_s = time.monotonic() - self._began
        left_s = (self._left - self._steps) * elapsed_s / max(self._steps, 1)
        if left_s < 90:
            return f"{left_s:.0f} s left"
        minutes = round(left_s / 60)
        return f"{minutes} min left" if minutes < 90 else f"{minutes / 60:.1f} h left"

    def _rate(self, now: float) -> float:
        """Pictures a second in this epoch."""
        return self._done * self._batch_size / max(now - self._epoch_began, 1e-9)
