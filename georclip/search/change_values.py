"""What changed between two times: the question, its answer, and each place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from georclip.values import Chip, DateRange, EncoderSpec, Query, Scene

Direction = Literal["rose", "fell", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQuery:
    """What is asked of two times.

    Attributes:
        query: The sentence, where, of which scenes, and how many places; its dates are None.
        from_: Acquisition times to compare from.
        to: Acquisition times to compare to. None of the index's lies in both.
        direction: Places where the score rose, where it fell, or both.
    """

    query: Query
    from_: DateRange
    to: DateRange
    direction: Direction = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A place at one of the two times.

    Attributes:
        score: Cosine of question and place, in [-1, 1]: the mean over the acquisitions.
        acquisitions: When it was taken, UTC, ascending; at least once.
        chip: What shows most of the place's ground; of equal ones the latest.
        scene: The scene that it was cut from.
    """

    score: float
    acquisitions: tuple[datetime, ...]
    chip: Chip
    scene: Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A place where the score rose or fell.

    Attributes:
        rank: From 1.
        change: Rise of the score beyond what the acquisitions' scores rose everywhere.
        change_z: The change in robust standard deviations over all places that were compared;
            None where they are too few to tell.
        rank_change: What rank sorts by: the change of the evidence that the place answers the
            question. It has the sign of the change.
        chip: The chip whose ground the place is; one of the sides'.
        from_: The place at the first time.
        to: The place at the second time.
    """

    rank: int
    change: float
    change_z: float | None
    rank_change: float
    chip: Chip
    from_: Side
    to: Side

    @property
    def shift(self) -> float:
        """What the acquisitions' scores rose everywhere, and the place's with them."""
        return self.to.score - self.from_.score - self.change


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeResult:
    """The answer to a question about two times.

    Attributes:
        asked: As asked.
        changes: The largest change first.
        encoder: What made the vectors.
        places: Places that both times show, and that were compared.
        elapsed_s: Wall time from question to answer, s.
    """

    asked: ChangeQuery
    changes: tuple[Change, ...]
    encoder: EncoderSpec
    places: int
    elapsed_s: float
