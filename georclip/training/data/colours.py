"""Random light, haze and sensors, over batches of views.

Every number drawn is given, per picture, so that a picture looks the same in whatever share of a
batch it is made.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

DRAWS = 20
"""Uniform numbers in [0, 1) that a picture needs for `vary_colour` and `vary_sensor` together."""


def _between(draws: Tensor, at: int, low: float, high: float, channels: int = 1) -> Tensor:
    """Draws as numbers in [low, high): (batch, channels, 1, 1)."""
    return low + (high - low) * draws[:, at : at + channels, None, None]


def vary_colour(pictures: Tensor, draws: Tensor) -> Tensor:
    """Vary brightness, contrast, tint, saturation and haze; a few turn grey or soft.

    Args:
        pictures: float in [0, 1], (batch, 3, side, side).
        draws: Uniform in [0, 1), (batch, DRAWS); the first ten are used.

    Returns:
        The same shape, in [0, 1].
    """
    saturation = _between(draws, 0, 0.5, 1.4)
    saturation = torch.where(draws[:, 1, None, None, None] < 0.06, 0.0, saturation)
    contrast = _between(draws, 2, 0.7, 1.35)
    gain = _between(draws, 3, 0.75, 1.3) * _between(draws, 4, 0.92, 1.08, channels=3)
    haze = _between(draws, 7, -0.6, 0.3).clamp(min=0.0)  # a third of the pictures
    veil = haze * _between(draws, 8, 0.75, 0.95)
    gain = gain * (1.0 - haze)
    # Saturation about grey, contrast about the mean, gain and haze are all linear: one pass.
    grey = pictures.mean(dim=1, keepdim=True)
    level = grey.mean(dim=(2, 3), keepdim=True)
    varied = pictures * (gain * contrast * saturation)
    varied.addcmul_(grey, gain * contrast * (1.0 - saturation))
    varied.add_(gain * (1.0 - contrast) * level + veil)
    soft = draws[:, 9] < 0.1
    padded = F.pad(varied[soft], (1, 1, 1, 1), mode="reflect")
    varied[soft] = F.avg_pool2d(padded, 3, stride=1)
    return varied.clamp_(0.0, 1.0)


def vary_sensor(pictures: Tensor, draws: Tensor) -> Tensor:
    """Vary half of the pictures further than one sensor does: tint of light and water, gamma.

    Some get a corner without data.

    Args:
        pictures: float in [0, 1], (batch, 3, side, side).
        draws: Uniform in [0, 1), (batch, DRAWS); the last ten are used.

    Returns:
        The same shape, in [0, 1].
    """
    side = pictures.shape[-1]
    half = (_between(draws, 10, 0.0, 1.0) < 0.5).to(pictures.dtype)
    warmth = half * _between(draws, 11, -0.25, 0.25)  # red against blue: silt, dusk, haze
    green = half * _between(draws, 12, -0.1, 0.1)
    pictures = pictures * torch.cat([1.0 + warmth, 1.0 + green, 1.0 - warmth], dim=1)
    pictures = pictures.clamp(1e-4, 1.0) ** (1.0 + half * _between(draws, 13, -0.3, 0.4))
    angle = _between(draws, 14, 0.0, 2.0 * math.pi)
    along = torch.linspace(-1.0, 1.0, side)
    away = along[None, None, :, None] * angle.sin() + along[None, None, None, :] * angle.cos()
    cut = (away > _between(draws, 15, 0.3, 1.0)) & (_between(draws, 16, 0.0, 1.0) < 0.15)
    mean = pictures.mean(dim=(2, 3), keepdim=True)
    fill = torch.where(_between(draws, 17, 0.0, 1.0) < 0.5, mean, 0.0)
    return torch.where(cut, fill, pictures)  # cut: (batch, 1, side, side)
