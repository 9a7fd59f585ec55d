"""The folder of exported towers: what lies in it, and how it says so.

    encoder.json      format, spec, tokenizer, the text tower's shape, the image tower's precision,
                      and every other file's size and SHA-256
    image.xml .bin    image tower: float32 (n, 3, side, side), normalised -> unit vectors (n, dim);
                      not where the folder is for questions alone
    text.safetensors  text tower, as `text_tower` reads it
    vocabulary.txt    for the tokenizer "words" the words, for "clip" the merges of byte pairs

encoder.json is written last: without it the folder is no encoder.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from georclip.encoders.file_records import (
    REMEDY,
    FileRecord,
    RecordedFolder,
    file_sha256,
    whole_number,
    write_file,
)
from georclip.errors import EncoderError
from georclip.values import EncoderSpec

TokenizerKind = Literal["words", "clip"]
Pooling = Literal["end", "mean"]
"""What is read off a sentence: its last word, where words look back only, or the mean of all."""
Precision = Literal["f32", "bf16"]
"""What an image tower may be computed in. bf16, where the processor has it, only if it was compared
with torch's float32 when the tower was exported: some towers move too far."""
FORMAT = 2
CONFIG_FILE = "encoder.json"
VOCABULARY_FILE = "vocabulary.txt"
BOTH_TOWERS = (
    "export both towers (georclip models export NAME -o DIR, without --text-only), or install "
    'torch: pip install "georclip[torch]"'
)
"""What to do where a folder has no image tower."""

IMAGE_FILES = ("image.xml", "image.bin")
TEXT_FILE = "text.safetensors"
_NAMES = frozenset({*IMAGE_FILES, TEXT_FILE, VOCABULARY_FILE})
_NEEDED = frozenset({TEXT_FILE, VOCABULARY_FILE})
_TEXT_LETTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class TextShape:
    """What a text tower's weights alone do not tell.

    Attributes:
        layers: Transformer layers.
        heads: Attention heads.
        pooling: What is read off.
        activation: "gelu" (exact) or "quickgelu".
    """

    layers: int
    heads: int
    pooling: Pooling
    activation: Literal["gelu", "quickgelu"]

    def __post_init__(self) -> None:
        if self.pooling not in ("end", "mean") or self.activation not in ("gelu", "quickgelu"):
            raise ValueError(f"no text tower is known with {self.pooling!r}, {self.activation!r}")
        whole_number(self.layers, 1, 128)
        whole_number(self.heads, 1, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle(RecordedFolder):
    """What encoder.json says.

    Attributes:
        spec: What decides the embeddings.
        tokenizer: How a sentence becomes ids: "words" (one id a word) or "clip" (byte pairs).
        context_length: Most ids in a sentence.
        text: Of the text tower.
        precision: What the image tower may be computed in.
    """

    spec: EncoderSpec
    tokenizer: TokenizerKind
    context_length: int
    text: TextShape
    precision: Precision = "f32"

    @property
    def has_images(self) -> bool:
        """Whether the image tower is in it."""
        return set(IMAGE_FILES) <= self.files.keys()


def write_bundle(
    folder: Path,
    *,
    spec: EncoderSpec,
    tokenizer: TokenizerKind,
    context_length: int,
    text: TextShape,
    names: tuple[str, ...],
    precision: Precision = "f32",
) -> Bundle:
    """Record the files of a folder in its encoder.json.

    Args:
        folder: Holds the files already.
        spec: Of the towers.
        tokenizer: Kind.
        context_length: Most ids in a sentence.
        text: Of the text tower.
        names: Files to record.
        precision: What the image tower may be computed in.
    """
    files = {name: FileRecord.of(folder / name) for name in names}
    config = {
        "format": FORMAT,
        "spec": asdict(spec),
        "tokenizer": tokenizer,
        "context_length": context_length,
        "text": asdict(text),
        "precision": precision,
        "files": {name: asdict(record) for name, record in files.items()},
    }
    content = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    write_file(folder / CONFIG_FILE, content.encode())
    return Bundle(
        folder=folder,
        spec=spec,
        tokenizer=tokenizer,
        context_length=context_length,
        text=text,
        precision=precision,
        files=files,
    )


def joint_digest(folder: Path) -> str:
    """One digest for the weights of both towers in a folder."""
    parts = [file_sha256(folder / name) for name in (IMAGE_FILES[1], TEXT_FILE)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


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
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(f"{path} cannot be read: {error}; {REMEDY}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        found = config.get("format") if isinstance(config, dict) else None
        older = isinstance(found, int) and found < FORMAT
        what = "export the model again" if older else "update georclip"
        raise EncoderError(f"{path} is of format {found}, this georclip reads {FORMAT}: {what}")
    try:
        if not _NEEDED <= config["files"].keys() <= _NAMES:
            raise ValueError("it lists other files than towers have")
        return Bundle(
            folder=folder,
            spec=spec_from_json(config["spec"]),
            tokenizer=_tokenizer_kind(config["tokenizer"]),
            context_length=whole_number(config["context_length"], 2, 4096),
            text=TextShape(**config["text"]),
            precision=precision_from_json(config.get("precision", "f32")),
            files={name: FileRecord(**record) for name, record in config["files"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EncoderError(f"{path} cannot be understood: {error}; {REMEDY}") from error


def is_exported(folder: Path) -> bool:
    """Whether a folder holds exported towers of any format, whole or not, and nothing else."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        listed = {CONFIG_FILE, *config["files"]}
        return isinstance(config["spec"], dict) and {one.name for one in folder.iterdir()} <= listed
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def spec_from_json(values: dict[str, Any]) -> EncoderSpec:
    """Rebuild a spec from what `dataclasses.asdict` and JSON made of it."""
    known = {field.name for field in fields(EncoderSpec)}
    kept: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in values.items()
        if key in known
    }
    for key in ("name", "architecture", "activation", "weights_sha256", "licence"):
        text = kept[key]
        if not isinstance(text, str) or not text.isprintable() or len(text) > _TEXT_LETTERS:
            raise ValueError(f"its {key} is no line of text")
    whole_number(kept["dim"], 1, 1 << 16)
    whole_number(kept["image_size_px"], 1, 1 << 16)
    return EncoderSpec(**kept)


def precision_from_json(name: object) -> Precision:
    """Read what an image tower may be computed in.

    Raises:
        ValueError: It is none that this version knows.
    """
    if name == "f32":
        return "f32"
    if name == "bf16":
        return "bf16"
    raise ValueError(f"precision {name!r} is not known to this version")


def _tokenizer_kind(kind: str) -> TokenizerKind:
    if kind == "words":
        return "words"
    if kind == "clip":
        return "clip"
    raise ValueError(f"tokenizer {kind!r} is not known to this version")
