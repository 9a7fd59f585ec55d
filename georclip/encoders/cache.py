"""Where georclip keeps what can be fetched or made again: weights, compiled graphs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder for georclip; it may not exist yet.

    GEORCLIP_CACHE names it; else it is `georclip` under XDG_CACHE_HOME or ~/.cache.
    """
    named = os.environ.get("GEORCLIP_CACHE")
    if named:
        return Path(named).expanduser()
    return user_cache() / "georclip"


def user_cache() -> Path:
    """XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():
        return Path(base)
    return Path(os.path.expanduser("~")) / ".cache"
