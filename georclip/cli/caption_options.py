"""Options of the commands that read caption files. Imports only click at the top."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from georclip.captions.forms import CaptionForm
    from georclip.captions.records import CaptionedImage

Command = Callable[..., Any]

_ALL_MEASURED = (
    "if a model was trained on this file, --split val with the --val-share of that training (0.1 "
    "unless another was given) measures only what it has not learnt"
)
_SEPARATORS = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionOptions:
    """What was said on the command line about caption files.

    Attributes:
        image_dirs: `--images`.
        separator: `--separator`, one character, or None.
        image_column: `--image-column`: a name, or a position from 1.
        caption_column: `--caption-column`, likewise.
        split_column: `--split-column`, likewise.
        class_column: `--class-column`, likewise.
        val_share: `--val-share`, or None where it was not given.
    """

    image_dirs: tuple[str, ...]
    separator: str | None = None
    image_column: str | None = None
    caption_column: str | None = None
    split_column: str | None = None
    class_column: str | None = None
    val_share: float | None = None


def caption_options(command: Command) -> Command:
    """Add `--images` and what tells how caption files are written to a command.

    The command gets them as one argument, `caption_input`.
    """

    @functools.wraps(command)
    def collected(**given: Any) -> Any:  # noqa: ANN401 - click's values and the command's own
        said = {field.name: given.pop(field.name) for field in fields(CaptionOptions)}
        return command(caption_input=CaptionOptions(**said), **given)

    for option in reversed(_OPTIONS):
        option(collected)
    return collected


def check_caption_files(captions: Sequence[str], options: CaptionOptions) -> None:
    """Check that files and folders are there, before anything heavy is imported.

    Raises:
        CaptionError: One is not.
    """
    from pathlib import Path

    from georclip.errors import CaptionError

    for name in captions:
        if not Path(name).is_file():
            raise CaptionError(f"there is no caption file {name}")
    for name in options.image_dirs:
        if not Path(name).is_dir():  # before each of its pictures is named as missing
            raise CaptionError(f"there is no image folder {name}: name one with --images")


def read_caption_files(
    captions: Sequence[str], options: CaptionOptions, *, split: str | None = None
) -> tuple[CaptionedImage, ...]:
    """Read the caption files of a command.

    Args:
        captions: The files.
        options: What was said about them.
        split: Where a file names no splits, all its images are of this one. None, or a
            `--val-share` that was given: the share is held out as "val", always the same images,
            so that what was held out in training can be measured later.

    Raises:
        CaptionError: See `georclip.captions.reading.read_captions`.
    """
    from pathlib import Path

    from georclip.captions.forms import HoldOut, Undivided, Whole
    from georclip.captions.reading import read_captions

    undivided: Undivided = HoldOut()
    if split is not None:
        undivided = Whole(split=split, advice=_ALL_MEASURED)
    if options.val_share is not None:
        undivided = HoldOut(share=options.val_share)
    folders = [Path(name) for name in options.image_dirs]
    files = [Path(file) for file in captions]
    return read_captions(files, folders, caption_form(options), undivided=undivided)


def caption_form(options: CaptionOptions) -> CaptionForm:
    """How tables are written, as said on the command line."""
    from georclip.captions.forms import CaptionForm

    return CaptionForm(
        separator=options.separator,
        image_column=options.image_column,
        caption_column=options.caption_column,
        split_column=options.split_column,
        label_column=options.class_column,
    )


def _separator(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    letter = _SEPARATORS.get(value.lower(), value)
    if len(letter) != 1 or letter in '"\r\n\0 ':
        raise click.BadParameter(f"{value!r} is not one character such as ',' or '\\t'")
    return letter


def _column(name: str, what: str, found: str) -> Callable[[Command], Command]:
    return click.option(
        f"--{name}-column",
        metavar="NAME|N",
        help=f"Column of tables that holds {what}: its name, or its position from 1.  "
        f"[default: {found}]",
    )


_OPTIONS = (
    click.option(
        "--images",
        "image_dirs",
        multiple=True,
        required=True,
        type=click.Path(file_okay=False),
        help="Folder of the pictures; once for all caption files, or once for each, in their "
        "order.",
    ),
    click.option(
        "--separator",
        metavar="CHARACTER",
        callback=_separator,
        help="Between the columns of tables; \\t is a tab.  [default: the first comma, tab or "
        "semicolon; a tab for .tsv]",
    ),
    _column(
        "image",
        "the image file",
        "the first there is of filepath, image_path, filename, file_name, image, file, path; of "
        "two columns the one that is not the caption's",
    ),
    _column(
        "caption",
        "the caption",
        "the first there is of caption, title, text, sentence; of two columns the one that is not "
        "the image's",
    ),
    _column("split", "train, val or test", "split, if it is there"),
    _column("class", "the class in words", "class or label, if it is there"),
    click.option(
        "--val-share",
        metavar="SHARE",
        type=click.FloatRange(0, 1, max_open=True),
        help='Where a file names no splits: share of its images held out as "val".  '
        "[default: 0.1 in training; in evaluation all images count]",
    ),
)
