"""Names of everything in an index folder, and writes that are either done or not."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from georclip.errors import GeorclipError, IndexCorruptError
from georclip.index.locks import sync_folder

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """An immutable file of an index.

    Attributes:
        name: Path inside the index, with forward slashes.
        bytes: Size, bytes.
        sha256: Hex digest of its contents.
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies inside an index folder.

    Attributes:
        root: The index folder.
    """

    root: Path

    @property
    def manifest(self) -> Path:
        """Format version, encoder, plan and checksums."""
        return self.root / "index.json"

    @property
    def catalog(self) -> Path:
        """Scenes, chips, segments and tombstones."""
        return self.root / "catalog.sqlite"

    @property
    def segments(self) -> Path:
        """One folder per segment."""
        return self.root / "segments"

    @property
    def staging(self) -> Path:
        """One folder per scene under way."""
        return self.root / "staging"

    @property
    def lock(self) -> Path:
        """Who writes."""
        return self.root / "lock"

    @property
    def background(self) -> Path:
        """A seeded sample of vectors, where there is one."""
        return self.root / "background.npy"

    @property
    def references(self) -> Path:
        """One file per named set of vectors, where there are any."""
        return self.root / "references"

    def reference(self, name: str) -> Path:
        """File of one named set of vectors."""
        return self.references / f"{name}.npy"

    @property
    def encoder(self) -> Path:
        """An exported text tower, where there is one."""
        return self.root / "encoder"

    @property
    def footprints(self) -> Path:
        """A view for QGIS, never read back."""
        return self.root / "footprints.gpkg"

    def segment(self, number: int) -> Path:
        """Folder of one segment."""
        return self.segments / f"{number:06d}"

    def name_of(self, path: Path) -> str:
        """`path` relative to the index, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def known_names(self) -> frozenset[str]:
        """Names that may lie in the index folder itself."""
        journals = {f"{self.catalog.name}{end}" for end in ("-journal", "-wal", "-shm")}
        views = {f"{self.footprints.name}{end}" for end in ("", "-journal", "-wal", "-shm")}
        own = (self.manifest, self.catalog, self.segments, self.staging, self.lock)
        later = (self.background, self.references, self.encoder)
        return frozenset({path.name for path in own + later} | journals | views)


def missing(path: Path | str) -> IndexCorruptError:
    """A file that the index names is not there."""
    return IndexCorruptError(
        f"{path} is missing; restore the folder from a copy, or index its scenes again into a new "
        "one"
    )


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's contents, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def describe_file(layout: Layout, path: Path) -> FileRecord:
    """Size and checksum of a file of the index."""
    return FileRecord(name=layout.name_of(path), bytes=path.stat().st_size, sha256=sha256_of(path))


def record_of(layout: Layout, path: Path, data: bytes) -> FileRecord:
    """The same for a file with these contents, which need not be read for it."""
    sha256 = hashlib.sha256(data).hexdigest()
    return FileRecord(name=layout.name_of(path), bytes=len(data), sha256=sha256)


def temporary_of(path: Path) -> Path:
    """Where `write_atomically` writes first; left behind where it is killed."""
    return path.with_name(path.name + ".tmp")


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's contents so that a reader sees the old or the new ones, never a mixture.

    Written under a temporary name, synced, renamed, and the folder synced.
    """
    temporary = temporary_of(path)
    write_synced(temporary, data)
    temporary.replace(path)
    sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file that nobody reads before something else names it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Make a written file survive a loss of power."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it; what cannot go now is left for the next writer.

    On some systems a file that a reader has mapped cannot be removed.
    """
    with suppress(OSError):
        shutil.rmtree(folder)


@contextmanager
def saying_where(
    root: Path, doing: str, *, but: type[OSError] | tuple[type[OSError], ...] = ()
) -> Iterator[None]:
    """Turn an error of the file system into one line for people; some may be left as they are.

    Raises:
        GeorclipError: Instead of an OSError, saying what could not be done, where and why.
    """
    try:
        yield
    except but:
        raise
    except OSError as error:
        where = error.filename or root
        raise GeorclipError(
            f"cannot {doing} {root}: {error.strerror or error} ({where}); "
            "check the folder's permissions and free space"
        ) from error
