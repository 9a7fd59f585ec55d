"""A captioned picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
