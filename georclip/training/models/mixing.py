"""Weights between a start and what it was tuned to (WiSE-FT, Wortsman et al. 2022)."""

from __future__ import annotations

import torch

from georclip.encoders.checkpoints import State


def mix(start: State, tuned: State, share: float) -> State:
    """Interpolate linearly, weight by weight: (1 - share) start + share tuned.

    Running statistics of batch normalisation are mixed like weights, and counters are the tuned
    model's. Mixed statistics are not those of the mixed weights, only near them: WiSE-FT was
    shown for ViTs, which have none. For RN50 and georclip's own image towers a mix is approximate
    wherever statistics moved; what it reaches is measured.

    Args:
        start: Tensor by name.
        tuned: The same names and shapes.
        share: Of the tuned weights, in [0, 1].
    """
    return {
        name: torch.lerp(start[name], value, share) if value.is_floating_point() else value
        for name, value in tuned.items()
    }
