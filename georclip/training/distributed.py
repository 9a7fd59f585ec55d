"""One training run on several processes: torchrun's, one for each GPU, or a few on one CPU.

Every process makes and embeds its share of each batch. The embeddings are gathered, and every
process computes the loss of the whole batch over them; its gradient with respect to a process's
own embeddings is complete there, so none has to travel back. DistributedDataParallel averages what
the towers' weights get. With the shares' gradients multiplied by the number of processes, that
average is the gradient of the whole batch, as one process would compute it.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from georclip.errors import EncoderError, GeorclipError
from georclip.training.dealing import deal
from georclip.training.gradient_cache import Embedded, LossGradient, loss_gradient
from georclip.training.trainable import Trainable

log = logging.getLogger("georclip")

Made = TypeVar("Made")

_KNOWN = inspect.signature(DistributedDataParallel).parameters
_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _KNOWN else "broadcast_buffers"
"""What later versions of torch, and earlier ones, call this option."""
_PATIENCE = timedelta(hours=2)  # others wait that long while the first process validates


class BothTowers(nn.Module):
    """Both towers and the temperature behind one call, as DistributedDataParallel wants them."""

    def __init__(self, model: Trainable) -> None:
        super().__init__()
        self.weights = model.module
        self._model = model

    def forward(self, pictures: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embed pictures and sentences.

        Args:
            pictures: float32, (pictures, 3, side, side).
            ids: int64, (sentences, words).

        Returns:
            Unit vectors of both, float32, and the inverse temperature.
        """
        images = self._model.embed_images(pictures).float()  # (pictures, dim)
        texts = self._model.embed_texts(ids).float()  # (sentences, dim)
        return images, texts, self._model.scale()


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """This process among those of a run.

    Attributes:
        rank: Which it is, from 0. The first one validates, writes and speaks for all.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this one validates, writes and speaks."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        """(rank, world): which share of each batch is this process's."""
        return self.rank, self.world

    def connect(self, towers: BothTowers) -> nn.Module:
        """Give all processes the first one's weights, and average gradients from now on.

        Batch statistics stay each process's own: `average_statistics`.
        """
        if self.world == 1:
            return towers
        options: dict[str, Any] = {_BUFFERS: False}
        return DistributedDataParallel(towers, **options)

    def loss_gradient(self, own: Embedded, positives: Tensor) -> LossGradient:
        """Gradient of the whole batch's loss with respect to this process's embeddings.

        Args:
            own: Embeddings of this process's share.
            positives: bool, (pictures, sentences), of the whole batch.

        Returns:
            Such that averages over the processes of what it gives the weights are the gradient
            of the whole batch.
        """
        if self.world == 1:
            return loss_gradient(own, positives)
        pictures, sentences = positives.shape
        whole = Embedded(
            pictures=self.gather(own.pictures, pictures),
            sentences=self.gather(own.sentences, sentences),
            scale=own.scale,
        )
        found = loss_gradient(whole, positives)
        return replace(
            found,
            pictures=found.pictures[deal(pictures, self.world)[self.rank]] * self.world,
            sentences=found.sentences[deal(sentences, self.world)[self.rank]] * self.world,
        )

    def gather(self, own: Tensor, count: int) -> Tensor:
        """Bring the dealt shares of all processes together.

        Args:
            own: (share, dim), this process's.
            count: Rows of all processes together.

        Returns:
            (count, dim), the same in every process, without graph.
        """
        places = deal(count, self.world)
        sizes = [len(range(count)[place]) for place in places]
        padded = own.new_zeros((max(sizes), own.shape[1]))  # all must send equally much
        padded[: len(own)] = own
        shares = [torch.empty_like(padded) for _ in places]
        dist.all_gather(shares, padded)
        whole = own.new_empty((count, own.shape[1]))
        for place, size, share in zip(places, sizes, shares, strict=True):
            whole[place] = share[:size]
        return whole

    def hold_back(self, towers: nn.Module) -> AbstractContextManager[object]:
        """Leave gradients unaveraged for now: more parts of the batch follow."""
        if isinstance(towers, DistributedDataParallel):
            return towers.no_sync()
        return nullcontext()

    def average_statistics(self, module: nn.Module) -> None:
        """Average the running statistics of batch normalisation over all processes.

        Batches are normalised by statistics of a process's share. What is kept for later is of
        all, so that every process goes on, and is resumed, from the same numbers:
        `pooled_statistics`.
        """
        if self.world == 1:
            return
        kept = [
            (layer.running_mean, layer.running_var, _newest_share(layer))
            for layer in module.modules()
            if isinstance(layer, _BatchNorm) and layer.training
            if layer.running_mean is not None and layer.running_var is not None
        ]
        if not kept:
            return
        own = torch.stack(
            [torch.cat([mean for mean, _, _ in kept]), torch.cat([var for _, var, _ in kept])]
        )
        shares = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(shares, own)
        newest = torch.cat([torch.full_like(mean, share) for mean, _, share in kept])
        means, variances = pooled_statistics(torch.stack(shares), newest)
        sizes = [mean.numel() for mean, _, _ in kept]
        for layer, mean, variance in zip(
            kept, torch.split(means, sizes), torch.split(variances, sizes), strict=True
        ):
            layer[0].copy_(mean)
            layer[1].copy_(variance)

    def seed(self, seed: int, epoch: int) -> None:
        """Seed torch for an epoch: other dropout in each process, the same after a resume."""
        words = np.random.SeedSequence([seed, epoch, self.rank]).generate_state(1, np.uint64)
        torch.manual_seed(int(words[0]))

    def from_first(self, make: Callable[[], Made]) -> Made:
        """Let the first process make something while the others wait, and give it to all.

        Raises:
            GeorclipError: What the first one raised of the kind, in all.
        """
        if self.world == 1:
            return make()
        made: list[Made | GeorclipError | None] = [self._outcome(make) if self.first else None]
        dist.broadcast_object_list(made)
        if isinstance(made[0], GeorclipError):
            raise made[0]
        return made[0]  # type: ignore[return-value]

    @staticmethod
    def _outcome(make: Callable[[], Made]) -> Made | GeorclipError:
        try:
            return make()
        except GeorclipError as error:
            return error

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.world > 1:
            dist.barrier()


def pooled_statistics(shares: Tensor, newest: Tensor) -> tuple[Tensor, Tensor]:
    """Running statistics as of the whole batch, from those that processes kept of their shares.

    The variance of a whole batch is the mean of its shares' variances and the variance of their
    means. All processes began the step from the same numbers, so their running means differ by
    `newest` times what their batches' means differ by, and the variance between the batches'
    means enters with the weight `newest`: in all, the variance between running means over
    `newest`. Exact for shares of equal size in one part each, but for the factor n / (n - 1).

    Args:
        shares: (processes, 2, channels): running means, running variances.
        newest: (channels,): the share that the newest batch has in them.

    Returns:
        (channels,) each.
    """
    mean, within = shares.mean(dim=0)
    between = (shares[:, 0] - mean).square().mean(dim=0)
    return mean, within + between / newest


def _newest_share(layer: _BatchNorm) -> float:
    if layer.momentum is not None:
        return layer.momentum or 1.0  # statistics that do not move are alike in all
    return 1.0 / max(1, int(layer.num_batches_tracked or 1))


ALONE = Processes()
"""A run of one process."""


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started; one that it did not start is alone.

    Args:
        device: "cpu" or "cuda", of the towers: nccl connects GPUs, gloo CPUs.

    Raises:
        EncoderError: More processes than GPUs on this machine.
    """
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys():
        yield ALONE
        return
    if device == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise EncoderError(
                f"process {local} of this machine has no GPU, there are "
                f"{torch.cuda.device_count()}: start as many with torchrun --nproc-per-node"
            )
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=_PATIENCE)
    found = Processes(rank=dist.get_rank(), world=dist.get_world_size())
    level = log.level
    if not found.first:
        log.setLevel(logging.ERROR)  # the first speaks for all
    try:
        yield found
    finally:
        log.setLevel(level)
        dist.destroy_process_group()
