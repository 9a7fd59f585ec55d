"""All pictures of captions: decoded once, and everything that is wrong with them said at once."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import NoReturn, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from tqdm import tqdm

from georclip.captions.naming import NAMED_AT_MOST, some
from georclip.captions.records import CaptionedImage
from georclip.errors import CaptionError
from georclip.scenes.picture_file import read_picture

log = logging.getLogger("georclip")

Pixels = npt.NDArray[np.uint8]
Outcome = TypeVar("Outcome")

_THREADS = 4
_SHOWN_FROM = 300
"""Fewer pictures are done before a bar is of use."""
_DOUBLED_AT_MOST = 6
"""Folders in a row that a path may name twice by mistake."""
_LISTED_AT_MOST = 1000
_CHECKED_SIDE_PX = 128
_REASON_LETTERS = 100
_NAME_LETTERS = 200


def decode_images(
    images: Sequence[CaptionedImage], *, max_side_px: int, quiet: bool = False
) -> list[Pixels]:
    """Decode every picture once, into memory.

    Args:
        images: What to decode; one that comes again gets the same array.
        max_side_px: Larger pictures are reduced, antialiased, until their short side is this.
        quiet: No progress bar.

    Returns:
        uint8 RGB, (height, width, 3) each, in the order given, read-only.

    Raises:
        CaptionError: Pictures are missing or broken; all of them are named.
    """
    pixels = _read_all(images, max_side_px=max_side_px, keep=True, quiet=quiet)
    return [pixels[image.path] for image in images]


def check_images(images: Sequence[CaptionedImage], *, quiet: bool = False) -> None:
    """Decode every picture and keep none: what is wrong is known before hours of work start.

    Args:
        images: What to check.
        quiet: No progress bar.

    Raises:
        CaptionError: Pictures are missing or broken; all of them are named.
    """
    _read_all(images, max_side_px=_CHECKED_SIDE_PX, keep=False, quiet=quiet)


def _read_all(
    images: Sequence[CaptionedImage], *, max_side_px: int, keep: bool, quiet: bool
) -> dict[Path, Pixels]:
    """Decode each file once, in threads: decoders give the interpreter free.

    Where nothing is kept, what is wrong goes into the log line by line, too.
    """
    paths = list(dict.fromkeys(image.path for image in images))
    missing = {path for path in paths if not os.path.isfile(path)}  # Path's own can raise
    there = [path for path in paths if path not in missing]
    one_large = Lock()
    pixels: dict[Path, Pixels] = {}
    broken: dict[Path, str] = {}

    def read(path: Path) -> Pixels | str:
        try:
            return read_picture(path, max_side_px=max_side_px, one_large=one_large)
        except Exception as error:  # decoders raise anything over files that are broken on purpose
            return _reason(error)

    # closing: interrupted between two pictures, the threads stop too
    with _bar(len(there), quiet=quiet) as bar, closing(_in_threads(read, there)) as outcomes:
        for path, outcome in outcomes:
            if isinstance(outcome, str):
                broken[path] = outcome
            elif keep:
                pixels[path] = outcome
            bar.update()
    _refuse([path for path in paths if path in missing], broken, len(paths), listed=not keep)
    return pixels


def _in_threads(
    read: Callable[[Path], Outcome], paths: Sequence[Path]
) -> Generator[tuple[Path, Outcome], None, None]:
    """Call for every path, and give what comes of it in their order."""
    with warnings.catch_warnings(), ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        # Set here, since what threads set and restore on their own would overtake each other.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            yield from zip(paths, pool.map(read, paths), strict=True)
        finally:  # interrupted: what has not begun need not be waited for
            pool.shutdown(wait=False, cancel_futures=True)


def _bar(total: int, *, quiet: bool) -> tqdm[NoReturn]:
    return tqdm(
        total=total, desc="pictures", unit="picture", leave=False, mininterval=0.5,
        disable=quiet or total < _SHOWN_FROM,
    )  # fmt: skip


def _reason(error: Exception) -> str:
    """Why a picture cannot be used, in a few words."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words[:_REASON_LETTERS]


def _short(path: Path) -> str:
    name = str(path)
    return name if len(name) <= _NAME_LETTERS else f"...{name[-_NAME_LETTERS:]}"


def _refuse(missing: Sequence[Path], broken: dict[Path, str], total: int, *, listed: bool) -> None:
    """Name all pictures that cannot be used; where `listed`, many go into the log line by line.

    Raises:
        CaptionError: There are some.
    """
    wrong = {
        "missing": [_short(path) for path in missing],
        "broken": [f"{_short(path)} ({why})" for path, why in broken.items()],
    }
    if listed and any(len(names) > NAMED_AT_MOST for names in wrong.values()):
        for kind, names in wrong.items():
            for name in names[:_LISTED_AT_MOST]:
                log.warning("%s: %s", kind, name)
    parts = [
        f"{len(names)} of {total} images are {kind}: {some(names)}"
        for kind, names in wrong.items()
        if names
    ]
    near = _undoubled(missing[0]) if missing else None
    if near is not None:
        parts.append(
            f"{near} is there: names in a caption file are looked for below the folder of --images"
        )
    if parts:
        raise CaptionError("; ".join(parts))


def _undoubled(missing: Path) -> Path | None:
    """Where a picture is whose path names a few folders twice, as pictures/pictures/one.png."""
    parts = missing.parts
    for count in range(1, _DOUBLED_AT_MOST + 1):
        for start in range(len(parts) - 2 * count):
            again = start + count
            if parts[start:again] == parts[again : again + count]:
                shorter = Path(*parts[:start], *parts[again:])
                if os.path.isfile(shorter):
                    return shorter
    return None
