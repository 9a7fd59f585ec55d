"""Caption files of any known form to captioned images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from georclip.captions.entries import Entry, gather
from georclip.captions.forms import CaptionForm, HoldOut, Undivided
from georclip.captions.json_files import read_json
from georclip.captions.records import CaptionedImage
from georclip.captions.tables import TAB_SUFFIXES, read_table
from georclip.errors import CaptionError

_ANY_TABLE = CaptionForm()
_TENTH = HoldOut()
_TABLE_SUFFIXES = TAB_SUFFIXES | {".csv"}


def read_captions(
    files: Sequence[Path],
    image_dirs: Sequence[Path],
    form: CaptionForm = _ANY_TABLE,
    *,
    undivided: Undivided = _TENTH,
) -> tuple[CaptionedImage, ...]:
    """Read caption files: JSON of the RSICD form, or tables (CSV, TSV) of image and caption.

    Whether the pictures are there, and whole, `georclip.captions.pictures.check_images` tells.

    Args:
        files: Caption files; one that is given twice gives its images twice.
        image_dirs: One folder for all files, or one for each, in the same order.
        form: How tables are written.
        undivided: What becomes of the images of a file that names no splits: a share is held out
            as "val", or all are of the split named.

    Raises:
        CaptionError: A file is of no known form, names pictures outside its folder, or holds no
            caption.
    """
    if len(image_dirs) not in (1, len(files)):
        raise CaptionError(
            f"{len(files)} caption files but {len(image_dirs)} image folders: "
            "give --images once for all, or once for each file in the same order"
        )
    folders = list(image_dirs) * len(files) if len(image_dirs) == 1 else list(image_dirs)
    return tuple(
        image
        for file, folder in zip(files, folders, strict=True)
        for image in gather(_read_file(file, form), file, folder, undivided)
    )


def _read_file(file: Path, form: CaptionForm) -> list[Entry]:
    text = _read_text(file)
    suffix = file.suffix.lower()
    json_inside = suffix not in _TABLE_SUFFIXES and text.lstrip()[:1] in ("{", "[")
    if suffix == ".json" or json_inside:
        return read_json(text, file)
    return read_table(text, file, form)


def _read_text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CaptionError(f"cannot read the caption file {file}: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        looks = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding"
        raise CaptionError(
            f"{file}, line {line}: is not UTF-8 ({looks}?): save it as UTF-8, for example with "
            "iconv -t UTF-8"
        ) from None
