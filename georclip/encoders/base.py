"""What an encoder is: pixels or sentences in, unit vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from georclip.values import EncoderSpec


class Encoder(Protocol):
    """Turns pixels and sentences into unit vectors of one space. Knows no geography."""

    @property
    def spec(self) -> EncoderSpec:
        """What decides its embeddings."""
        ...

    @property
    def device(self) -> str:
        """Where it runs, for people: "cpu (OpenVINO)", "cuda:0 (NVIDIA ...)"."""
        ...

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed a batch of pictures.

        Args:
            pixels: uint8 RGB, (n, 3, height, width), any height and width: each picture is
                resized to the tower's square with antialiasing.

        Returns:
            float32, (n, dim), rows of unit length.
        """
        ...

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed sentences as they stand, without templates.

        Returns:
            float32, (n, dim), rows of unit length.

        Raises:
            QueryError: A sentence is empty or holds no word that the encoder knows.
        """
        ...

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of `text` that the encoder has never seen; () for sub-word vocabularies."""
        ...

    def unread(self, text: str) -> str:
        """The end of `text` that is cut off, being more than the encoder reads; "" if none is."""
        ...
