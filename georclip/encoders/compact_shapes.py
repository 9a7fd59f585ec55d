"""Sizes of the starter's towers, by name. No torch."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from georclip.encoders.preprocessing import HALF, Triple
from georclip.errors import EncoderError

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactShape:
    """Sizes of both towers.

    Attributes:
        body: What the image tower is made of. The next three sizes are the residual net's alone.
        stem_width: Channels after the first convolution.
        widths: Channels of the stages, at 1/4, 1/8, 1/16 and 1/32 of the picture's side.
        depths: Residual blocks per stage.
        dim: Length of an embedding.
        text_width: Channels of the text tower.
        text_layers: Transformer layers.
        text_heads: Attention heads.
        context_length: Most words of a sentence.
    """

    body: Literal["efficientnet-lite0", "residual"] = "residual"
    stem_width: int = 32
    widths: tuple[int, ...] = (48, 96, 192, 384)
    depths: tuple[int, ...] = (1, 2, 2, 1)
    dim: int = 256
    text_width: int = 256
    text_layers: int = 2
    text_heads: int = 4
    context_length: int = 32

    @property
    def activation(self) -> str:
        """The image tower's non-linearity."""
        return "relu6" if self.body == "efficientnet-lite0" else "relu"

    @property
    def mean(self) -> Triple:
        """Subtracted from RGB in [0, 1]: what the body's ImageNet weights were trained with."""
        return HALF if self.body == "efficientnet-lite0" else IMAGENET_MEAN

    @property
    def std(self) -> Triple:
        """Divides what is left."""
        return HALF if self.body == "efficientnet-lite0" else IMAGENET_STD


_SHAPES = {
    "starter-lite0-w256": CompactShape(body="efficientnet-lite0"),
    "starter-resnet14-w256": CompactShape(),
    "starter-tiny": CompactShape(
        stem_width=8,
        widths=(8, 16, 16, 16),
        depths=(1, 1, 1, 1),
        dim=32,
        text_width=32,
        text_layers=1,
        text_heads=2,
    ),
}
ARCHITECTURES = MappingProxyType(_SHAPES)
"""Known towers by name; "starter-tiny" learns nothing useful and is there for quick trials."""


def compact_shape(architecture: str) -> CompactShape:
    """Look up the sizes of a named architecture.

    Raises:
        EncoderError: Not one of georclip's own architectures.
    """
    try:
        return ARCHITECTURES[architecture]
    except KeyError:
        near = difflib.get_close_matches(architecture, ARCHITECTURES, n=1, cutoff=0.7)
        hint = f": did you mean {near[0]}?" if near else ""
        known = ", ".join(ARCHITECTURES)
        raise EncoderError(
            f"{architecture!r} is not an architecture of georclip's own ({known}){hint}"
        ) from None
