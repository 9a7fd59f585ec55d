"""LoRA (Hu et al. 2022): learn a low-rank change of linear layers instead of their weights."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence

from torch import Tensor, nn

from georclip.encoders.checkpoints import State
from georclip.errors import EncoderError

_ADAPTER = "default"
_DOWN, _UP = f".lora_A.{_ADAPTER}.weight", f".lora_B.{_ADAPTER}.weight"
_BASE = ".base_layer."


def check_peft() -> None:
    """Look for peft without the seconds that importing it takes.

    Raises:
        EncoderError: It is not installed.
    """
    if importlib.util.find_spec("peft") is None:
        raise EncoderError('--lora needs peft: pip install "georclip[train]"')


def add_low_rank(module: nn.Module, names: Sequence[str], rank: int) -> None:
    """Put a change of low rank beside linear layers, through peft; it starts as none.

    The layers' own weights no longer learn. The change counts once (alpha is the rank), so that
    the learning rate means the same for every rank.

    Args:
        module: Changed in place.
        names: Of `nn.Linear` modules in it.
        rank: Of the change.

    Raises:
        EncoderError: peft is not installed.
    """
    check_peft()
    from peft import LoraConfig, inject_adapter_in_model

    asked = "|".join(re.escape(name) for name in names)  # in full: peft matches ends of names
    config = LoraConfig(
        r=rank, lora_alpha=rank, target_modules=asked, lora_dropout=0.0, bias="none"
    )
    learning = {name for name, value in module.named_parameters() if value.requires_grad}
    inject_adapter_in_model(config, module, adapter_name=_ADAPTER)
    for name, value in module.named_parameters():  # peft stops all others; what learnt goes on
        value.requires_grad_(name in learning or ".lora_" in name)


def merged(state: State) -> State:
    """Add low-rank changes to the weights beside which they stand, under the weights' own names.

    Args:
        state: Of a module, with low-rank changes or without.

    Returns:
        As the module would be without them: W + B A.
    """
    plain: State = {}
    for name, value in state.items():
        if _DOWN in name or _UP in name:
            continue
        plain[name.replace(_BASE, ".")] = value + _change(state, name) if _is_base(name) else value
    return plain


def _is_base(name: str) -> bool:
    return name.endswith(f"{_BASE}weight")


def _change(state: State, name: str) -> Tensor:
    layer = name.removesuffix(f"{_BASE}weight")
    return state[layer + _UP] @ state[layer + _DOWN]
