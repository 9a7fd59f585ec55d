"""From what a person typed to scene uris: paths, globs, folders, URLs, STAC items."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from georclip.errors import SceneError
from georclip.scenes.access import Access, is_remote
from georclip.scenes.stac import is_item_name, resolve_item

_FOLDER_SUFFIXES = (
    *(".tif", ".tiff", ".gtiff", ".jp2", ".j2k", ".vrt", ".img", ".ntf", ".nitf", ".bil", ".bsq"),
    *(".ecw", ".sid", ".kea"),
)
"""What counts as a raster inside a folder; a file that is named itself may end in anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundScenes:
    """What the arguments of a call came to.

    Attributes:
        uris: Absolute, each once, in the order of the arguments; within a folder by name.
        problems: (argument, message) of those that led nowhere.
        acquired: Times that STAC items give, by uri: for `open_scene`.
    """

    uris: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]
    acquired: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))


def find_scenes(arguments: Sequence[str], *, access: Access | None = None) -> FoundScenes:
    """Turn paths, globs, folders (searched through), URLs and STAC items into scene uris.

    Args:
        arguments: As typed.
        access: What STAC items may name beside their own folder.
    """
    access = access or Access()
    uris: dict[str, None] = {}
    problems: list[tuple[str, str]] = []
    acquired: dict[str, datetime] = {}
    for argument in arguments:
        try:
            for path in _expand(argument):
                uri = path
                if is_item_name(path):
                    uri, moment = resolve_item(path, access)
                    if moment is not None:
                        acquired[uri] = moment
                uris.setdefault(uri)
        except SceneError as error:
            problems.append((argument, str(error)))
    return FoundScenes(
        uris=tuple(uris), problems=tuple(problems), acquired=MappingProxyType(acquired)
    )


def _expand(argument: str) -> Iterator[str]:
    """Absolute paths and URLs that one argument stands for."""
    if not argument.strip():
        raise SceneError("an empty name: name a raster, a folder, a glob or a URL")
    if is_remote(argument):
        yield argument
    elif os.path.isdir(argument):
        found = sorted(_rasters_below(argument))
        if not found:
            raise SceneError(
                f"{os.path.abspath(argument)}: a folder without rasters "
                "(.tif, .jp2, .vrt, ...): name the files themselves"
            )
        yield from found
    elif os.path.exists(argument):
        yield os.path.abspath(argument)
    elif glob.has_magic(argument):
        yield from _matches(argument)
    else:
        raise SceneError(f"{os.path.abspath(argument)}: no such file or folder: check the path")


def _matches(pattern: str) -> Iterator[str]:
    matches = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
    if not matches:
        raise SceneError(f"{pattern}: no file matches: check the pattern")
    for match in matches:
        if not os.path.isdir(match):
            yield os.path.abspath(match)
        elif "**" not in pattern:
            yield from sorted(_rasters_below(match))


def _rasters_below(folder: str) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(_FOLDER_SUFFIXES) and not name.startswith("."):
                yield os.path.abspath(os.path.join(root, name))
