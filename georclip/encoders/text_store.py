"""Exported text towers: in the user's cache, in an index's folder, or wherever a person says.

With one of them a question needs no torch, and a tenth of a second instead of many.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.encoders.bundle import (
    CONFIG_FILE,
    TEXT_FILE,
    VOCABULARY_FILE,
    Bundle,
    read_bundle,
    write_bundle,
)
from georclip.encoders.cache import text_folder, text_identity
from georclip.encoders.file_records import write_file
from georclip.encoders.leftovers import NEW, sweep
from georclip.encoders.runtime import RuntimeEncoder
from georclip.errors import EncoderError
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder

_log = logging.getLogger("georclip")


def find_text_tower(spec: EncoderSpec, *places: Path) -> RuntimeEncoder | None:
    """An exported text tower of a model.

    Args:
        spec: Of the model.
        places: Folders to look in, the first first. One without an encoder is passed over; one
            that is damaged, or of another model, is passed over and named.
    """
    for place in places:
        if not (place / CONFIG_FILE).is_file():
            continue
        try:
            bundle = read_bundle(place)
            bundle.check_sizes()
            if text_identity(bundle.spec) != text_identity(spec):
                raise EncoderError(f"{place} holds the text tower of another model")
            encoder = RuntimeEncoder(replace(bundle, spec=spec))
            encoder.check_texts()
        except EncoderError as error:
            _log.warning("a text tower is passed over: %s", error)
            continue
        return encoder
    return None


def keep_text_tower(encoder: Encoder) -> None:
    """Put the text tower of an encoder that lives in torch into the user's cache.

    One that is there stays. It is there whole or not at all. Where it cannot be had, that is said,
    and questions go on needing torch. What was exported elsewhere is not put there: its digest is
    only what its folder says.
    """
    spec = encoder.spec
    folder = text_folder(spec)
    if isinstance(encoder, RuntimeEncoder) or find_text_tower(spec, folder) is not None:
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=NEW) as scratch:
            made = Path(scratch) / folder.name
            write_text_tower(encoder, made)
            if find_text_tower(spec, folder) is None:  # nor has another process made it meanwhile
                if folder.exists():
                    folder.replace(Path(scratch) / "damaged")
                made.replace(folder)
    except (EncoderError, OSError, RuntimeError, MemoryError, ImportError) as error:
        if find_text_tower(spec, folder) is None:
            why = str(error).strip() or type(error).__name__
            _log.warning(
                "the text tower of %s was not exported (%s): questions need torch, and its time",
                spec.name, why.splitlines()[0],
            )  # fmt: skip
            return
    _log.info("the text tower of %s is exported: questions need no torch", spec.name)


def write_text_tower(encoder: Encoder, folder: Path) -> None:
    """Write the text tower of an encoder into a folder; what is half-written is no encoder.

    Raises:
        EncoderError: It is of a kind that cannot be exported, or the folder cannot be written.
    """
    try:
        if isinstance(encoder, RuntimeEncoder):
            _copy(encoder.bundle, folder)
            return
        from georclip.encoders.exporting import export_text, text_of

        export_text(text_of(encoder), encoder.spec, folder)
    except OSError as error:
        raise EncoderError(
            f"the text tower of {encoder.spec.name} cannot be written to {folder}: "
            f"{error.strerror or error}"
        ) from error


def _copy(bundle: Bundle, folder: Path) -> None:
    """Carry the text tower of exported towers to another folder, as it was written."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).unlink(missing_ok=True)
    names = (TEXT_FILE, VOCABULARY_FILE)
    for name in names:
        content = (bundle.folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != bundle.files[name].sha256:
            raise EncoderError(f"{bundle.folder / name} is damaged (its SHA-256 differs)")
        write_file(folder / name, content)
    write_bundle(
        folder,
        spec=bundle.spec,
        tokenizer=bundle.tokenizer,
        context_length=bundle.context_length,
        text=bundle.text,
        names=names,
    )
