"""Exported image towers in the user's cache: on a CPU they are much faster than torch.

    tower.json        format, spec, precision, and the other files' sizes and SHA-256
    image.xml .bin    as in a folder of both towers (see `bundle`)

tower.json is written last: without it the folder is no tower.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.encoders.bundle import IMAGE_FILES, precision_from_json, spec_from_json
from georclip.encoders.cache import cache_folder
from georclip.encoders.file_records import FileRecord, RecordedFolder, write_file
from georclip.encoders.leftovers import NEW, sweep
from georclip.errors import EncoderError
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.encoders.image_tower import ImageTower

FORMAT = 1
RECORD_FILE = "tower.json"
_log = logging.getLogger("georclip")


def image_folder(spec: EncoderSpec) -> Path:
    """Where the user's cache keeps the image tower of a model; it may not be there."""
    key = hashlib.sha256(json.dumps([FORMAT, *_identity(spec)]).encode()).hexdigest()
    return cache_folder() / "image-towers" / key[:32]


def find_image_tower(spec: EncoderSpec) -> ImageTower | None:
    """The exported image tower of a model; None where the cache has none.

    One that is damaged, or of another model, is passed over and named.
    """
    folder = image_folder(spec)
    if not (folder / RECORD_FILE).is_file():
        return None
    try:
        return _read(folder, spec)
    except EncoderError as error:
        _log.warning("an image tower is passed over: %s", error)
        return None


def keep_image_tower(encoder: Encoder) -> ImageTower | None:
    """The exported image tower of an encoder that lives in torch, made where the cache has none.

    It is there whole or not at all. Where it cannot be had that is said, and None is returned.
    """
    spec = encoder.spec
    found = find_image_tower(spec)
    if found is not None:
        return found
    _log.info(
        "the image tower of %s is exported, once: on this CPU it then runs without torch", spec.name
    )
    folder = image_folder(spec)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=NEW) as scratch:
            made = Path(scratch) / folder.name
            made.mkdir()
            _write(encoder, made)
            found = find_image_tower(spec)  # another process may have made it meanwhile
            if found is None:
                if folder.exists():
                    folder.replace(Path(scratch) / "damaged")
                made.replace(folder)
                found = find_image_tower(spec)
    except (EncoderError, OSError, RuntimeError, MemoryError, ImportError) as error:
        found = find_image_tower(spec)
        if found is None:
            why = str(error).strip() or type(error).__name__
            _log.warning(
                "the image tower of %s was not exported (%s): torch embeds pictures, more slowly",
                spec.name, why.splitlines()[0],
            )  # fmt: skip
    return found


def _identity(spec: EncoderSpec) -> tuple[str, str, str, int, int]:
    """What decides the vectors of pictures that are normalised."""
    return (
        spec.weights_sha256,
        spec.architecture,
        spec.activation,
        spec.dim,
        spec.image_size_px,
    )


def _write(encoder: Encoder, folder: Path) -> None:
    """Export into a folder that is there.

    Raises:
        EncoderError: It cannot be exported, or differs from torch's.
    """
    from georclip.encoders.image_export import image_of, write_image_tower

    done = write_image_tower(image_of(encoder), encoder.spec, folder)
    record = {
        "format": FORMAT,
        "spec": asdict(encoder.spec),
        "precision": done.precision,
        "cosine": done.cosine,
        "files": {name: asdict(FileRecord.of(folder / name)) for name in IMAGE_FILES},
    }
    content = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    write_file(folder / RECORD_FILE, content.encode())


def _read(folder: Path, spec: EncoderSpec) -> ImageTower:
    """Open a tower.

    Raises:
        EncoderError: It is damaged, of another model, or of another format.
    """
    from georclip.encoders.image_tower import ImageTower

    path = folder / RECORD_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT or record["files"].keys() != set(IMAGE_FILES):
            raise ValueError("it is no record of an image tower")
        of = spec_from_json(record["spec"])
        precision = precision_from_json(record["precision"])
        files = {name: FileRecord(**entry) for name, entry in record["files"].items()}
    except (OSError, RecursionError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise EncoderError(f"{path} cannot be understood: {error}") from error
    if _identity(of) != _identity(spec):
        raise EncoderError(f"{folder} holds the image tower of another model")
    recorded = RecordedFolder(folder=folder, files=files)
    recorded.check_sizes()
    recorded.check_digests(IMAGE_FILES)
    return ImageTower(recorded, spec, precision)
