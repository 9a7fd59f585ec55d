"""Which columns of a table hold what, and whether its first row is a header. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from georclip.captions.forms import CaptionForm
from georclip.captions.naming import some
from georclip.errors import CaptionError

IMAGE_NAMES = ("filepath", "image_path", "filename", "file_name", "image", "file", "path")
CAPTION_NAMES = ("caption", "title", "text", "sentence")
SPLIT_NAMES = ("split",)
LABEL_NAMES = ("class", "label")
"""Headers found without being asked for, whatever their case; the first that is there counts.
"filepath" and "title" are open_clip's, "image" and "caption" the common notebook's."""

_PICTURE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".jp2", ".gif", ".bmp", ".avif")
)
"""A row with such a file name is no header, even where a caption reads "path"."""
_SHOWN_LETTERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where a table holds what; positions from 0.

    Attributes:
        image: Picture's file.
        caption: Sentence.
        split: Split, or None.
        label: Class, or None.
        header: Whether the first row names the columns.
        count: Columns of the first row.
    """

    image: int
    caption: int
    split: int | None
    label: int | None
    header: bool
    count: int


def find_columns(first: Sequence[str], second: Sequence[str] | None, form: CaptionForm) -> Columns:
    """Find the columns of a table by what was asked for, by usual names, or as its only two.

    Args:
        first: The first row.
        second: The next one, or None: a header is told by it where no name is known.
        form: What was asked for.

    Raises:
        CaptionError: A column is not there, or it cannot be told which it is; the message names
            the columns there are.
    """
    is_data = any(_suffix(cell) in _PICTURE_SUFFIXES for cell in first)
    names = [] if is_data else [cell.strip().lower() for cell in first]
    asked = (form.image_column, form.caption_column, form.split_column, form.label_column)
    usual = (IMAGE_NAMES, CAPTION_NAMES, SPLIT_NAMES, LABEL_NAMES)
    found = [None if wanted is None else _as_asked(first, names, wanted) for wanted in asked]
    for place, known in enumerate(usual):
        if asked[place] is None:
            found[place] = _by_name(names, known, taken=found)
    image, caption, split, label = found
    named = any(
        position is not None and (wanted is None or names[position] == wanted.strip().lower())
        for wanted, position in zip(asked, found, strict=True)
        if not is_data
    )
    if len(first) == 2 and split is None and label is None:
        image, caption = _only_two(image, caption)
    if image is None or caption is None:
        missing = "image" if image is None else "caption"
        raise CaptionError(
            f"cannot tell which column holds the {missing}s: say it with --{missing}-column, by "
            f"name or by position from 1; {_listed(first)}"
        )
    places = [place for place in (image, caption, split, label) if place is not None]
    if len(set(places)) < len(places):
        raise CaptionError(f"one column is asked for twice; {_listed(first)}")
    header = named or (not is_data and _looks_like_header(first, second, image))
    return Columns(
        image=image, caption=caption, split=split, label=label, header=header, count=len(first)
    )


def _by_name(
    names: Sequence[str], known: Sequence[str], *, taken: Sequence[int | None]
) -> int | None:
    places = (names.index(name) for name in known if name in names)
    return next((place for place in places if place not in taken), None)


def _as_asked(first: Sequence[str], names: Sequence[str], wanted: str) -> int:
    if wanted.strip().lower() in names:
        return names.index(wanted.strip().lower())
    if re.fullmatch(r"[0-9]{1,6}", wanted.strip()):
        position = int(wanted)
        if 1 <= position <= len(first):
            return position - 1
        raise CaptionError(f"there is no column {position}, counted from 1; {_listed(first)}")
    raise CaptionError(f"there is no column {wanted!r}; {_listed(first)}")


def _only_two(image: int | None, caption: int | None) -> tuple[int, int]:
    """Of two columns, the one that is not the one is the other."""
    if image is not None and caption is not None:
        return image, caption
    if image is not None:
        return image, 1 - image
    return (1 - caption, caption) if caption is not None else (0, 1)


def _looks_like_header(first: Sequence[str], second: Sequence[str] | None, image: int) -> bool:
    """File names have a suffix and headers have none: "photo" above "park_1.xyz"."""
    if second is None or image >= len(second):
        return False
    return not _suffix(first[image]) and bool(_suffix(second[image]))


def _suffix(cell: str) -> str:
    return PurePath(cell.strip()).suffix.lower()


def _listed(first: Sequence[str]) -> str:
    cells = [repr(cell[:_SHOWN_LETTERS]) for cell in first]
    return f"its first row has {len(cells)} columns: {some(cells)}"
