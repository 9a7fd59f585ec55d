"""What exports that were killed leave in the cache."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

NEW = ".new-"
"""What the name of a folder under way begins with."""
_LEFT_S = 86_400


def sweep(folder: Path) -> None:
    """Remove what was begun more than a day ago."""
    for left in folder.glob(f"{NEW}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_S:
                shutil.rmtree(left, ignore_errors=True)
