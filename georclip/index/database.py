"""A SQLite file with counters: opened, read in one state, changed at once or not at all.

The journal is SQLite's rollback journal (DELETE), not its write-ahead log: a log needs shared
memory beside the database, which a read-only folder cannot have and network drives do not
offer. A reader holds a lock only while it reads, a writer only while it commits; each waits
for the other up to `_WAIT_S`. A commit is synced before it returns (synchronous=FULL).

This file and catalog.py are the only ones that speak SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from georclip.errors import GeorclipError, IndexCorruptError
from georclip.index.sqlite_errors import MEND, explained

_WAIT_S = 60.0
_SYNCHRONOUS = "FULL"


class Database:
    """A database whose table `meta` holds counters. One thread at a time."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        """Open a catalog that exists.

        Raises:
            IndexCorruptError: It is missing or damaged.
            GeorclipError: It cannot be opened here.
        """
        self._path = path
        if not path.is_file():
            raise IndexCorruptError(f"{path} is missing; {MEND}")
        mode = "rw" if writable else "ro"
        with self._explained():
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=_WAIT_S,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            self._prepare(writable=writable)
        except GeorclipError:
            self._db.close()
            raise

    def _prepare(self, *, writable: bool) -> None:
        self._all("PRAGMA foreign_keys = ON")
        self._all("PRAGMA cache_size = -65536")
        if writable:
            self._all(f"PRAGMA synchronous = {_SYNCHRONOUS}")
            self._all("PRAGMA journal_mode = DELETE")
        if self._meta("format") != 1:
            raise IndexCorruptError(f"{self._path} is of another format than index.json; {MEND}")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside becomes visible at once, or not at all."""
        self._all("BEGIN IMMEDIATE")
        try:
            yield
            self._all("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
            self._all("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.rollback()
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Every read inside sees one state, whatever a writer does; keep it short."""
        if self._db.in_transaction:
            yield
            return
        self._all("BEGIN")
        try:
            yield
        finally:
            self._db.rollback()

    def generation(self) -> int:
        """Counts commits."""
        return self._meta("generation")

    def take_number(self, key: str, count: int = 1) -> int:
        """Reserve `count` numbers ("next_row", "next_segment", "next_scene"); the first of them."""
        first = self._meta(key)
        self._all("UPDATE meta SET value = value + ? WHERE key = ?", (count, key))
        return first

    def peek_number(self, key: str) -> int:
        """The number that `take_number` would give."""
        return self._meta(key)

    def _meta(self, key: str) -> int:
        return self._number("SELECT value FROM meta WHERE key = ?", (key,))

    def _number(self, sql: str, values: Sequence[object] = ()) -> int:
        found = self._all(sql, values)
        if not found:
            raise IndexCorruptError(f"{self._path} lacks an entry that it must have; {MEND}")
        return int(found[0][0])

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explained(error, self._path, waited_s=_WAIT_S) from error
