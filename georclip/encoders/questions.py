"""An encoder for questions alone: the exported text tower where there is one, else torch.

What opens towers or torch is imported when it is needed: a question asked before needs neither.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.encoders.bundle import CONFIG_FILE, Bundle, read_bundle
from georclip.encoders.cache import text_folder, text_identity
from georclip.encoders.registry import MODELS, STARTER
from georclip.encoders.remembered import remembering
from georclip.errors import EncoderError
from georclip.values import EncoderSpec

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder

_log = logging.getLogger("georclip")


def load_for_questions(
    spec: EncoderSpec,
    *,
    beside: Path,
    weights: str | Path | None = None,
    device: str = "auto",
) -> Encoder:
    """Load what reads the questions that an index is asked.

    Args:
        spec: As the index holds it.
        beside: Where the index keeps a text tower of its own, if it does.
        weights: Checkpoint, or folder of exported towers, where a person names one.
        device: "auto", "cpu" or "cuda".

    Raises:
        EncoderMismatchError: What is here has other weights than those that made the index.
        EncoderError: There is neither an exported text tower nor torch; the message says what to
            do, in one line.
    """

    def load() -> Encoder:
        return _load(spec, beside=beside, weights=weights, device=device)

    if weights is None and spec.name != STARTER and device in ("auto", "cpu"):
        bundle = _first_bundle(spec, beside, text_folder(spec))
        if bundle is not None:
            return remembering(spec, bundle, load)
    encoder = load()
    from georclip.encoders.runtime import RuntimeEncoder

    if isinstance(encoder, RuntimeEncoder):
        return remembering(encoder.spec, encoder.bundle, lambda: encoder)
    return encoder


def _first_bundle(spec: EncoderSpec, *places: Path) -> Bundle | None:
    """The text tower that will be asked, as far as its record and its files' sizes tell."""
    for place in places:
        if (place / CONFIG_FILE).is_file():
            try:
                bundle = read_bundle(place)
                bundle.check_sizes()
            except EncoderError:  # named when it is passed over
                return None
            return bundle if text_identity(bundle.spec) == text_identity(spec) else None
    return None


def _load(spec: EncoderSpec, *, beside: Path, weights: str | Path | None, device: str) -> Encoder:
    """Open a text tower, or load torch."""
    from georclip.encoders.loading import check_choices, load_for_index, torch_is_here
    from georclip.encoders.text_store import find_text_tower, keep_text_tower
    from georclip.encoders.weights import recall_checkpoint

    check_choices(None, device)
    if weights is not None or spec.name == STARTER or device == "cuda":
        return load_for_index(spec, weights=weights, device=device)
    found = find_text_tower(spec, beside, text_folder(spec))
    if found is not None:
        return found
    made_with = recall_checkpoint(spec.weights_sha256)
    if made_with is not None and made_with.is_dir():
        return load_for_index(spec, device=device)
    known = spec.name in MODELS or (made_with is not None and made_with.exists())
    if not known and not Path(spec.name).suffix:
        raise EncoderError(
            f"the index was made with {spec.name}, a folder of exported towers, and where it lies "
            "is not known here: name it with --weights DIR"
        )
    if not torch_is_here():
        raise EncoderError(
            f"questions to an index made with {spec.name} need its text tower, which is not here: "
            f"where torch is, say georclip models export {_exported_as(spec)} -o DIR, and here "
            "georclip search --weights DIR; or make the index there with georclip index --portable"
        )
    _log.info("%s is asked by way of torch, which takes seconds", spec.name)
    encoder = load_for_index(spec, device=device)
    keep_text_tower(encoder)
    return encoder


def _exported_as(spec: EncoderSpec) -> str:
    return spec.name if spec.name in MODELS else f"{spec.architecture} --weights {spec.name}"
