"""Scenes that a file of hits names: which may be read, by whom it was written being unknown."""

from __future__ import annotations

import os

from georclip.scenes.access import Access, is_remote


def refusal(uri: str, read_from: str | None, access: Access) -> str:
    """Say why a hit's scene may not be read, and what allows it.

    Args:
        uri: The scene's absolute path or URL.
        read_from: The file of hits that names it; None where hits come from a search.
        access: What a person allowed beside the file's own folder and below.

    Returns:
        "" where it may be read.
    """
    if read_from is None or access.permits(uri, os.path.dirname(os.path.abspath(read_from))):
        return ""
    if is_remote(uri):
        return "the scene is not on this machine's disk: --allow-remote reads it"
    return (
        "the file of hits names a scene outside of its own folder: "
        f"--allow-outside {os.path.dirname(uri) or '.'} reads it"
    )
