"""The contrastive loss in which equal captions are not negatives."""

from __future__ import annotations

from torch import Tensor


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, positives: Tensor) -> Tensor:
    """Symmetric InfoNCE, its target spread evenly over all positives of a row or column.

    With one positive per row this is CLIP's loss (Radford et al. 2021); several positives as in
    supervised contrastive learning (Khosla et al. 2020, L_out).

    Args:
        images: Unit vectors, (pictures, dim).
        texts: Unit vectors, (sentences, dim).
        scale: Inverse temperature, scalar.
        positives: bool, (pictures, sentences): which is true of which, at least one in every row
            and column.

    Returns:
        Scalar.
    """
    logits = scale * images @ texts.T  # (pictures, sentences)
    wanted = positives.to(logits.dtype)
    by_image = -(logits.log_softmax(dim=1) * wanted).sum(dim=1) / wanted.sum(dim=1)
    by_text = -(logits.log_softmax(dim=0) * wanted).sum(dim=0) / wanted.sum(dim=0)
    return 0.5 * (by_image.mean() + by_text.mean())
