"""What indexing one scene came to, and what it spent its time on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from georclip.scenes.reader import SkipCounts
    from georclip.values import Scene

Outcome = Literal["added", "replaced", "unchanged", "moved", "redated"]
Part = Literal["reading", "encoding", "writing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneReport:
    """What indexing one scene came to.

    Attributes:
        scene: The scene as it now stands in the index.
        outcome: "added", "replaced" (it had changed), "unchanged", "moved" (to a new
            uri) or "redated" (only its time is another).
        recut: Replaced with the same pixels: only plan, bands or stretch are others.
        chips: Chips of this scene in the index.
        skipped: Planned chips left out, by reason.
        encoded: Chips that this run read and encoded; fewer, where it went on from another.
        elapsed_s: Wall time, s.
        reading_s: Time the reader was at work, s. The parts work side by side: a part's time
            counts its waiting for the disk or for a core, but not for another part.
        encoding_s: Time the encoder was at work, s.
        writing_s: Time spent on staging and commit, s.
    """

    scene: Scene
    outcome: Outcome
    recut: bool
    chips: int
    skipped: SkipCounts
    encoded: int
    elapsed_s: float
    reading_s: float
    encoding_s: float
    writing_s: float

    @property
    def rates(self) -> dict[Part, float]:
        """Chips per second of each part while it was at work; the slowest was the limit."""
        seconds: dict[Part, float] = {
            "reading": self.reading_s,
            "encoding": self.encoding_s,
            "writing": self.writing_s,
        }
        return {part: self.encoded / max(spent, 1e-6) for part, spent in seconds.items()}

    @property
    def limit(self) -> Part | None:
        """The part that the others waited for; None where nothing was encoded."""
        if not self.encoded:
            return None
        rates = self.rates
        return min(rates, key=lambda part: rates[part])
