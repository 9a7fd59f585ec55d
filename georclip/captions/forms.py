"""How caption files are written, and what becomes of those that name no splits."""

from __future__ import annotations

from dataclasses import dataclass

from georclip.errors import CaptionError

_NOT_SEPARATORS = '"\r\n\0 '


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionForm:
    """How a table of captions (CSV, TSV) is written; JSON needs none of it.

    A column is given by its name in the header or by its position, counted from 1 ("2"); a name
    wins over a position. None: found by the usual names (see `georclip.captions.columns`).

    Attributes:
        separator: One character between columns, or None: a tab for .tsv and .tab, else the
            first comma, tab or semicolon in the file.
        image_column: Holds the picture's file, relative to the image folder or inside it.
        caption_column: Holds one sentence.
        split_column: Holds "train", "val" or "test".
        label_column: Holds the class in words.

    Raises:
        CaptionError: The separator is none that a table can have.
    """

    separator: str | None = None
    image_column: str | None = None
    caption_column: str | None = None
    split_column: str | None = None
    label_column: str | None = None

    def __post_init__(self) -> None:
        separator = self.separator
        if separator is not None and (len(separator) != 1 or separator in _NOT_SEPARATORS):
            raise CaptionError(
                f"{separator!r} cannot part columns: give one character such as ',', ';' or '\\t'"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOut:
    """Holds out images of a file that names no splits: they become "val", the others "train".

    Attributes:
        share: Of the images, [0, 1).
        seed: Another seed holds out other images.

    Raises:
        CaptionError: The share is none.
    """

    share: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise CaptionError(f"a val share of {self.share} is not at least 0 and below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Counts all images of a file that names no splits as one split's.

    Attributes:
        split: "train", "val" or "test".
        advice: Said with it, for people.
    """

    split: str
    advice: str = ""


Undivided = HoldOut | Whole
"""What becomes of images in a file without splits: some are held out, or all are of one split."""
