"""AdamW, its groups of weights, its schedule, and the running average of weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from georclip.training.settings import TrainSettings
from georclip.training.trainable import Trainable

_BETAS = (0.9, 0.98)  # as in CLIP (Radford et al. 2021, table 20)


def make_optimizer(model: Trainable, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW over the weights that learn; norms, biases, embeddings and temperature undecayed.

    Weights that started from a trained model learn at `body_rate` of the rate: each group holds
    its share as "share".
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, value in model.module.named_parameters():
        if not value.requires_grad:
            continue
        plain = value.ndim < 2 or name in model.undecayed()
        decay = 0.0 if plain else settings.weight_decay
        share = settings.body_rate if name in model.started() else 1.0
        groups.setdefault((decay, share), []).append(value)
    return torch.optim.AdamW(
        [
            {"params": values, "weight_decay": decay, "share": share}
            for (decay, share), values in groups.items()
        ],
        lr=settings.learning_rate,
        betas=_BETAS,
        fused=True,
    )


def learning_rate(settings: TrainSettings, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then a cosine to zero; `step` is counted from 0 over the whole run."""
    warm = max(1.0, settings.warmup_epochs * steps_per_epoch)
    if step < warm:
        return settings.learning_rate * min(1.0, (step + 1) / warm)
    done = (step - warm) / max(1.0, settings.epochs * steps_per_epoch - warm)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


class WeightAverage:
    """A running average of a module's weights; counters are copied.

    LoRA's two factors are averaged one by one, like any weight: the change that is merged is the
    product of their averages, which is near the average of their products while both move slowly.
    """

    def __init__(self, module: nn.Module) -> None:
        held = (name for name, value in module.named_parameters() if not value.requires_grad)
        self._held = frozenset(held)
        self.values: dict[str, Tensor] = {
            name: value.detach().clone() for name, value in module.state_dict().items()
        }

    @torch.no_grad()
    def update(self, module: nn.Module, decay: float) -> None:
        """Move a step towards the module's weights."""
        for name, value in module.state_dict().items():
            if name in self._held:
                continue
            if value.is_floating_point():
                self.values[name].lerp_(value, 1.0 - decay)
            else:
                self.values[name].copy_(value)
