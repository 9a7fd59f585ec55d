"""The contrastive loss in which equal captions are not negatives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def positive_pairs(
    captions: Sequence[str], labels: Sequence[str], *, prompts: Sequence[bool]
) -> Tensor:
    """Say which sentence of a batch is true of which picture.

    A sentence is true of the picture it was written for, of pictures with an equal sentence, and,
    where it only names a class, of every picture of that class.

    Args:
        captions: One per picture; equal strings mean equal sentences.
        labels: Class of each picture, "" for none.
        prompts: Whether the caption only names the class.

    Returns:
        bool, (pictures, sentences).
    """
    count = len(captions)
    numbers = {caption: number for number, caption in enumerate(dict.fromkeys(captions))}
    of_caption = torch.tensor([numbers[caption] for caption in captions])
    classes = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    of_label = torch.tensor([classes[label] for label in labels])
    names_class = torch.tensor([bool(p) and bool(c) for p, c in zip(prompts, labels, strict=True)])
    equal = of_caption[:, None] == of_caption[None, :]
    same_class = of_label[:, None] == of_label[None, :]
    return equal | (same_class & names_class[None, :]) | torch.eye(count, dtype=torch.bool)


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, positives: Tensor) -> Tensor:
    """Symmetric InfoNCE, its target spread evenly over all positives of a row or column.

    With one positive per row this is CLIP's loss (Radford et al. 2021); several positives as in
    supervised contrastive learning (Khosla et al. 2020, L_out).

    Args:
        images: Unit vectors, (batch, dim).
        texts: Unit vectors, (batch, dim).
        scale: Inverse temperature, scalar.
        positives: bool, (batch, batch), rows pictures, columns sentences, at least one in each.

    Returns:
        Scalar.
    """
    logits = scale * images @ texts.T  # (pictures, sentences)
    wanted = positives.to(logits.dtype)
    by_image = -(logits.log_softmax(dim=1) * wanted).sum(dim=1) / wanted.sum(dim=1)
    by_text = -(logits.log_softmax(dim=0) * wanted).sum(dim=0) / wanted.sum(dim=0)
    return 0.5 * (by_image.mean() + by_text.mean())
