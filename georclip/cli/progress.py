"""Progress of long work on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from tqdm import tqdm

SECONDS_BETWEEN_LINES = 15.0


class ChipProgress:
    """Chips done of a scene, or other things, with a rate and the time left.

    Args:
        name: Shown in front.
        unit: What is counted, one of it.
        quiet: Show nothing.
    """

    def __init__(self, name: str, *, unit: str = "chip", quiet: bool = False) -> None:
        self.name = name
        self.unit = unit
        self.quiet = quiet
        self._bar: tqdm[NoReturn] | None = None
        self._started = time.monotonic()
        self._last_line = self._started
        self._first_done: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are behind us."""
        if self.quiet:
            return
        if sys.stderr.isatty():
            self._show_bar(done, total)
        else:
            self._show_line(done, total)

    def _show_bar(self, done: int, total: int) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=total, desc=self.name, unit=self.unit, leave=False, file=sys.stderr
            )
        self._bar.update(done - self._bar.n)

    def _show_line(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._first_done is None:
            self._first_done, self._started = done, now
            return
        if now - self._last_line < SECONDS_BETWEEN_LINES or done == total:
            return
        self._last_line = now
        rate = (done - self._first_done) / max(now - self._started, 1e-6)
        left_s = (total - done) / max(rate, 1e-6)
        click.echo(
            f"{self.name}: {done} of {total} {self.unit}s, {rate:.1f} {self.unit}s/s, "
            f"{duration(left_s)} left",
            err=True,
        )

    def __enter__(self) -> ChipProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def duration(seconds: float) -> str:
    """Seconds as people say them: "8 s", "3 min", "2 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def counted(number: int, thing: str) -> str:
    """A number of things in words: "1 scene", "2 scenes"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def byte_count(size: float) -> str:
    """Bytes as people say them: "512 B", "3.4 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
