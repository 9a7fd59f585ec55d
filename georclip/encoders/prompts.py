"""Templates around a phrase: "a satellite image of {}.", averaged into one direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from georclip.encoders.base import Encoder
from georclip.encoders.preprocessing import unit_rows
from georclip.encoders.registry import MODELS, STARTER
from georclip.errors import QueryError
from georclip.values import EncoderSpec

PLAIN: tuple[str, ...] = ("{}",)
"""The phrase as it stands."""
SCENES: tuple[str, ...] = (
    "{}",
    "a satellite image of {}.",
    "an aerial image of {}.",
    "a satellite photo of {}.",
)
"""Ways to say that a phrase is seen from above."""
SHORT_WORDS = 4
"""Most words of a question that is asked in templates; more are a sentence already."""


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


def templates_of(spec: EncoderSpec, phrase: str) -> tuple[str, ...]:
    """The templates that a question is asked in.

    A short phrase is put to open_clip's towers in `SCENES`: the captions that they learned from
    were whole sentences, of pictures of every kind (Radford et al. 2021, section 3.1.4).
    georclip's own towers learned from phrases and captions of scenes alone: in templates they find
    class names no better and captions worse (`tests/benchmarks/questions.py`), and are asked
    plainly, as every encoder is in a longer sentence.
    """
    known = {entry.architecture for entry in MODELS.values() if entry.name != STARTER}
    short = len(phrase.split()) <= SHORT_WORDS
    return SCENES if short and spec.architecture in known else PLAIN


def embed_question(encoder: Encoder, phrase: str) -> npt.NDArray[np.float32]:
    """Embed a question as it is asked: in templates, where they help.

    Returns:
        float32, (dim,), of unit length.

    Raises:
        QueryError: The encoder cannot embed it.
    """
    templates = templates_of(encoder.spec, phrase)
    if templates == PLAIN:
        vector: npt.NDArray[np.float32] = encoder.encode_texts([phrase])[0]
        return vector
    return encode_with_templates(encoder, phrase.rstrip(" ."), templates)


def embed_questions(encoder: Encoder, phrases: Sequence[str]) -> npt.NDArray[np.float32]:
    """Embed many questions, all of them in one call of the encoder.

    Returns:
        float32, (n, dim), rows of unit length: those of `embed_question`, but for the last bits.

    Raises:
        QueryError: The encoder cannot embed one of them.
    """
    asked = [templates_of(encoder.spec, phrase) for phrase in phrases]
    if all(templates == PLAIN for templates in asked):
        return encoder.encode_texts(phrases)
    sentences = [
        template.replace("{}", phrase.rstrip(" .") if templates != PLAIN else phrase)
        for templates, phrase in zip(asked, phrases, strict=True)
        for template in templates
    ]
    rows = encoder.encode_texts(sentences)  # (sentences, dim)
    ends = np.cumsum([len(templates) for templates in asked])
    means = [part.mean(axis=0) for part in np.split(rows, ends[:-1])]
    return unit_rows(np.stack(means))
