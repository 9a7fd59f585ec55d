"""Where georclip keeps what can be fetched or made again: weights, text towers, questions."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from georclip.encoders.bundle import FORMAT
from georclip.values import EncoderSpec


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


def text_folder(spec: EncoderSpec) -> Path:
    """Where the user's cache keeps the text tower of a model; it may not be there."""
    key = hashlib.sha256(json.dumps([FORMAT, *text_identity(spec)]).encode()).hexdigest()
    return cache_folder() / "text-towers" / key[:32]


def text_identity(spec: EncoderSpec) -> tuple[str, str, str, int]:
    """What decides the vectors of sentences."""
    return spec.weights_sha256, spec.architecture, spec.activation, spec.dim
