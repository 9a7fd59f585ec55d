"""What a run learnt from, in a digest: to know the data again, and to refuse to resume on other."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from georclip.captions.records import CaptionedImage
from georclip.encoders.file_records import file_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPrint:
    """The data of a run.

    Attributes:
        fingerprint: SHA-256 over what every picture is called and what is said about it.
        in_order: Of `ordered_digest`.
        caption_files: Name and SHA-256 of each caption file, in the order given.
        images: Split to caption file to number of pictures.
    """

    fingerprint: str
    in_order: str
    caption_files: tuple[tuple[str, str], ...]
    images: dict[str, dict[str, int]]


def print_data(
    learnt: Sequence[CaptionedImage],
    held_out: Sequence[CaptionedImage],
    caption_files: Sequence[Path] = (),
) -> DataPrint:
    """Fingerprint the data of a run; bytes of pictures are not read.

    Args:
        learnt: Training images, with repeats.
        held_out: Val images.
        caption_files: Where they were read from.

    Raises:
        EncoderError: A caption file cannot be read.
    """
    counts = {
        split: dict(Counter(image.source for image in part))
        for split, part in (("train", learnt), ("val", held_out))
    }
    return DataPrint(
        fingerprint=fingerprint([*learnt, *held_out]),
        in_order=ordered_digest([*learnt, *held_out]),
        caption_files=tuple((file.name, file_sha256(file)) for file in caption_files),
        images=counts,
    )


def fingerprint(images: Sequence[CaptionedImage]) -> str:
    """SHA-256, hex, over file name, split, class and sentences of every picture.

    It depends neither on the order of the pictures nor on the folder they lie in.
    """
    entries = sorted(
        json.dumps([image.path.name, image.split, image.label, image.sentences]) for image in images
    )
    return hashlib.sha256("\n".join(entries).encode()).hexdigest()


def ordered_digest(images: Sequence[CaptionedImage]) -> str:
    """SHA-256, hex, over everything that a run takes from captions, in order, repeats included.

    Pictures count by their paths below the folder that all pictures of their caption file share,
    so that a data set may be moved as a whole, and files of equal name in its subfolders differ.
    """
    folders: dict[str, list[str]] = {}
    for image in images:
        folders.setdefault(image.source, []).append(os.path.abspath(image.path.parent))
    shared = {source: os.path.commonpath(set(found)) for source, found in folders.items()}
    digest = hashlib.sha256()
    for image in images:
        below = os.path.relpath(os.path.abspath(image.path), shared[image.source])
        entry = [image.source, Path(below).as_posix(), image.split, image.label, image.sentences]
        digest.update(f"{json.dumps(entry)}\n".encode())
    return digest.hexdigest()
