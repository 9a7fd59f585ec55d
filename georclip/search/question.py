"""A question as the engine compares it: one direction, and the terms that it is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from georclip.values import TermKind

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One term of a question.

    Attributes:
        kind: What it was made from.
        label: The term in words.
        vector: float32, (dim,), unit length.
        weight: Positive for wanted, negative for unwanted.
    """

    kind: TermKind
    label: str
    vector: Vector
    weight: float = 1.0

    @property
    def is_picture(self) -> bool:
        """Whether it was made from pixels: a file's, or a chip's."""
        return self.kind != "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What chips are compared with.

    Attributes:
        direction: float32, (dim,), unit length: chips rank by the cosine with it, which is a
            hit's score. `combining` makes one of several terms.
        parts: The terms; one for a plain sentence.
    """

    direction: Vector
    parts: tuple[Part, ...]


def single(part: Part) -> Question:
    """A question of one term."""
    return Question(direction=part.vector, parts=(part,))
