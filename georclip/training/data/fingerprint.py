"""What a run learnt from, in a digest: to know the data again, and to refuse to resume on other."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from georclip.captions.records import CaptionedImage
from georclip.encoders.bundle import file_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPrint:
    """The data of a run.

    Attributes:
        fingerprint: SHA-256 over what every picture is called and what is said about it.
        caption_files: Name and SHA-256 of each caption file, in the order given.
        images: Split to caption file to number of pictures.
    """

    fingerprint: str
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
