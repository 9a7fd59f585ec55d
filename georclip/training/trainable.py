"""What a model must offer so that it can be trained, whoever made its towers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor, nn

    from georclip.encoders.base import Encoder
    from georclip.encoders.checkpoints import State
    from georclip.values import EncoderSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of a tower that learns, or is held, as one.

    Attributes:
        modules: Its layers.
        parameters: What belongs to it and to none of its layers.
    """

    modules: tuple[nn.Module, ...]
    parameters: tuple[nn.Parameter, ...] = ()


class Trainable(Protocol):
    """An image tower, a text tower and a temperature in one module, and how to feed and keep them.

    `module` holds every weight by the name that files have it under, until `projections` is
    called.
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
    def any_view_size(self) -> bool:
        """Whether the image tower takes pictures of other sizes than its spec's."""
        ...

    @property
    def token_limit(self) -> int:
        """Ids that the text tower reads."""
        ...

    def embed_images(self, pictures: Tensor) -> Tensor:
        """Normalised pictures, float (batch, 3, side, side), to unit vectors (batch, dim)."""
        ...

    def embed_texts(self, ids: Tensor) -> Tensor:
        """Ids, int64 (batch, words), to unit vectors (batch, dim)."""
        ...

    def scale(self) -> Tensor:
        """Inverse temperature: scalar."""
        ...

    def hold_temperature(self) -> None:
        """Bring the stored temperature back into its limits, after a step."""
        ...

    def split_words(self, caption: str) -> tuple[str, ...]:
        """A caption as written to the words that may be swapped or left out."""
        ...

    def token_ids(self, text: str) -> npt.NDArray[np.int64]:
        """Ids of a sentence, int64 (context length,)."""
        ...

    def lengths(self, ids: Tensor) -> Tensor:
        """Ids of each sentence that must not be cut off: (sentences, words) to (sentences,).

        At least 1; where nothing can be cut off, all words.
        """
        ...

    def count_tokens(self, text: str) -> int:
        """Ids of a sentence before it is cut, as `token_limit` counts them."""
        ...

    def image_tower(self) -> Block:
        """All of the image tower."""
        ...

    def text_tower(self) -> Block:
        """All of the text tower."""
        ...

    def image_blocks(self) -> Sequence[Block]:
        """The image tower's blocks, first to last, stem included; () where they are not known."""
        ...

    def started(self) -> frozenset[str]:
        """Names of weights that start from a trained model and learn at `body_rate`."""
        ...

    def undecayed(self) -> frozenset[str]:
        """Names of weights with two or more axes that weight decay must leave alone."""
        ...

    def save_memory(self) -> None:
        """From now on compute what lies inside of blocks again for the gradient."""
        ...

    def projections(self) -> tuple[str, ...]:
        """Names of linear layers that LoRA can adapt, made such that it reaches them."""
        ...

    def file_weights(self, state: State) -> State:
        """A state of `module` as files have it, low-rank changes merged; values may be shared."""
        ...

    def encoder(self, weights: State) -> Encoder:
        """An encoder over a copy of weights as files have them, where the model computes."""
        ...

    def write(self, path: Path, weights: State, *, half: bool) -> None:
        """Write weights, as files have them, as .safetensors for `georclip index --weights`.

        Args:
            path: Replaced whole, or not at all.
            weights: On any device.
            half: Store fp16.
        """
        ...
