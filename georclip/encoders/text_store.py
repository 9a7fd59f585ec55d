"""Exported text towers: in the user's cache, in an index's folder, or wherever a person says.

With one of them a question needs no torch, and a tenth of a second instead of many.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.encoders.bundle import (
    CONFIG_FILE,
    FORMAT,
    TEXT_FILE,
    VOCABULARY_FILE,
    Bundle,
    read_bundle,
    write_bundle,
)
from georclip.encoders.cache import cache_folder
from georclip.encoders.runtime import RuntimeEncoder
from georclip.errors import EncoderError
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder

_log = logging.getLogger("georclip")


def text_folder(spec: EncoderSpec) -> Path:
    """Where the user's cache keeps the text tower of a model; it may not be there."""
    made_by = [FORMAT, spec.weights_sha256, spec.architecture, spec.activation]
    key = hashlib.sha256(json.dumps(made_by).encode()).hexdigest()
    return cache_folder() / "text-towers" / key[:32]


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
        except EncoderError as error:
            _log.warning("%s", error)
            continue
        if is_same(bundle.spec, spec):
            return RuntimeEncoder(replace(bundle, spec=spec))
        _log.warning("%s holds the text tower of another model, %s", place, bundle.spec.name)
    return None


def is_same(one: EncoderSpec, other: EncoderSpec) -> bool:
    """Whether two specs give equal vectors: names, licences and ground sizes decide none."""
    named = replace(one, name=other.name, licence=other.licence)
    return replace(named, ground_size_m=other.ground_size_m) == other


def keep_text_tower(encoder: Encoder) -> None:
    """Put the text tower of an encoder into the user's cache, unless it is there.

    It is there whole or not at all. Where it cannot be had, that is said, and questions go on
    needing torch.
    """
    folder = text_folder(encoder.spec)
    if find_text_tower(encoder.spec, folder) is not None:
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
            made = Path(scratch) / folder.name
            write_text_tower(encoder, made)
            if folder.exists():
                shutil.rmtree(folder)
            made.replace(folder)
    except (EncoderError, OSError) as error:
        _log.warning(
            "the text tower of %s was not exported (%s): questions need torch, and its time",
            encoder.spec.name, error,
        )  # fmt: skip
        return
    _log.info("the text tower of %s is exported: questions need no torch", encoder.spec.name)


def write_text_tower(encoder: Encoder, folder: Path) -> None:
    """Write the text tower of an encoder into a folder; what is half-written is no encoder.

    Raises:
        EncoderError: It is of a kind that cannot be exported.
        OSError: The folder cannot be written.
    """
    if isinstance(encoder, RuntimeEncoder):
        _copy(encoder.bundle, folder)
        return
    from georclip.encoders.exporting import export_text, text_of

    export_text(text_of(encoder), encoder.spec, folder)


def _copy(bundle: Bundle, folder: Path) -> None:
    """Carry the text tower of exported towers to another folder."""
    folder.mkdir(parents=True, exist_ok=True)
    names = (TEXT_FILE, VOCABULARY_FILE)
    for name in names:
        shutil.copyfile(bundle.folder / name, folder / name)
    write_bundle(
        folder,
        spec=bundle.spec,
        tokenizer=bundle.tokenizer,
        context_length=bundle.context_length,
        text=bundle.text,
        names=names,
    )
