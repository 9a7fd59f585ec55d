"""The folder of exported towers: what lies in it, and how it says so.

    encoder.json      format, spec, tokenizer, and every other file's size and SHA-256
    image.xml .bin    image tower: float32 (n, 3, side, side), normalised -> unit vectors (n, dim)
    text.xml .bin     text tower: int64 (n, context_length) -> unit vectors (n, dim)
    vocabulary.txt    the words, for the tokenizer "words"

encoder.json is written last: without it the folder is no encoder.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from georclip.errors import EncoderError
from georclip.values import EncoderSpec

TokenizerKind = Literal["words"]
FORMAT = 1
CONFIG_FILE = "encoder.json"
VOCABULARY_FILE = "vocabulary.txt"
IMAGE_FILES = ("image.xml", "image.bin")
TEXT_FILES = ("text.xml", "text.bin")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file of a bundle as it was written.

    Attributes:
        bytes: Its size.
        sha256: Hex digest.
    """

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What encoder.json says.

    Attributes:
        folder: Where the files lie.
        spec: What decides the embeddings.
        tokenizer: How a sentence becomes ids: "words" (one id a word, vocabulary.txt).
        context_length: Ids in a sentence, padding included.
        files: Name to size and digest, encoder.json left out.
    """

    folder: Path
    spec: EncoderSpec
    tokenizer: TokenizerKind
    context_length: int
    files: dict[str, FileRecord]

    def check_sizes(self) -> None:
        """Compare every file's size with the record: quick, finds what is missing or cut off.

        Raises:
            EncoderError: A file is missing, or of another size.
        """
        for name, record in self.files.items():
            path = self.folder / name
            found = path.stat().st_size if path.is_file() else None
            if found != record.bytes:
                state = "missing" if found is None else f"{found} bytes, not {record.bytes}"
                raise EncoderError(f"{path} is {state}; {_REMEDY}")

    def check_digests(self, names: tuple[str, ...]) -> None:
        """Compare the content of some files with the record (about 1 ms a MB).

        Raises:
            EncoderError: A file does not hold what was written.
        """
        for name in names:
            path = self.folder / name
            record = self.files.get(name)
            if record is None:
                raise EncoderError(f"{self.folder / CONFIG_FILE} does not list {name}; {_REMEDY}")
            if file_sha256(path) != record.sha256:
                raise EncoderError(f"{path} is damaged (its SHA-256 differs); {_REMEDY}")


_REMEDY = "reinstall georclip, or export the model again"


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


def write_bundle(
    folder: Path,
    *,
    spec: EncoderSpec,
    tokenizer: TokenizerKind,
    context_length: int,
    names: tuple[str, ...],
) -> Bundle:
    """Record the files of a folder in its encoder.json.

    Args:
        folder: Holds the files already.
        spec: Of the towers.
        tokenizer: Kind.
        context_length: Ids in a sentence.
        names: Files to record.
    """
    files = {
        name: FileRecord(bytes=(folder / name).stat().st_size, sha256=file_sha256(folder / name))
        for name in names
    }
    config = {
        "format": FORMAT,
        "spec": asdict(spec),
        "tokenizer": tokenizer,
        "context_length": context_length,
        "files": {name: asdict(record) for name, record in files.items()},
    }
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    return Bundle(
        folder=folder, spec=spec, tokenizer=tokenizer, context_length=context_length, files=files
    )


def read_bundle(folder: Path) -> Bundle:
    """Read a folder's encoder.json; the other files are not touched.

    Raises:
        EncoderError: No encoder.json, not readable, or of a newer format.
    """
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EncoderError(f"{folder} holds no encoder: {CONFIG_FILE} is missing") from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: {error}; {_REMEDY}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        found = config.get("format") if isinstance(config, dict) else None
        raise EncoderError(
            f"{path} is of format {found}, this georclip reads {FORMAT}: update georclip"
        )
    try:
        return Bundle(
            folder=folder,
            spec=spec_from_json(config["spec"]),
            tokenizer=_tokenizer_kind(config["tokenizer"]),
            context_length=int(config["context_length"]),
            files={name: FileRecord(**record) for name, record in config["files"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EncoderError(f"{path} cannot be understood: {error}; {_REMEDY}") from error


def spec_from_json(values: dict[str, Any]) -> EncoderSpec:
    """Rebuild a spec from what `dataclasses.asdict` and JSON made of it."""
    known = {field.name for field in fields(EncoderSpec)}
    kept: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in values.items()
        if key in known
    }
    return EncoderSpec(**kept)


def _tokenizer_kind(kind: str) -> TokenizerKind:
    if kind != "words":
        raise ValueError(f"tokenizer {kind!r} is not known to this version")
    return "words"
