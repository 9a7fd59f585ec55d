"""One large file from a server to a path: resumed, checked, never half there."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
import zipfile
from email.message import Message
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from georclip import __version__
from georclip.errors import EncoderError

TIMEOUT_S = 10.0
"""For connecting, and for a stalled transfer, s."""
_CHUNK_BYTES = 1 << 20
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416


class NotOnServerError(OSError):
    """The server answers, and has no such file (or not for everybody)."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and keeps the SHA-256 that the hub names before it redirects."""

    def __init__(self) -> None:
        self.sha256: str | None = None

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Note the digest of the file that is redirected to."""
        self.sha256 = _digest_of(headers) or self.sha256
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, path: Path) -> Path:
    """Download a file; a transfer that broke off is resumed.

    The file appears under its name only when it is whole, and, where the server names its
    SHA-256 (the Hugging Face hub does), right.

    Args:
        url: http(s) address.
        path: Where to; its folder is made.

    Returns:
        `path`.

    Raises:
        NotOnServerError: The server has no such file.
        OSError: No connection, or it broke off, or the disk is full.
        EncoderError: What came is not what the server promised.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    redirects = _Redirects()
    opener = urllib.request.build_opener(redirects)
    have = part.stat().st_size if part.exists() else 0
    try:
        with _open(opener, url, have) as response:
            if response.status != _PARTIAL_CONTENT:
                have = 0
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            _receive(response, part, have=have, total=total, name=path.name)
            digest = redirects.sha256 or _digest_of(response.headers)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and have:  # what is here is longer: begin again
            part.unlink()
            return download(url, path)
        raise _as_os_error(error) from error
    except http.client.HTTPException as error:
        raise OSError(f"the server answers what is not HTTP: {error!r}") from error
    if total is not None and part.stat().st_size != total:
        raise OSError(f"the transfer broke off at {part.stat().st_size:,} of {total:,} bytes")
    if digest is not None and _sha256(part) != digest:
        part.unlink()
        raise EncoderError(f"{url} came with another SHA-256 than the server names; try again")
    part.replace(path)
    return path


def unpack_checkpoint(archive: Path, path: Path) -> Path:
    """Take the one .pt file out of a zip, under the name `path`; the zip is removed.

    Raises:
        EncoderError: No zip, damaged, or not exactly one .pt file in it.
    """
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if _is_checkpoint(name)]
            if len(names) != 1:
                raise EncoderError(f"{archive} holds {len(names)} .pt files, not one: {names}")
            with opened.open(names[0]) as source, part.open("wb") as target:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
    except zipfile.BadZipFile as error:
        raise EncoderError(f"{archive} is damaged: {error}; delete it and try again") from error
    part.replace(path)
    archive.unlink()
    return path


def _is_checkpoint(name: str) -> bool:
    return name.endswith(".pt") and not Path(name).name.startswith(".") and "__MACOSX" not in name


def _open(opener: urllib.request.OpenerDirector, url: str, have: int) -> Any:  # noqa: ANN401
    headers = {"User-Agent": f"georclip/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)


def _receive(
    response: Any,  # noqa: ANN401  urllib's response
    part: Path,
    *,
    have: int,
    total: int | None,
    name: str,
) -> None:
    """Append what comes to the partial file, with a progress bar on stderr."""
    with (
        part.open("ab" if have else "wb") as target,
        tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=None) as bar,
    ):
        while chunk := response.read(_CHUNK_BYTES):
            target.write(chunk)
            bar.update(len(chunk))


def _digest_of(headers: Message) -> str | None:
    """The SHA-256 among the hub's headers: the tag of a large file is its digest."""
    tag = (headers.get("X-Linked-Etag") or "").strip('W/"').lower()
    return tag if len(tag) == 64 and set(tag) <= set("0123456789abcdef") else None


def _as_os_error(error: urllib.error.HTTPError) -> OSError:
    if error.code in (401, 403, 404):
        return NotOnServerError(f"the server answers {error.code} {error.reason}")
    return OSError(f"the server answers {error.code} {error.reason}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
