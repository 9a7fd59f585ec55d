"""The starter's image towers in torch: pixels to unit vectors.

Two bodies: EfficientNet-lite0 (Tan and Le 2019; no squeeze-and-excitation, ReLU6), which can start
from ImageNet's weights, and a plain residual net of 3 x 3 convolutions, which trains fastest from
nothing.
"""

from __future__ import annotations

from typing import Any

import timm
from torch import Tensor, nn
from torch.nn import functional as F

from georclip.encoders.compact_shapes import CompactShape

LITE0_WIDTH = 1280  # channels of EfficientNet-lite0's last layer


def _conv_norm(width_in: int, width_out: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width_in, width_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(width_out),
    )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016, basic block).

    A shortcut that shrinks averages before it projects, so that no pixel is left out.
    """

    def __init__(self, width_in: int, width_out: int, *, stride: int) -> None:
        super().__init__()
        self.first = _conv_norm(width_in, width_out, stride=stride)
        norm = nn.BatchNorm2d(width_out)
        nn.init.zeros_(norm.weight)  # a block starts as its own shortcut
        self.second = nn.Sequential(nn.Conv2d(width_out, width_out, 3, padding=1, bias=False), norm)
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
        if width_in != width_out:
            shortcut.append(nn.Conv2d(width_in, width_out, 1, bias=False))
            shortcut.append(nn.BatchNorm2d(width_out))
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, width_in, h, w) -> (batch, width_out, h / stride, w / stride)."""
        branch: Tensor = self.second(F.relu(self.first(maps)))
        return F.relu(branch + self.shortcut(maps))


class ResidualTower(nn.Module):
    """A plain residual net; `layers` ends in maps of 1/32 of the picture's side."""

    def __init__(self, shape: CompactShape) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            _conv_norm(3, shape.stem_width, stride=2),
            nn.ReLU(),
            _conv_norm(shape.stem_width, shape.widths[0], stride=2),
            nn.ReLU(),
        ]
        width_in = shape.widths[0]
        for stage, (width, depth) in enumerate(zip(shape.widths, shape.depths, strict=True)):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(ResidualBlock(width_in, width, stride=stride))
                width_in = width
        self.layers = nn.Sequential(*layers)
        self.projection = nn.Linear(width_in, shape.dim)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed normalised pictures: float (batch, 3, side, side) -> (batch, dim)."""
        maps = self.layers(pixels)  # (batch, width, side / 32, side / 32)
        return F.normalize(self.projection(maps.mean(dim=(2, 3))).float(), dim=-1)


class LiteTower(nn.Module):
    """EfficientNet-lite0 and a projection.

    timm's "tf_" variant pads as TensorFlow does, as the ImageNet weights expect.
    """

    def __init__(self, shape: CompactShape) -> None:
        super().__init__()
        self.body: Any = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        self.projection = nn.Linear(LITE0_WIDTH, shape.dim)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed normalised pictures: float (batch, 3, side, side) -> (batch, dim)."""
        return F.normalize(self.projection(self.body(pixels)).float(), dim=-1)


def image_tower(shape: CompactShape) -> nn.Module:
    """The image tower of an architecture, with random weights."""
    return LiteTower(shape) if shape.body == "efficientnet-lite0" else ResidualTower(shape)
