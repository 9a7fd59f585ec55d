"""What caption files say, row by row, gathered into one captioned image per picture."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from georclip.captions.forms import HoldOut, Undivided, Whole
from georclip.captions.naming import some
from georclip.captions.records import CaptionedImage
from georclip.encoders.words import normalise
from georclip.errors import CaptionError

log = logging.getLogger("georclip")

_SHOWN_LETTERS = 200
_SPLITS = {
    "training": "train",
    "restval": "train",  # Karpathy's COCO: images of val that are learnt
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "testing": "test",
}
"""Other words for the three splits; anything else is taken as it stands."""
_USUAL = frozenset({"train", "val", "test"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one place in a caption file says about one picture.

    Attributes:
        where: "row 12" or "images[3]", for people.
        image: The picture's file as written.
        sentences: As written; blank ones are dropped later, and said.
        split: As written, or "" where there is none.
        label: The class as written, or "".
    """

    where: str
    image: str
    sentences: tuple[str, ...]
    split: str = ""
    label: str = ""


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """Entries of one picture, so far."""

    name: str
    where: str
    split: str
    label: str
    sentences: list[str]


def gather(
    entries: Sequence[Entry], file: Path, folder: Path, undivided: Undivided
) -> list[CaptionedImage]:
    """Join the entries of each picture, in the order in which pictures are first named.

    Blank captions are left out with a warning; captions that come again are kept, since protocol
    A counts them. Splits of unusual names are kept, and said.

    Args:
        entries: Of one file.
        file: The caption file.
        folder: Where its pictures are.
        undivided: What becomes of the images where no entry has a split. Where some have one,
            the others count as "train", and that is said.

    Raises:
        CaptionError: A picture lies outside the folder, two entries of one picture disagree, or
            no caption is left.
    """
    pictures: dict[str, _Gathered] = {}
    for entry in entries:
        name = _inside(entry, file, folder)
        found = _Gathered(
            name=name,
            where=entry.where,
            split=split_name(entry.split),
            label=class_words(entry.label),
            sentences=[sentence for sentence in entry.sentences if sentence.strip()],
        )
        known = pictures.setdefault(name, found)
        if known is not found:
            _join(known, found, file)
    _report_blank(entries, file)
    kept = [picture for picture in pictures.values() if picture.sentences]
    if not kept:
        raise CaptionError(f"{file} holds no caption: there is nothing to learn or measure")
    _divide(kept, file, undivided)
    _report_unusual(kept, file)
    return [
        CaptionedImage(
            path=folder / picture.name,
            split=picture.split,
            label=picture.label,
            sentences=tuple(picture.sentences),
            source=file.stem,
        )
        for picture in kept
    ]


def split_name(text: str) -> str:
    """The usual word for a split: "train", "val", "test"; others as they stand."""
    name = text.strip().lower()
    return _SPLITS.get(name, name)


def class_words(text: str) -> str:
    """A class in words ("BaseballField": "baseball field"); a mere number says nothing."""
    return "" if text.strip().isdecimal() else " ".join(normalise(text))


def held_out(names: Iterable[str], how: HoldOut) -> frozenset[str]:
    """Choose the names that are held out: a function of the set of names, not of their order.

    The names are ordered by SHA-256 of seed and name; the first ones are held out, at least one
    of two where the share is above 0.
    """

    def lot(name: str) -> bytes:
        return hashlib.sha256(f"{how.seed}:{name}".encode("utf-8", "surrogatepass")).digest()

    drawn = sorted(set(names), key=lot)
    count = round(how.share * len(drawn))
    if how.share > 0 and len(drawn) > 1:
        count = min(max(count, 1), len(drawn) - 1)
    return frozenset(drawn[:count])


def _inside(entry: Entry, file: Path, folder: Path) -> str:
    """The picture's file relative to its folder, one spelling per file.

    Raises:
        CaptionError: There is no name, or it leads elsewhere.
    """
    shown = repr(entry.image[:_SHOWN_LETTERS])
    if not entry.image.strip() or "\0" in entry.image:
        raise CaptionError(f"{file}, {entry.where}: {shown} names no image file")
    base = os.path.abspath(folder)
    path = os.path.abspath(os.path.join(base, entry.image))
    if not Path(path).is_relative_to(base) or path == base:
        raise CaptionError(
            f"{file}, {entry.where}: {shown} lies outside {folder}: images are looked for "
            "in the folder of --images and below only"
        )
    return os.path.relpath(path, base)


def _join(known: _Gathered, found: _Gathered, file: Path) -> None:
    for what, before, now in (
        ("split", known.split, found.split),
        ("class", known.label, found.label),
    ):
        if before and now and before != now:
            raise CaptionError(
                f"{file}, {found.where}: {known.name} has the {what} {now!r} here and {before!r} "
                f"in {known.where}: an image has one {what}"
            )
    known.split = known.split or found.split
    known.label = known.label or found.label
    known.sentences += found.sentences


def _report_blank(entries: Sequence[Entry], file: Path) -> None:
    blank = [
        entry.where for entry in entries for sentence in entry.sentences if not sentence.strip()
    ]
    if blank:
        log.warning("%s: %d empty captions are left out: %s", file, len(blank), some(blank))


def _report_unusual(pictures: Sequence[_Gathered], file: Path) -> None:
    counts = Counter(picture.split for picture in pictures if picture.split not in _USUAL)
    if counts:
        found = [f"{count} of {name!r}" for name, count in counts.items()]
        log.warning(
            "%s: images of other splits than train, val and test, which are neither learnt nor "
            "held out: %s",
            file, some(found),
        )  # fmt: skip


def _divide(pictures: Sequence[_Gathered], file: Path, undivided: Undivided) -> None:
    without = [picture for picture in pictures if not picture.split]
    if not without:
        return
    if len(without) < len(pictures):
        log.warning(
            '%s: %d of %d images have no split and count as "train": %s',
            file, len(without), len(pictures), some([picture.name for picture in without]),
        )  # fmt: skip
        for picture in without:
            picture.split = "train"
    elif isinstance(undivided, Whole):
        advice = f"; {undivided.advice}" if undivided.advice else ""
        log.info(
            '%s names no splits: all %d images count as "%s"%s',
            file, len(without), undivided.split, advice,
        )  # fmt: skip
        for picture in without:
            picture.split = undivided.split
    else:
        val = held_out((picture.name for picture in without), undivided)
        for picture in without:
            picture.split = "val" if picture.name in val else "train"
        log.info(
            '%s names no splits: %d of %d images, chosen by their names, are held out as "val"',
            file, len(val), len(without),
        )  # fmt: skip
