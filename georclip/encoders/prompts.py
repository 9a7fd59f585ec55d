"""Templates around a phrase: "a satellite image of {}.", averaged into one direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from georclip.encoders.base import Encoder
from georclip.encoders.preprocessing import unit_rows
from georclip.errors import QueryError

PLAIN: tuple[str, ...] = ("{}",)
"""The phrase as it stands."""
SCENES: tuple[str, ...] = (
    "{}",
    "a satellite image of {}.",
    "an aerial image of {}.",
    "a satellite photo of {}.",
)
"""Ways to say that a phrase is seen from above."""


def encode_with_templates(
    encoder: Encoder, text: str, templates: Sequence[str] = SCENES
) -> npt.NDArray[np.float32]:
    """Embed a phrase in every template, average the unit vectors, scale to unit length again.

    Averaging after normalising is what open_clip's zero-shot classifier does.

    Args:
        encoder: Either kind.
        text: The phrase.
        templates: Each with one `{}` where the phrase goes.

    Returns:
        float32, (dim,), of unit length.

    Raises:
        QueryError: No template, one without `{}`, or a phrase that the encoder cannot embed.
    """
    wrong = [template for template in templates if template.count("{}") != 1]
    if wrong or not templates:
        raise QueryError(
            f"a template needs one {{}} where the phrase goes: {wrong or 'none given'}"
        )
    if not text.strip():
        raise QueryError("the question is empty: say in words what to look for")
    sentences = [template.replace("{}", text) for template in templates]
    # The phrase alone goes first: known words of a template must not hide that it has none.
    rows = encoder.encode_texts([text, *sentences])[1:]  # (templates, dim)
    direction: npt.NDArray[np.float32] = unit_rows(rows.mean(axis=0, keepdims=True))[0]
    return direction
