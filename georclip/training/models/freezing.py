"""Which weights learn: parts of the towers held, or low-rank changes beside held weights."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from georclip.errors import EncoderError
from georclip.training.models.low_rank import add_low_rank, check_peft
from georclip.training.settings import Frozen
from georclip.training.trainable import Block, Trainable


def choose_learning(model: Trainable, frozen: Frozen, lora_rank: int) -> tuple[nn.Module, ...]:
    """Hold the weights that shall not learn.

    Args:
        model: Changed in place where `lora_rank` asks for it.
        frozen: A tower, or how many of the image tower's first blocks.
        lora_rank: Above 0, only low-rank changes of the other parts' projections learn, and the
            temperature.

    Returns:
        Modules to keep in evaluation mode, since statistics of what is held stay as well.

    Raises:
        EncoderError: There are fewer blocks, or nothing that LoRA could adapt.
    """
    held = _hold(_chosen(model, frozen))
    if not lora_rank:
        return held
    names = model.projections()
    weights = dict(model.module.named_parameters())
    names = tuple(name for name in names if weights[f"{name}.weight"].requires_grad)
    if not names:
        raise EncoderError("--lora: no linear layer that is not frozen is left to adapt")
    _hold((model.image_tower(), model.text_tower()))
    add_low_rank(model.module, names, lora_rank)
    return (model.module,)


def check_learning(model: Trainable, frozen: Frozen, lora_rank: int) -> None:
    """Refuse what `choose_learning` would refuse, as far as that can be told beforehand.

    Raises:
        EncoderError: There are fewer blocks, or peft is not installed.
    """
    _chosen(model, frozen)
    if lora_rank:
        check_peft()


def moves_statistics(model: Trainable, held: tuple[nn.Module, ...]) -> bool:
    """Whether running statistics of batch normalisation change while a model learns."""
    still = {layer for module in held for layer in module.modules()}
    return any(
        isinstance(layer, _BatchNorm) and layer.track_running_stats and layer not in still
        for layer in model.module.modules()
    )


def set_training(model: Trainable, held: tuple[nn.Module, ...]) -> None:
    """Put a model into training mode, and what is held into evaluation mode."""
    model.module.train()
    for module in held:
        module.eval()


def _chosen(model: Trainable, frozen: Frozen) -> tuple[Block, ...]:
    if frozen == "none":
        return ()
    if frozen == "image":
        return (model.image_tower(),)
    if frozen == "text":
        return (model.text_tower(),)
    blocks = model.image_blocks()
    if not blocks:
        raise EncoderError(
            f"--freeze {frozen}: the blocks of {model.spec.architecture} are not known; "
            "--freeze image holds its whole image tower"
        )
    if frozen > len(blocks):
        raise EncoderError(
            f"--freeze {frozen}: {model.spec.architecture} has an image tower of {len(blocks)} "
            "blocks, the stem included; --freeze image holds all of it"
        )
    return tuple(blocks[:frozen])


def _hold(blocks: tuple[Block, ...]) -> tuple[nn.Module, ...]:
    for block in blocks:
        for module in block.modules:
            module.requires_grad_(requires_grad=False)
        for value in block.parameters:
            value.requires_grad = False
    return tuple(module for block in blocks for module in block.modules)
