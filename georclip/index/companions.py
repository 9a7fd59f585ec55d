"""Vectors kept beside the index's rows, read as they are now: the background and the references.

A question can be answered without them: what is damaged or cannot be read is said once and passed
by. Whether a file was replaced is seen from its number, size and time, at each question.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from georclip.index.background import Background, read_background
from georclip.index.files import Layout
from georclip.index.references import Reference, check_reference_name, read_reference

log = logging.getLogger("georclip")

_Kept = TypeVar("_Kept")
_Stamp = tuple[int, int, int]


class Companions:
    """Reads what lies beside the rows of an index.

    Args:
        layout: The index.
        dim: Length of a vector.
    """

    def __init__(self, layout: Layout, dim: int) -> None:
        self._layout = layout
        self._dim = dim
        self._seen: dict[Path, tuple[_Stamp, object]] = {}

    def background(self) -> Background | None:
        """The sample of the index's chips; None where there is none that can be used."""
        return self._read(
            self._layout.background,
            read_background,
            "hits have no confidence; any command that writes to the index makes it anew",
        )

    def reference(self, name: str) -> Reference | None:
        """A named set of vectors; None where there is none that can be used.

        Raises:
            GeorclipError: No set may have this name.
        """
        check_reference_name(name)
        return self._read(
            self._layout.reference(name),
            read_reference,
            "it is passed by; `georclip index` makes it anew",
        )

    def _read(
        self, path: Path, read: Callable[[Path, int], _Kept | None], without: str
    ) -> _Kept | None:
        try:
            stat = path.stat()
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            seen = self._seen.get(path)
            if seen is not None and seen[0] == stamp:
                return cast("_Kept | None", seen[1])
            self._seen[path] = (stamp, None)
            found = read(path, self._dim)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s cannot be read (%s): %s", path, error.strerror or error, without)
            return None
        except ValueError as error:
            log.warning("%s is damaged (%s): %s", path, error, without)
            return None
        self._seen[path] = (stamp, found)
        return found
