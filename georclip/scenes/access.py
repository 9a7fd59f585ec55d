"""What a file may make us read: its own folder and below, and what the person allowed.

What a person typed may be read. What a file names (a VRT's sources, a STAC item's asset, the
overviews and masks that GDAL looks for beside a raster) is somebody else's choice, and is checked
here before GDAL sees it.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from georclip.errors import SceneError

_MOST_NESTING = 8
_MOST_XML_BYTES = 64 * 1024 * 1024
_SNIFFED_BYTES = 64 * 1024
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
_NAMING_TAGS = frozenset({"sourcefilename", "sourcedataset", "dempath"})
_REFERENCE_HINTS = ("filename", "dataset")
_SIDE_SUFFIXES = (".ovr", ".msk")
"""GDAL takes such a file for overviews or mask of the one it is named after, whatever it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a file may name, beside things in its own folder and below.

    Attributes:
        allow_remote: Anything that GDAL's virtual file systems reach.
        allow_outside: Further local folders, with everything below them.
    """

    allow_remote: bool = False
    allow_outside: tuple[str | Path, ...] = ()

    def permits(self, reference: str, folder: str) -> bool:
        """Say whether a file in `folder` may name `reference` (an absolute path or a URL)."""
        if is_remote(reference):
            return self.allow_remote or (
                is_remote(folder) and ".." not in reference and reference.startswith(folder + "/")
            )
        if is_remote(folder):
            return any(_lies_in(reference, allowed) for allowed in self.allow_outside)
        return any(_lies_in(reference, allowed) for allowed in (folder, *self.allow_outside))


def is_remote(reference: str) -> bool:
    """Say whether a name is a URL, a GDAL virtual path or a connection string, not a local path."""
    return reference.startswith("/vsi") or (
        _SCHEME.match(reference) is not None and not Path(reference).exists()
    )


def is_vrt(path: str | Path) -> bool:
    """Say whether GDAL would take a local file for a VRT."""
    if not os.path.isfile(path):  # some formats are folders
        return False
    with open(path, "rb") as file:
        return b"<VRTDataset" in file.read(_SNIFFED_BYTES)


def check_sources(path: str, access: Access, *, depth: int = 0) -> tuple[str, ...]:
    """Refuse a local raster that names what it may not, before anything of it is opened.

    A VRT names its sources; beside any raster may lie overviews and a mask.

    Args:
        path: A local file.
        access: What is allowed.
        depth: How many files led here.

    Returns:
        The file, and every local file that it leads to.

    Raises:
        SceneError: Something is remote or lies outside, or a VRT cannot be understood.
    """
    if depth and _is_description(path) and not is_vrt(path):
        raise SceneError(
            f"{path}: would be read along with a scene, and is itself a description of other "
            "data: convert it to GeoTIFF first"
        )
    if depth > _MOST_NESTING:
        raise SceneError(f"{path}: VRTs nested more than {_MOST_NESTING} deep: flatten them")
    files = [path]
    for side in _side_files(path):
        files += check_sources(side, access, depth=depth + 1)
    folder = os.path.dirname(os.path.abspath(path))
    for reference in _references(path) if is_vrt(path) else ():
        check_reference(path, "VRT", reference, folder, access)
        if not is_remote(reference) and os.path.isfile(reference):
            files += check_sources(reference, access, depth=depth + 1)
    return tuple(files)


def check_reference(path: str, kind: str, reference: str, folder: str, access: Access) -> None:
    """Refuse something that a file names, unless it lies in `folder` or was allowed.

    Raises:
        SceneError: It is remote or lies outside; the message says which option allows it.
    """
    if access.permits(reference, folder):
        return
    remote = is_remote(reference)
    option = "--allow-remote" if remote else f"--allow-outside {Path(reference).parent}"
    where = "over the network or through a virtual file system" if remote else "elsewhere"
    raise SceneError(
        f"{path}: this {kind} reads {reference[:200]!r} {where}: "
        f"if you trust it, allow that with {option}"
    )


def _side_files(path: str) -> tuple[str, ...]:
    """Overviews and mask beside a file, as GDAL finds them: whatever the case of their names."""
    folder, name = os.path.split(os.path.abspath(path))
    try:
        found = _named_as_sides(folder, os.stat(folder).st_mtime_ns)
    except OSError:  # may be entered but not listed: GDAL tries these names then
        found = tuple(name + end for suffix in _SIDE_SUFFIXES for end in (suffix, suffix.upper()))
    wanted = {name.lower() + suffix for suffix in _SIDE_SUFFIXES}
    sides = [os.path.join(folder, side) for side in found if side.lower() in wanted]
    return tuple(side for side in sides if os.path.isfile(side))


@lru_cache(maxsize=16)
def _named_as_sides(folder: str, changed_ns: int) -> tuple[str, ...]:
    """Names in a folder that could be side files; read again when the folder has changed."""
    return tuple(
        sorted(name for name in os.listdir(folder) if name.lower().endswith(_SIDE_SUFFIXES))
    )


def _references(path: str) -> Iterator[str]:
    """Everything a VRT names, as absolute paths or URLs."""
    if os.path.getsize(path) > _MOST_XML_BYTES:
        raise SceneError(f"{path}: a VRT of more than 64 MB: build a smaller one")
    data = Path(path).read_bytes()
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise SceneError(f"{path}: this VRT declares XML entities: write it without them")
    try:
        root = ET.fromstring(data)
    except ET.ParseError as error:
        raise SceneError(f"{path}: this VRT is damaged XML ({error}): write it again") from None
    folder = os.path.dirname(os.path.abspath(path))
    for element in root.iter():
        tag = element.tag.rpartition("}")[2].lower()
        label = " ".join(element.attrib.get(key, "") for key in ("name", "key")).lower()
        if tag not in _NAMING_TAGS and not any(hint in label for hint in _REFERENCE_HINTS):
            continue
        text = (element.text or "").strip()
        if not text or text.startswith("<"):
            raise SceneError(f"{path}: this VRT holds a source written inline: save it as a file")
        relative = element.attrib.get("relativeToVRT", element.attrib.get("relativetoVRT", "0"))
        if is_remote(text):
            yield text
        else:
            yield os.path.abspath(os.path.join(folder, text) if relative == "1" else text)


def _is_description(path: str) -> bool:
    """Say whether a file is text that describes data elsewhere (WMS, STAC, tile indexes)."""
    with open(path, "rb") as file:
        return file.read(_SNIFFED_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<", b"{"))


def _lies_in(path: str, folder: str | Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
