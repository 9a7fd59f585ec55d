"""What the background of an index has to be, said once more in a few lines."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from georclip.index import background, sampling
from georclip.index.background import read_sample
from georclip.index.store import IndexStore


def smaller(patch: pytest.MonkeyPatch, sample: int, reserve: int) -> None:
    """Let backgrounds be small, so that few chips fill them."""
    for module in (background, sampling):
        patch.setattr(module, "SAMPLE", sample)
        patch.setattr(module, "RESERVE", reserve)


def key(chip_id: str) -> int:
    """The seeded hash of an id."""
    digest = hashlib.blake2b(chip_id.encode(), digest_size=8, key=b"georclip background 1").digest()
    return int.from_bytes(digest, "little")


def check_background(store: IndexStore) -> None:
    """See that the background is the sample of the index's chips, with their vectors and scales."""
    chips = [chip for chip, _ in store.fetch(store.select().rows)]
    chosen = sorted(chips, key=lambda chip: (key(chip.chip_id), chip.chip_id))[: background.SAMPLE]
    found = store.background()
    assert store.info().background_count == len(chosen)
    if not chosen:
        assert found is None
        return
    assert found is not None
    expected = store.vectors([store.row_of(chip.chip_id) for chip in chosen])
    np.testing.assert_array_equal(found.vectors, expected)
    assert found.scales.tolist() == [np.float32(chip.scale) for chip in chosen]
    ids = read_sample(store.path / "background.npy", store.encoder.dim).candidates.chip_ids
    assert [name.decode() for name in ids.tolist()][: len(chosen)] == [c.chip_id for c in chosen]
