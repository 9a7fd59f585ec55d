"""Gradient checkpointing for blocks of layers: memory for time (Chen et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recompute(block: nn.Module) -> None:
    """Keep only what goes into a block; what is inside is computed again for its gradient.

    The running statistics of batch normalisation see each batch once all the same.

    Args:
        block: Takes and gives one tensor; changed in place.
    """
    inner = block.forward
    norms = [layer for layer in block.modules() if isinstance(layer, _BatchNorm)]

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(norms)

    def forward(maps: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            plain: Tensor = inner(maps)
            return plain
        kept: Tensor = checkpoint(inner, maps, use_reentrant=False, context_fn=contexts)
        return kept

    block.forward = forward


@contextmanager
def _statistics_kept(norms: list[_BatchNorm]) -> Iterator[None]:
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
            norm.num_batches_tracked = None
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked = count
