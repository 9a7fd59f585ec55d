"""Which epoch's weights are kept, and whether it is time to stop: from a run's history alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from georclip.training.checkpoint import EpochRecord
from georclip.training.settings import Choice, TrainSettings
from georclip.training.validation import Figures, headline


def is_best(figures: Sequence[Figures], history: Sequence[EpochRecord], choose_by: Choice) -> bool:
    """Whether weights with these figures are at least as good as all before them.

    Of equal ones the later are kept: they have learnt for longer. Without figures, too.
    """
    earlier = [headline(past.figures, choose_by) for past in history if past.figures]
    return not figures or headline(figures, choose_by) >= max(earlier, default=-math.inf)


def kept_epoch(history: Sequence[EpochRecord], choose_by: Choice) -> EpochRecord:
    """The epoch whose weights are kept: the last of the best, or the last where none is measured.

    Args:
        history: At least one epoch.
        choose_by: The figure that decides.
    """
    measured = [record for record in history if record.figures]
    if not measured:
        return history[-1]
    return max(measured, key=lambda record: (headline(record.figures, choose_by), record.epoch))


def is_time_to_stop(history: Sequence[EpochRecord], settings: TrainSettings) -> bool:
    """Whether `patience` figures in a row brought nothing better."""
    best, waited = -math.inf, 0
    for record in history:
        if not record.figures:
            continue
        found = headline(record.figures, settings.choose_by)
        waited = 0 if found > best else waited + 1
        best = max(best, found)
    return 0 < settings.patience <= waited
