"""Caption files of the RSICD form, and the pictures that they name.

The form: ``{"images": [{"filename", "split", "sentences": [{"raw"}], "class"?}]}``; "class" is
optional and gives class prompts.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from georclip.encoders.words import normalise
from georclip.errors import CaptionError

_NAMED_AT_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionedImage:
    """One picture and what people wrote about it.

    Attributes:
        path: The picture's file.
        split: "train", "val" or "test".
        label: Its class in words ("baseball field"), or "" where the file names none.
        sentences: Captions as written, at least one.
        source: The caption file, for figures per data set.
    """

    path: Path
    split: str
    label: str
    sentences: tuple[str, ...]
    source: str


def read_captions(files: Sequence[Path], image_dirs: Sequence[Path]) -> tuple[CaptionedImage, ...]:
    """Read caption files; every picture that is missing is named at once.

    Args:
        files: Caption files.
        image_dirs: One folder for all files, or one for each, in the same order.

    Raises:
        CaptionError: A file is not of the form or names pictures outside its folder, or pictures
            are missing.
    """
    if len(image_dirs) not in (1, len(files)):
        raise CaptionError(
            f"{len(files)} caption files but {len(image_dirs)} image folders: "
            "give --images once for all, or once for each file in the same order"
        )
    folders = list(image_dirs) * len(files) if len(image_dirs) == 1 else list(image_dirs)
    images = [
        image
        for file, folder in zip(files, folders, strict=True)
        for image in _read_file(file, folder)
    ]
    missing = [str(image.path) for image in images if not image.path.is_file()]
    if missing:
        raise CaptionError(f"{len(missing)} of {len(images)} images are missing: {_some(missing)}")
    return tuple(images)


def _read_file(file: Path, folder: Path) -> list[CaptionedImage]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        entries = content["images"]
        return [_read_entry(entry, file, folder) for entry in entries]
    except OSError as error:
        raise CaptionError(f"cannot read the caption file {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CaptionError(
            f"{file} is not a caption file of the RSICD form "
            f'{{"images": [{{"filename", "split", "sentences": [{{"raw"}}]}}]}}: {error!r}'
        ) from error


def _read_entry(entry: dict[str, object], file: Path, folder: Path) -> CaptionedImage:
    sentences = entry["sentences"]
    if not isinstance(sentences, list) or not sentences:
        raise ValueError(f"{entry['filename']} has no sentences")
    path = folder / str(entry["filename"])
    if not Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder)):
        raise CaptionError(f"{file} names {entry['filename']}, which lies outside {folder}")
    return CaptionedImage(
        path=path,
        split=str(entry["split"]),
        label=" ".join(normalise(str(entry.get("class", "")))),
        sentences=tuple(str(sentence["raw"]) for sentence in sentences),
        source=file.stem,
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED_AT_MOST])
    more = len(names) - _NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown


def decode_images(
    images: Sequence[CaptionedImage], *, max_side_px: int
) -> list[npt.NDArray[np.uint8]]:
    """Decode every picture once, into memory.

    Args:
        images: What to decode.
        max_side_px: Larger pictures are reduced, antialiased, until their short side is this.

    Returns:
        uint8 RGB, (height, width, 3) each, in the order given.

    Raises:
        CaptionError: Pictures are broken; all of them are named.
    """
    pixels: list[npt.NDArray[np.uint8]] = []
    broken: list[str] = []
    for image in images:
        try:
            with Image.open(image.path) as opened:
                picture = opened.convert("RGB")
        except (OSError, SyntaxError, ValueError):
            broken.append(str(image.path))
            continue
        shrink = max_side_px / min(picture.size)
        if shrink < 1:
            size = (round(picture.width * shrink), round(picture.height * shrink))
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        pixels.append(np.asarray(picture, dtype=np.uint8))
    if broken:
        raise CaptionError(f"{len(broken)} of {len(images)} images are broken: {_some(broken)}")
    return pixels


def build_vocabulary(
    images: Sequence[CaptionedImage], *, more: Sequence[str] = (), min_count: int = 3
) -> tuple[str, ...]:
    """Collect the words of captions and classes, most frequent first.

    Args:
        images: Training images.
        more: Sentences whose words are always taken.
        min_count: Words seen in fewer sentences than this are mostly slips and are left out.
    """
    counts = Counter(
        word
        for image in images
        for sentence in image.sentences
        for word in set(normalise(sentence))
    )
    wanted = {word for word, count in counts.items() if count >= min_count}
    wanted.update(word for image in images for word in normalise(image.label))
    wanted.update(word for sentence in more for word in normalise(sentence))
    return tuple(sorted(wanted, key=lambda word: (-counts[word], word)))
