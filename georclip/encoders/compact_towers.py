"""The starter's towers in torch: an image tower, a text tower and a learned temperature."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from georclip.encoders.compact_image import image_tower
from georclip.encoders.compact_shapes import compact_shape
from georclip.encoders.compact_text import TextTower

LOG_SCALE_START = 2.6593  # ln(1 / 0.07), as in CLIP
LOG_SCALE_MAX = 4.605170  # ln(100), as CLIP holds it (Radford et al. 2021, section 2.5)


class CompactTowers(nn.Module):
    """Both towers and the learned temperature."""

    def __init__(self, architecture: str, vocabulary_size: int) -> None:
        super().__init__()
        shape = compact_shape(architecture)
        self.image = image_tower(shape)
        self.text = TextTower(shape, vocabulary_size)
        self.log_scale = nn.Parameter(torch.tensor(LOG_SCALE_START))

    @property
    def scale(self) -> Tensor:
        """Inverse temperature."""
        return self.log_scale.exp()

    @torch.no_grad()
    def hold_temperature(self) -> None:
        """Bring the temperature back under its limit, after a step.

        Where the forward pass clamped it, it would have no gradient beyond the limit and stay.
        """
        self.log_scale.clamp_(max=LOG_SCALE_MAX)
