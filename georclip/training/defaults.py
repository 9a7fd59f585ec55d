"""What is not said on the command line: settings that depend on what a run starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from georclip.training.models.starting import Start
from georclip.training.settings import Precision, TrainSettings

_COMPACT_VIEWS_PX = (96, 112, 128)


def resolve_settings(start: Start, given: Mapping[str, Any], device: torch.device) -> TrainSettings:
    """Complete what was said by what suits the start and the device.

    Args:
        start: What the run starts from.
        given: Fields of `TrainSettings` that were said.
        device: Where it will run.

    Raises:
        EncoderError: Settings that mean nothing.
    """
    usual = usual_settings(start, low_rank=bool(given.get("lora_rank")))
    side_px = given.get("image_size_px", usual.image_size_px)
    own = {
        "image_size_px": side_px,
        "view_sizes_px": _view_sizes(start, side_px),
        "precision": usual_precision(device),
        "licence": _licence(start, usual),
    }
    return replace(usual, **{**own, **given})


def usual_settings(start: Start, *, low_rank: bool) -> TrainSettings:
    """Settings for a kind of start.

    Georclip's own towers are small and learn fast. CLIP from random weights: as in Radford et al.
    2021, table 20 (ViT-B-32), which suits large batches. CLIP from trained weights: small steps,
    of one size for all weights, and as much decay as Wortsman et al. 2022 used; LoRA's changes
    start from nothing and take larger ones. CLIP's text tower knows other words for the same, so
    none are swapped.
    """
    if start.kind == "compact":
        return TrainSettings(image_size_px=start.spec.image_size_px)
    rate, decay = (1e-5, 0.1) if start.origin.trained else (5e-4, 0.2)
    side_px = start.spec.image_size_px
    return TrainSettings(
        image_size_px=side_px,
        view_sizes_px=(side_px,),
        epochs=10,
        learning_rate=2e-4 if low_rank else rate,
        body_rate=1.0,
        warmup_epochs=1.0,
        weight_decay=decay,
        synonym_share=0.0,
        validate_every=1,
    )


def usual_precision(device: torch.device) -> Precision:
    """bf16 where the device computes in it by itself, else fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # torch tells only under these names whether a CPU has AVX512-BF16 or AMX.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return "bf16" if any(getattr(torch.cpu, name, bool)() for name in names) else "fp32"


def in_words(
    start: Start,
    settings: TrainSettings,
    steps: int,
    device: torch.device,
    *,
    imagenet: bool = False,
) -> str:
    """A run in a line, for people: what from, and the settings that differ between starts.

    Args:
        start: What from.
        settings: Of the run.
        steps: In an epoch.
        device: Where.
        imagenet: Whether the image tower starts from ImageNet's weights, and the rest at random.
    """
    origin = "ImageNet (the image tower) and random weights" if imagenet else start.origin.name
    trained = imagenet or start.origin.trained
    slower = f" (x {settings.body_rate:g} where weights come trained)" if trained else ""
    views = ", ".join(str(side) for side in settings.view_sizes_px)
    return (
        f"training {start.spec.architecture} from {origin} on {device} in "
        f"{settings.precision}: {settings.epochs} epochs of {steps} steps of "
        f"{settings.batch_size} pictures, views of {views} px, learning rate "
        f"{settings.learning_rate:g}{slower}, weight decay {settings.weight_decay:g}; kept is what "
        f"is best by {settings.choose_by} on val"
    )


def _view_sizes(start: Start, side_px: int) -> tuple[int, ...]:
    if start.kind == "clip":
        return (side_px,)
    return tuple(side for side in _COMPACT_VIEWS_PX if side <= side_px) or (side_px,)


def _licence(start: Start, usual: TrainSettings) -> str:
    """Terms of a tuned model: those of its start, and those of what it learnt from."""
    if not start.origin.trained:
        return usual.licence
    return f"{start.spec.licence}; tuned: {usual.licence}"
