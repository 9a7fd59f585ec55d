"""The gradient of a large batch with the memory of a part of it (Gao et al. 2021, GradCache).

A contrastive loss compares every picture with every sentence, so losses of parts do not add up to
the loss of the whole. But it reaches the towers through the embeddings alone, and those are small:

1. every part is embedded without a graph;
2. the loss of the whole batch gives its gradient with respect to every embedding;
3. every part is embedded again, with a graph, and the embeddings' gradients are chained through it.

Weights add up what the parts give, and that is the gradient of the whole batch. It is exact for
towers in which a picture's vector depends on that picture alone. Batch normalisation in training
is no such layer: its statistics are those of a part, so that gradients are those of smaller
batches there. Where its statistics are frozen it is exact again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from georclip.training.dealing import deal
from georclip.training.losses import contrastive_loss

Towers = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""Pictures and ids to their unit vectors, float32, and the inverse temperature."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which pictures and which sentences of a batch go through the towers together."""

    pictures: slice
    sentences: slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What the loss sees of a batch, without graph.

    Attributes:
        pictures: float32, (pictures, dim).
        sentences: float32, (sentences, dim).
        scale: Inverse temperature, scalar.
    """

    pictures: Tensor
    sentences: Tensor
    scale: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LossGradient:
    """The loss of a batch and its gradient with respect to everything of `Embedded`."""

    loss: float
    pictures: Tensor
    sentences: Tensor
    scale: Tensor


@dataclass(frozen=True, slots=True)
class RandomState:
    """What torch's generators draw next, so that dropout can be repeated."""

    cpu: Tensor
    gpu: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> RandomState:
        """Take down the state of the CPU's generator and, for a GPU, of its own."""
        gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(torch.get_rng_state(), gpu)

    @contextmanager
    def replay(self, device: torch.device) -> Iterator[None]:
        """Draw again from this state; afterwards the generators are as they were before."""
        devices = [] if self.gpu is None else [device]
        with torch.random.fork_rng(devices):
            torch.set_rng_state(self.cpu)
            if self.gpu is not None:
                torch.cuda.set_rng_state(self.gpu, device)
            yield


def cut(pictures: int, sentences: int, parts: int) -> tuple[Part, ...]:
    """Cut a batch; a sentence need not be in the part of its picture."""
    return tuple(map(Part, deal(pictures, parts), deal(sentences, parts)))


@torch.no_grad()
def embed_ahead(
    towers: Towers, module: nn.Module, pictures: Tensor, ids: Tensor, parts: Sequence[Part]
) -> tuple[Embedded, tuple[RandomState, ...]]:
    """Embed a batch part by part without a graph, as it will be embedded with one.

    Args:
        towers: What embeds.
        module: Its weights and statistics. Statistics that layers keep do not move: they shall
            see every picture once in a step.
        pictures: float32, (pictures, 3, side, side).
        ids: int64, (sentences, words).
        parts: Of the batch.

    Returns:
        Every embedding, and what the generators were about to draw before each part.
    """
    kept = {name: value.clone() for name, value in module.named_buffers()}
    states: list[RandomState] = []
    images: list[Tensor] = []
    texts: list[Tensor] = []
    for part in parts:
        states.append(RandomState.now(pictures.device))
        vectors, sentences, scale = towers(pictures[part.pictures], ids[part.sentences])
        images.append(vectors)
        texts.append(sentences)
    for name, value in module.named_buffers():
        value.copy_(kept[name])
    embedded = Embedded(
        pictures=_collect(images, [part.pictures for part in parts], len(pictures)),
        sentences=_collect(texts, [part.sentences for part in parts], len(ids)),
        scale=scale,
    )
    return embedded, tuple(states)


def loss_gradient(embedded: Embedded, positives: Tensor) -> LossGradient:
    """Differentiate the contrastive loss of a whole batch up to its embeddings.

    Args:
        embedded: The batch.
        positives: bool, (pictures, sentences).
    """
    leaves = [
        value.detach().requires_grad_()
        for value in (embedded.pictures, embedded.sentences, embedded.scale)
    ]
    loss = contrastive_loss(leaves[0], leaves[1], leaves[2], positives)
    pictures, sentences, scale = torch.autograd.grad(loss, leaves)
    return LossGradient(
        loss=float(loss.detach()), pictures=pictures, sentences=sentences, scale=scale
    )


def chain(
    outputs: tuple[Tensor, Tensor, Tensor], gradient: LossGradient, part: Part, *, last: bool
) -> None:
    """Add to the weights' gradients what a part contributes.

    Args:
        outputs: Of the towers for the part, with their graph.
        gradient: Of the whole.
        part: Which part it is.
        last: The temperature's gradient comes with the last part, once.
    """
    images, texts, scale = outputs
    ends = [(images, gradient.pictures[part.pictures]), (texts, gradient.sentences[part.sentences])]
    if last:
        ends.append((scale, gradient.scale))
    ends = [(end, given) for end, given in ends if end.requires_grad]  # frozen towers have no graph
    torch.autograd.backward([end for end, _ in ends], [given for _, given in ends])


def _collect(vectors: Sequence[Tensor], places: Sequence[slice], count: int) -> Tensor:
    """Put dealt vectors back into order: (count, dim)."""
    whole = vectors[0].new_empty((count, vectors[0].shape[1]))
    for own, place in zip(vectors, places, strict=True):
        whole[place] = own
    return whole
