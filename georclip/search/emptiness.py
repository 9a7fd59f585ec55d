"""Chips that show nothing, told by their vectors: clouds, haze, blank and black frames, noise.

A chip shows nothing where its vector lies among those of drawn pictures of nothing (the index's
reference "nothing", see `georclip.encoders.empty_pictures`): as near to one of them, or to the arc
between two of one kind, as these pictures lie to each other. How near that is depends on the
encoder, and so does what else it puts there, such as deserts beside clouds; both are looked at:

- a chip may be `_FAR` times as far, in one minus the cosine, as the median drawn picture is from
  the others;
- where that takes in more than `_BACKGROUND_SHARE` of the index's own chips, the limit is drawn
  closer until it does not, but never below `_NEAR` times: an index half of clouds is not to take
  them for ground.

numpy only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_FAR, _NEAR = 7.0, 3.0
"""Chosen on training pictures, 8,010 of RSICD and 1,283 of UCM, with the model in the box."""
_BACKGROUND_SHARE = 0.5
_LOOKED_AT = 512
"""Of the background."""
_PARALLEL = 1e-6
LEAST_PICTURES = 2
"""Each is judged by the others: beside one alone, everything would show nothing."""

_LOOKS_SO = re.compile(
    r"\b(cloud(s|y)?|overcast|haz[ey]|fog(gy)?|mist(y)?|smok[ey]|snow(s|y|ed)?|ice|icy|glaciers?"
    r"|blank|nothing|no ?data|noise|noisy|gradient)\b",
    re.IGNORECASE,
)
_ONLY_A_COLOUR = re.compile(
    r"\W*((an?|the|all|area|picture|image|chip|of|is|white|black|gr[ae]y)\b\W*)+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Emptiness:
    """What chips that show nothing look like to one encoder, in one index.

    Attributes:
        vectors: float32, (n, dim), unit length: of the drawn pictures.
        kinds: int64, (n,): equal numbers for pictures of one kind.
        cosines: float32, (n, n): between them.
        least: From this likeness on a chip shows nothing.
    """

    vectors: Vectors
    kinds: npt.NDArray[np.int64]
    cosines: npt.NDArray[np.float32]
    least: float

    def likeness(self, vectors: Vectors) -> npt.NDArray[np.float32]:
        """How like nothing chips look.

        Args:
            vectors: float32, (c, dim), unit length.

        Returns:
            float32, (c,): the cosine with the nearest point of the arcs that join the nearest
            drawn picture with the others of its kind.
        """
        return _likeness(vectors @ self.vectors.T, self.kinds, self.cosines)

    def shows_nothing(self, vectors: Vectors) -> npt.NDArray[np.bool_]:
        """Say of chips, or of a picture that is asked with, whether they show nothing.

        Args:
            vectors: float32, (c, dim), unit length.

        Returns:
            bool, (c,).
        """
        return np.asarray(self.likeness(vectors) >= self.least)


def learn_emptiness(
    labels: Sequence[str], vectors: Vectors, background: Vectors | None
) -> Emptiness:
    """Learn from drawn pictures, and from the index's own chips, what shows nothing.

    Args:
        labels: The kind of each picture, (n,).
        vectors: float32, (n, dim), unit length, n at least
            `LEAST_PICTURES`: by the index's encoder.
        background: float32, (b, dim), unit length: chips of the index, in any random order, of
            which the first are looked at; None where there are none.
    """
    numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
    kinds = np.array([numbers[label] for label in labels], dtype=np.int64)
    cosines = vectors @ vectors.T
    among = cosines.copy()
    np.fill_diagonal(among, -1.0)  # each is judged by the others
    own = _likeness(among, kinds, cosines)
    spread = 1.0 - float(np.median(own))
    least = laxest = 1.0 - _FAR * spread
    if background is not None and len(background):
        usual = _likeness(background[:_LOOKED_AT] @ vectors.T, kinds, cosines)
        wanted = float(np.quantile(usual, 1.0 - _BACKGROUND_SHARE))
        least = min(max(wanted, laxest), 1.0 - _NEAR * spread)
    return Emptiness(vectors=vectors, kinds=kinds, cosines=cosines, least=least)


def asks_for_nothing(text: str) -> bool:
    """Say whether a sentence asks for what looks like nothing.

    That is clouds, haze, smoke, snow or ice; or white, black or grey and nothing else.

    An encoder does not know it: "calm water" is nearer to a blank picture than "clouds" is.
    """
    return bool(_LOOKS_SO.search(text) or _ONLY_A_COLOUR.fullmatch(text))


def _likeness(
    near: npt.NDArray[np.float32], kinds: npt.NDArray[np.int64], cosines: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Cosines with the nearest points of arcs, from those with the arcs' ends.

    In the plane of unit vectors a and b with cosine g, what has cosines s and t with them has a
    projection of length sqrt((s^2 + t^2 - 2 s t g) / (1 - g^2)); its direction lies between a and
    b where s > g t and t > g s.

    Args:
        near: float32, (c, n): cosines of chips with pictures; -1 keeps one out.
        kinds: int64, (n,).
        cosines: float32, (n, n), between pictures.
    """
    nearest = near.argmax(axis=1)
    s = near[np.arange(len(near)), nearest][:, None]
    g = cosines[nearest]
    between = (kinds[nearest][:, None] == kinds) & (near > g * s) & (s > g * near)
    between &= 1.0 - g * g > _PARALLEL
    square = (s * s + near * near - 2 * s * near * g) / np.where(between, 1.0 - g * g, 1.0)
    arcs = np.where(between, np.sqrt(np.maximum(square, 0.0)), -1.0).max(axis=1)
    return np.asarray(np.clip(np.maximum(arcs, s[:, 0]), -1.0, 1.0), dtype=np.float32)
