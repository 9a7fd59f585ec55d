"""What SQLite's errors mean to the person whose index it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from georclip.errors import GeorclipError, IndexCorruptError

MEND = "restore the folder from a copy, or index the scenes again into a new one"


def explained(error: sqlite3.Error, path: Path, *, waited_s: float) -> GeorclipError:
    """An error of SQLite in one line for people: what, where, and what to do.

    Args:
        error: As raised.
        path: The database.
        waited_s: How long a lock was waited for, s.
    """
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return GeorclipError(
            f"{path} stayed locked by another process for {waited_s:.0f} s; "
            "try again when it is done"
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return GeorclipError(
            f"cannot open or write {path} ({error}); check the folder's permissions "
            "(after a crash, the next opening needs to write there once)"
        )
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return GeorclipError(f"cannot write {path} ({error}); check the disk's free space")
    if isinstance(error, sqlite3.IntegrityError):
        return IndexCorruptError(
            f"{path}: two chips or scenes would share a key ({error}); "
            "nothing was changed; run `georclip verify --full`"
        )
    return IndexCorruptError(f"{path} is damaged ({error}); {MEND}")
