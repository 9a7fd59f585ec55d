"""What is known of files that were written: their sizes and digests."""

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
REMEDY = "reinstall georclip, or export the model again"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFolder:
    """A folder whose files are on record.

    Attributes:
        folder: Where the files lie.
        files: Name to size and digest, the record itself left out.
    """

    folder: Path
    files: dict[str, FileRecord]

    def check_sizes(self) -> None:
        """Compare every file's size with the record: quick, finds what is missing or cut off.

        Raises:
            EncoderError: A file is missing, or of another size.
        """
        for name, record in self.files.items():
            path = self.folder / name
            try:
                found = path.stat().st_size if path.is_file() else None
            except OSError as error:
                raise EncoderError(f"{path} cannot be read: {error.strerror}") from error
            if found != record.bytes:
                state = "missing" if found is None else f"{found} bytes, not {record.bytes}"
                raise EncoderError(f"{path} is {state}; {REMEDY}")

    def check_digests(self, names: tuple[str, ...]) -> None:
        """Compare the content of some files with the record (about 1 ms a MB).

        Of files of more than 32 MB a sixteenth of a MB is read in sixteen places: that tells
        whether they were written whole.

        Raises:
            EncoderError: A file does not hold what was written.
        """
        for name in names:
            path = self.folder / name
            record = self.files.get(name)
            if record is None:
                raise EncoderError(f"the record of {self.folder} does not list {name}; {REMEDY}")
            what = record.difference(path)
            if what:
                raise EncoderError(f"{path} is damaged ({what} differs); {REMEDY}")

    def check_whole(self) -> None:
        """Read every byte.

        Raises:
            EncoderError: A file does not hold what was written.
        """
        self.check_sizes()
        for name, record in self.files.items():
            if file_sha256(self.folder / name) != record.sha256:
                raise EncoderError(f"{self.folder / name} is damaged (its SHA-256 differs)")


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
