"""georclip: text-to-place search over satellite and aerial scenes.

import georclip
index = georclip.create_index("georclip-index", model="starter")
index.add("scene.tif")
result = index.search("harbor with ships", bbox=(-76.8, 34.6, -76.5, 34.8), k=20)
result.to_geodataframe()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from georclip.errors import (
    CaptionError,
    EncoderError,
    EncoderMismatchError,
    ExportError,
    GeorclipError,
    IndexCorruptError,
    IndexFormatError,
    QueryError,
    SceneError,
)

if TYPE_CHECKING:
    from georclip.api import Index, SearchResult, create_index, open_index

__version__ = "0.1.0"

__all__ = [
    "CaptionError",
    "EncoderError",
    "EncoderMismatchError",
    "ExportError",
    "GeorclipError",
    "Index",
    "IndexCorruptError",
    "IndexFormatError",
    "QueryError",
    "SceneError",
    "SearchResult",
    "__version__",
    "create_index",
    "open_index",
]

_LAZY = frozenset({"Index", "SearchResult", "create_index", "open_index"})


def __dir__() -> list[str]:
    """What is public, loaded or not."""
    return sorted(__all__)


def __getattr__(name: str) -> object:
    """Load the API on first use, so that `import georclip` stays quick."""
    if name in _LAZY:
        return getattr(import_module("georclip.api"), name)
    raise AttributeError(f"module 'georclip' has no attribute {name!r}")
