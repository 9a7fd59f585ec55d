"""Captions in JSON of the form that RSICD, RSITMD and UCM share.

The form: ``{"images": [{"filename", "split"?, "sentences": [{"raw"}], "class"?}]}``. What else
there is ("imgid", "sentids", "tokens", "dataset") says nothing that is used here.
"""

from __future__ import annotations

import json
from pathlib import Path

from georclip.captions.entries import Entry
from georclip.errors import CaptionError

FORM = '{"images": [{"filename", "split", "sentences": [{"raw"}]}]}'


def read_json(text: str, file: Path) -> list[Entry]:
    """Read a caption file of the RSICD form.

    Args:
        text: The whole file.
        file: For messages.

    Raises:
        CaptionError: It is of another form; the message says where.
    """
    where = "the file"
    entries: list[Entry] = []
    try:
        images = json.loads(text)["images"]
        if not isinstance(images, list):
            raise TypeError('"images" is no list')
        for number, image in enumerate(images):
            where = f"images[{number}]"
            entries.append(_entry(image, where))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CaptionError(
            f"{file} is not a caption file of the RSICD form {FORM}: in {where}: {error!r}"
        ) from None
    return entries


def _entry(image: dict[str, object], where: str) -> Entry:
    sentences = image["sentences"]
    if not isinstance(sentences, list) or not sentences:
        raise ValueError("it has no sentences")
    return Entry(
        where=where,
        image=_text(image["filename"]),
        sentences=tuple(_text(sentence["raw"]) for sentence in sentences),
        split=_text(image.get("split") or ""),
        label=str(image.get("class") or ""),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value
