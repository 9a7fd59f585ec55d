"""One writer at a time, and the few calls that differ between operating systems.

The lock belongs to the open file, not to its name: the system releases it when the process
that holds it is gone, however it went. The file stays behind, empty, and means nothing then.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO

from georclip.errors import GeorclipError

_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)

_WINDOWS_LOCK_OFFSET = 1 << 30
"""Windows locks bytes, and locked bytes cannot be read: one far behind the text is taken."""

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[str]) -> None:
        file.seek(_WINDOWS_LOCK_OFFSET)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        finally:
            file.seek(0)

    def sync_folder(folder: Path) -> None:
        """Windows writes folder entries through by itself."""

else:
    import fcntl

    def _try_lock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def sync_folder(folder: Path) -> None:
        """Make names created in, or renamed into, `folder` survive a loss of power."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class WriterLock:
    """Held by the one process that may change an index; a context manager.

    Args:
        path: The lock file; created where it is missing.

    Raises:
        GeorclipError: Another process holds it (the message says which, where and since when).
        OSError: The folder cannot be written, or knows no locks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = path.open("a+", encoding="utf-8")
        try:
            _try_lock(self._file)
        except OSError as error:
            holder = _read_holder(self._file)
            self._file.close()
            self._file = None
            if error.errno not in _TAKEN:
                raise
            raise GeorclipError(
                f"{path.parent} is being written by {holder}; wait until that is done, or end it"
            ) from error
        self._say_who()

    def _say_who(self) -> None:
        if self._file is None:
            return
        who = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps(who) + "\n")
        self._file.flush()

    def release(self) -> None:
        """Let others write. Safe to call twice."""
        if self._file is None:
            return
        try:
            self._file.seek(0)
            self._file.truncate()
            self._file.flush()
        finally:
            self._file.close()
            self._file = None

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _read_holder(file: IO[str]) -> str:
    """Who wrote the lock file, for people."""
    try:
        file.seek(0)
        who = json.loads(file.read())
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
