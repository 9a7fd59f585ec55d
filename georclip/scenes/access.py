"""What a file may make us read: its own folder and below, and what the person allowed.

What a person typed may be read. What a file names (a VRT's sources, a STAC item's asset) is
somebody else's choice, and is checked here before GDAL sees it.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from georclip.errors import SceneError

_MOST_NESTING = 8
_MOST_XML_BYTES = 64 * 1024 * 1024
_SNIFFED_BYTES = 64 * 1024
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
_NAMING_TAGS = frozenset({"sourcefilename", "sourcedataset"})
_REFERENCE_HINTS = ("filename", "dataset")


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


def check_sources(path: str, access: Access, *, depth: int = 0) -> None:
    """Refuse a local VRT that names what it may not, before anything of it is opened.

    Args:
        path: A local file; anything but a VRT passes.
        access: What is allowed.
        depth: How many VRTs led here.

    Raises:
        SceneError: A source is remote or lies outside, or the VRT cannot be understood.
    """
    if not is_vrt(path):
        if depth and _is_description(path):
            raise SceneError(
                f"{path}: a source of a VRT that is itself a description of other data: "
                "convert it to GeoTIFF first"
            )
        return
    if depth > _MOST_NESTING:
        raise SceneError(f"{path}: VRTs nested more than {_MOST_NESTING} deep: flatten them")
    folder = os.path.dirname(os.path.abspath(path))
    for reference in _references(path):
        if not access.permits(reference, folder):
            remote = is_remote(reference)
            option = "--allow-remote" if remote else f"--allow-outside {Path(reference).parent}"
            where = "over the network or through a virtual file system" if remote else "elsewhere"
            raise SceneError(
                f"{path}: this VRT reads {reference[:200]!r} {where}: "
                f"if you trust it, allow that with {option}"
            )
        if not is_remote(reference) and os.path.isfile(reference):
            check_sources(reference, access, depth=depth + 1)


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
