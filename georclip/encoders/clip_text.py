"""open_clip's text towers, without the time that padding takes: most sentences are short."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

from georclip.encoders.like_lengths import embed_by_length

_POOLED_AT_END = "argmax"  # open_clip's word for reading a sentence off at its highest id


class ClipText:
    """A text tower of open_clip's.

    Where a sentence is read off at its end, and a word looks back only, what comes after the end
    changes nothing: it is left out. A fifth of the time is left for captions of a dozen words.
    """

    def __init__(self, clip: nn.Module, *, padded_with_zeros: bool) -> None:
        """Take a model.

        Args:
            clip: open_clip's; its weights may change later.
            padded_with_zeros: Whether the id 0 fills what comes after a sentence's end.
        """
        self._clip: Any = clip
        self._tower = _Forward(clip)
        looks_back = getattr(clip, "attn_mask", None) is not None
        read_at_end = getattr(clip, "text_pool_type", "") == _POOLED_AT_END
        self.cuts = looks_back and read_at_end and padded_with_zeros

    def lengths(self, ids: Tensor) -> Tensor:
        """How much of each sentence counts.

        Args:
            ids: int64, (sentences, words), whole.

        Returns:
            int64, (sentences,): up to the mark of the end, which is the highest id; all words
            where nothing can be left out. Counting ids other than 0 would not do: 0 is also a
            "!" before another sign.
        """
        if not self.cuts:
            return ids.new_full((len(ids),), ids.shape[1])
        return ids.argmax(dim=1) + 1

    def rows(self, ids: Tensor, *, part: int) -> Tensor:
        """Embed sentences, each as if it stood alone; rows are of no particular length.

        Args:
            ids: int64, (sentences, words): of the tower's whole context, or, where `cuts`, of at
                least the longest sentence.
            part: Most sentences that go through the tower at once.

        Returns:
            (sentences, dim).
        """
        if not self.cuts:
            rows: Tensor = self._clip.encode_text(ids)
            return rows
        return embed_by_length(ids, self.lengths(ids), self._short, part=part)

    def _short(self, ids: Tensor) -> Tensor:
        """Sentences of any number of words up to the context: open_clip takes whole ones only."""
        words = ids.shape[1]
        cut = {
            "clip.positional_embedding": self._clip.positional_embedding[:words],
            "clip.attn_mask": self._clip.attn_mask[:words, :words],
        }
        rows: Tensor = functional_call(self._tower, cut, (ids,), tie_weights=False)
        return rows


class _Forward(nn.Module):
    """`encode_text` as a forward, so that weights can be swapped for the time of a call."""

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.clip: Any = clip

    def forward(self, ids: Tensor) -> Tensor:
        rows: Tensor = self.clip.encode_text(ids)
        return rows
