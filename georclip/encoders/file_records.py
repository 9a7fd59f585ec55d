"""What is known of a file that was written: its size and digests."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from georclip.errors import EncoderError

_CHUNK_BYTES = 1 << 20
_DIGESTED_BYTES = 32 << 20
"""Of larger files a sample is compared when they are used: a whole digest takes too long."""
_SAMPLES, _SAMPLE_BYTES = 16, 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file of a bundle as it was written.

    Attributes:
        bytes: Its size.
        sha256: Hex digest.
        sample: Hex digest of parts of it, spread evenly.
    """

    bytes: int
    sha256: str
    sample: str

    def __post_init__(self) -> None:
        whole_number(self.bytes, 0, 1 << 40)
        if not isinstance(self.sha256, str) or not isinstance(self.sample, str):
            raise TypeError("a digest is a text")

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """A file as it is."""
        return cls(bytes=path.stat().st_size, sha256=file_sha256(path), sample=_sample(path))

    def difference(self, path: Path) -> str:
        """What of a file of the right size is not as it was written, in words, or ""."""
        if self.bytes > _DIGESTED_BYTES:
            return "a sample of it" if _sample(path) != self.sample else ""
        return "its SHA-256" if file_sha256(path) != self.sha256 else ""


def _sample(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        last = max(path.stat().st_size - _SAMPLE_BYTES, 0)
        with path.open("rb") as stream:
            for number in range(_SAMPLES):
                stream.seek(last * number // (_SAMPLES - 1))
                digest.update(stream.read(_SAMPLE_BYTES))
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def write_file(path: Path, content: bytes) -> None:
    """Write a file to the disk itself, so that no record of it outlives it.

    Raises:
        OSError: It cannot be written.
    """
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's content.

    Raises:
        EncoderError: It cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def whole_number(value: object, low: int, high: int) -> int:
    """A whole number within limits.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{value!r} is no whole number from {low} to {high}")
    return value
