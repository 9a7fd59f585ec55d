"""The encoder that indexes: pictures go where this machine embeds them fastest."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from georclip.encoders.image_store import keep_image_tower

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from georclip.encoders.base import Encoder
    from georclip.encoders.image_tower import ImageTower
    from georclip.values import EncoderSpec

_log = logging.getLogger("georclip")


def for_indexing(encoder: Encoder) -> Encoder:
    """An encoder of the same vectors whose pictures do not run in torch on a CPU.

    The first time, its image tower is exported to the user's cache (seconds). An encoder on a GPU,
    or without torch, is returned as it is; so is one that cannot be exported, which is said.
    """
    if not _in_torch_on_cpu(encoder):
        return encoder
    tower = keep_image_tower(encoder)
    if tower is None:
        return encoder
    _log.info("pictures: OpenVINO, %s", tower.precision)
    return _WithTower(encoder, tower)


def _in_torch_on_cpu(encoder: Encoder) -> bool:
    if "torch" not in sys.modules:  # then it cannot live there, and torch takes seconds to import
        return False
    try:
        from georclip.encoders.clip import OpenClipEncoder
        from georclip.encoders.compact import TorchCompactEncoder
    except ImportError:
        return False
    return isinstance(encoder, OpenClipEncoder | TorchCompactEncoder) and encoder.on_cpu


class _WithTower:
    """An `Encoder` whose pictures are embedded by an exported tower."""

    def __init__(self, encoder: Encoder, tower: ImageTower) -> None:
        self._encoder = encoder
        self._tower = tower

    @property
    def spec(self) -> EncoderSpec:
        """What decides its embeddings."""
        return self._encoder.spec

    @property
    def device(self) -> str:
        """Where pictures run, for people."""
        return f"cpu (OpenVINO, {self._tower.precision})"

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed uint8 RGB (n, 3, height, width) as unit rows, float32 (n, dim).

        Raises:
            EncoderError: `pixels` has another shape or dtype, or the tower cannot be used.
        """
        return self._tower.encode(pixels)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed sentences as they stand: unit rows, float32 (n, dim).

        Raises:
            QueryError: A sentence is empty or holds no word that the encoder knows.
        """
        return self._encoder.encode_texts(texts)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of `text` that the encoder has never seen."""
        return self._encoder.unknown_words(text)

    def unread(self, text: str) -> str:
        """The end of `text` that is cut off, being more than the encoder reads; "" if none is."""
        return self._encoder.unread(text)
