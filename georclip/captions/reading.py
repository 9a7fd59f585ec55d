"""Caption files of the RSICD form, and the pictures that they name.

The form: ``{"images": [{"filename", "split", "sentences": [{"raw"}], "class"?}]}``; "class" is
optional and gives class prompts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from georclip.captions.naming import some
from georclip.captions.records import CaptionedImage
from georclip.encoders.words import normalise
from georclip.errors import CaptionError


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
        raise CaptionError(f"{len(missing)} of {len(images)} images are missing: {some(missing)}")
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
