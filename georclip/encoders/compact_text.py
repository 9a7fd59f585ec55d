"""The starter's text tower in torch: word ids to unit vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from georclip.encoders.compact_shapes import CompactShape


class TextLayer(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, words: Tensor, away: Tensor) -> Tensor:
        """Mix words of a sentence.

        Args:
            words: (batch, words, width).
            away: (batch, 1, 1, words), 0 for a word, very negative for padding.

        Returns:
            (batch, words, width).
        """
        batch, count, width = words.shape
        mixed = self.query_key_value(self.norm_attention(words))
        mixed = mixed.reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)  # (batch, heads, words, part)
        scores = query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5 + away
        heard = scores.softmax(dim=-1) @ value
        words = words + self.merge(heard.transpose(1, 2).reshape(batch, count, width))
        output: Tensor = words + self.mlp(self.norm_mlp(words))
        return output


class TextTower(nn.Module):
    """Word ids to unit vectors; id 0 is padding."""

    def __init__(self, shape: CompactShape, vocabulary_size: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary_size, shape.text_width)
        self.places = nn.Parameter(torch.randn(shape.context_length, shape.text_width) * 0.01)
        nn.init.normal_(self.words.weight, std=0.04)
        self.layers = nn.ModuleList(
            TextLayer(shape.text_width, shape.text_heads) for _ in range(shape.text_layers)
        )
        self.norm = nn.LayerNorm(shape.text_width)
        self.projection = nn.Linear(shape.text_width, shape.dim)

    def forward(self, ids: Tensor) -> Tensor:
        """Embed sentences: int64 (batch, words) -> (batch, dim)."""
        there = (ids != 0).to(self.places.dtype)  # (batch, words)
        away = (1.0 - there)[:, None, None, :] * -1e4
        words = self.words(ids) + self.places[: ids.shape[1]]
        for layer in self.layers:
            words = layer(words, away)
        weights = there[:, :, None]
        mean = (self.norm(words) * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
        return F.normalize(self.projection(mean).float(), dim=-1)
