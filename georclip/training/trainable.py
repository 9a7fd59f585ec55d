"""What a model must offer so that it can be trained, whoever made its towers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor, nn

    from georclip.encoders.base import Encoder
    from georclip.values import EncoderSpec


class Trainable(Protocol):
    """An image tower, a text tower and a temperature in one module, and how to feed and keep them.

    `module` holds every weight by the name that files have it under.
    """

    @property
    def module(self) -> nn.Module:
        """Every weight, the temperature included."""
        ...

    @property
    def spec(self) -> EncoderSpec:
        """What its weights will be loaded as; `weights_sha256` is empty."""
        ...

    @property
    def padded_after_end(self) -> bool:
        """Whether ids after a sentence's last are all 0 and can be cut off."""
        ...

    def embed_images(self, pictures: Tensor) -> Tensor:
        """Normalised pictures, float (batch, 3, side, side), to unit vectors (batch, dim)."""
        ...

    def embed_texts(self, ids: Tensor) -> Tensor:
        """Ids, int64 (batch, words), to unit vectors (batch, dim)."""
        ...

    def scale(self) -> Tensor:
        """Inverse temperature, clamped: scalar."""
        ...

    def split_words(self, caption: str) -> tuple[str, ...]:
        """A caption as written to the words that may be swapped or left out."""
        ...

    def token_ids(self, text: str) -> npt.NDArray[np.int64]:
        """Ids of a sentence, int64 (context length,)."""
        ...

    def image_blocks(self) -> Sequence[nn.Module]:
        """The image tower's blocks, first to last, stem included: what freezing counts."""
        ...

    def started(self) -> frozenset[str]:
        """Names of weights that start from a trained model and learn at `body_rate`."""
        ...

    def undecayed(self) -> frozenset[str]:
        """Names of weights with two or more axes that weight decay must leave alone."""
        ...

    def encoder(self) -> Encoder:
        """An encoder over a copy of the weights as they are, in evaluation mode."""
        ...

    def write(self, path: Path) -> None:
        """Write the weights as .safetensors that `georclip index --weights` loads."""
        ...
