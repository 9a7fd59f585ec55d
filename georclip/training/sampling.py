"""In which order an epoch goes through the pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def picture_order(
    groups: Sequence[str], rng: np.random.Generator, *, block: int
) -> npt.NDArray[np.int64]:
    """Shuffle pictures, keeping blocks of one group together.

    Pictures of one class in a batch are each other's hard negatives: told apart by what their
    captions say of each, not by their class (as in Robinson et al. 2021, simplified to labels).

    Args:
        groups: Of each picture; "" for none.
        rng: Seeded generator.
        block: Pictures of a group that stay together; 0 or 1 shuffles pictures singly.

    Returns:
        int64, (pictures,): every index once.
    """
    order = rng.permutation(len(groups)).astype(np.int64)
    if block <= 1:
        return order
    members: dict[str, list[int]] = {}
    for index in order.tolist():
        members.setdefault(groups[index], []).append(index)
    blocks = [
        group[start : start + block]
        for group in members.values()
        for start in range(0, len(group), block)
    ]
    return np.concatenate([blocks[number] for number in rng.permutation(len(blocks))])
