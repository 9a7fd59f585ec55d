"""A scene under way, as those see it who fill it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.index.files import saying_where
from georclip.index.records import CommitReport
from georclip.index.staging import StagingArea, sum_counts
from georclip.values import Chip

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class SceneStaging:
    """A scene under way. From `IndexStore.stage`."""

    def __init__(
        self,
        area: StagingArea,
        root: Path,
        commit: Callable[[StagingArea, Mapping[str, int]], CommitReport],
    ) -> None:
        self._area = area
        self._root = root
        self._commit = commit
        self._skipped_before = self._area.skipped_before

    @property
    def next_number(self) -> int:
        """Planned number of the chip to go on from; 0 for a fresh start."""
        return self._area.next_number

    @property
    def skipped_before(self) -> Mapping[str, int]:
        """Planned chips that earlier runs left out, by reason."""
        return self._skipped_before

    def append(
        self,
        last_number: int,
        chips: Sequence[Chip],
        vectors: npt.NDArray[np.float32],
        *,
        skipped: Mapping[str, int] | DataclassInstance | None = None,
    ) -> None:
        """Take a batch; it is safe on disk within some thousand chips or a minute.

        Args:
            last_number: Planned number of the batch's last chip.
            chips: n chips, in planned order.
            vectors: float32, (n, dim).
            skipped: Planned chips that this run left out so far, by reason.
        """
        total = sum_counts(self._skipped_before, _counts(skipped))
        with saying_where(self._root, "stage chips in"):
            self._area.append(last_number, chips, vectors, total)

    def commit(self, skipped: Mapping[str, int] | DataclassInstance | None = None) -> CommitReport:
        """Make the scene visible, whole, in place of an older state of it.

        Args:
            skipped: Planned chips that this run left out, by reason.
        """
        total = sum_counts(self._skipped_before, _counts(skipped))
        return self._commit(self._area, total)

    def flush(self) -> None:
        """Bring what was appended to disk now."""
        with saying_where(self._root, "stage chips in"):
            self._area.flush()


def _counts(skipped: Mapping[str, int] | DataclassInstance | None) -> dict[str, int]:
    """Counts by reason, from a mapping or a dataclass of whole numbers."""
    if skipped is None:
        return {}
    entries = skipped if isinstance(skipped, Mapping) else dataclasses.asdict(skipped)
    return {str(reason): int(n) for reason, n in entries.items()}
