"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from georclip.errors import ExportError

_SIDE_FILES = ("-wal", "-shm", "-journal")


@contextmanager
def replacing(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Write a file beside its target and move it there when it is complete.

    Args:
        target: The file to make.
        overwrite: Replace a file that is there.

    Yields:
        A path to write to, of the same name in a folder that vanishes.

    Raises:
        ExportError: The folder is missing or cannot be written, or something is in the way;
            what lay at the target is as it was.
    """
    check_target(target, overwrite=overwrite)
    try:
        with tempfile.TemporaryDirectory(prefix=".georclip-", dir=target.parent) as folder:
            draft = Path(folder) / target.name
            yield draft
            for suffix in _SIDE_FILES:  # what SQLite left beside an old file is not the new one's
                target.with_name(target.name + suffix).unlink(missing_ok=True)
            os.replace(draft, target)
    except OSError as error:
        raise ExportError(
            f"cannot write {target}: {error.strerror or error}: name a folder you may write to"
        ) from error


def check_target(target: Path, *, overwrite: bool) -> None:
    """Say early what stands in the way of a file.

    Raises:
        ExportError: No such folder, a folder of that name, or a file without `overwrite`.
    """
    folder = target.parent
    if not folder.is_dir():
        raise ExportError(f"the folder {folder} does not exist: make it, or name another")
    if target.is_dir():
        raise ExportError(f"{target} is a folder: name a file")
    if target.exists() and not overwrite:
        raise ExportError(f"{target} exists: name another file, or replace it with --overwrite")
