"""Sentences of like length embedded together, so that little padding is computed with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def embed_by_length(
    ids: Tensor, lengths: Tensor, embed: Callable[[Tensor], Tensor], *, part: int
) -> Tensor:
    """Embed sentences in parts of like length, each cut after its longest.

    A batch's longest sentence is several times its typical one.

    Args:
        ids: int64, (sentences, words).
        lengths: int64, (sentences,): ids that must not be cut off, at least 1.
        embed: (n, words) to (n, dim); a sentence's row does not depend on the others'.
        part: Most sentences embedded at once.

    Returns:
        (sentences, dim), in the order given.
    """
    order = lengths.argsort(stable=True)
    rows = [embed(ids[own][:, : int(lengths[own].max())]) for own in torch.split(order, part)]
    return torch.cat(rows)[order.argsort()]
