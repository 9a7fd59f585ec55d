"""The gradient of one batch."""

from __future__ import annotations

import torch

from georclip.training.batches import Batch
from georclip.training.losses import contrastive_loss
from georclip.training.settings import Precision
from georclip.training.trainable import Trainable


def backward(model: Trainable, batch: Batch, precision: Precision) -> float:
    """Add the gradient of the contrastive loss of a batch to the weights' own.

    Args:
        model: In training mode.
        batch: On the model's device.
        precision: Of the towers; the loss is float32.

    Returns:
        The loss.
    """
    device = batch.pictures.device.type
    with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
        vectors = model.embed_images(batch.pictures)  # (pictures, dim)
        texts = model.embed_texts(batch.ids)  # (sentences, dim)
    loss = contrastive_loss(vectors.float(), texts.float(), model.scale(), batch.positives)
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())
