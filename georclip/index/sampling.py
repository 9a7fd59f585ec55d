"""Which chips are in the background, kept up to date scene by scene."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from georclip.errors import IndexCorruptError
from georclip.index.background import (
    RESERVE,
    SAMPLE,
    Candidates,
    Sample,
    empty_sample,
    pack_sample,
    read_sample,
)
from georclip.index.catalog import Catalog
from georclip.index.files import FileRecord, Layout, record_of, write_atomically
from georclip.index.runs import RowRuns
from georclip.index.view import View

_SEED = b"georclip background 1"
TOLERANCE = 0.01
"""Share of an index's chips that may come or go before its background is written anew."""
_NO_LIMIT = np.uint64(2**64 - 1)


def is_behind(sampled: npt.NDArray[np.int64], catalog: Catalog) -> bool:
    """Whether so many chips came or went that scores should be judged by another sample.

    Args:
        sampled: The scenes of `Sample`.
        catalog: What the index holds now.
    """
    now, before = catalog.scene_numbers(), sampled[:, 0]
    if np.array_equal(now, before):
        return False
    staying = np.isin(before, now)
    came = catalog.chips_in_scenes(np.setdiff1d(now, before))
    went, stayed = int(sampled[~staying, 1].sum()), int(sampled[staying, 1].sum())
    return came + went > TOLERANCE * (came + stayed)


def keep_background(
    layout: Layout, catalog: Catalog, view: View, dim: int
) -> tuple[npt.NDArray[np.int64], FileRecord | None]:
    """Make background.npy the sample of what the catalog holds now, where it is not.

    Args:
        layout: The index.
        catalog: Its catalog.
        view: The newest state.
        dim: Length of a vector.

    Returns:
        The scenes of the sample, and the file where it was written; None where it stays as it is,
        or there is nothing to sample.

    Raises:
        IndexCorruptError: A vector that belongs into it cannot be read.
        OSError: It cannot be written.
    """
    known = _known_sample(layout, dim)
    empty = empty_sample(dim)
    if known is None and len(catalog.scene_numbers()) == 0 and not layout.background.exists():
        return empty.scenes, None
    try:
        sample = updated(known or empty, catalog, view)
    except IndexCorruptError:  # what is on record may be wrong: begin anew
        sample = updated(empty, catalog, view)
    if sample is known:
        return known.scenes, None
    data = pack_sample(sample)
    write_atomically(layout.background, data)
    return sample.scenes, record_of(layout, layout.background, data)


def _known_sample(layout: Layout, dim: int) -> Sample | None:
    try:
        return read_sample(layout.background, dim)
    except (FileNotFoundError, ValueError):
        return None


def updated(known: Sample, catalog: Catalog, view: View) -> Sample:
    """The sample of what a catalog holds now, from that of an earlier state; the same if it is.

    A scene keeps its chips as long as it has its number, and no number is given twice: scenes that
    are gone leave, new ones are read from the catalog. Only where too many left is all read again.

    Raises:
        IndexCorruptError: Chips on record are not in the catalog, or their vectors are damaged.
    """
    now, before = catalog.scene_numbers(), known.scenes[:, 0]
    if np.array_equal(now, before):
        return known
    staying = np.isin(before, now)
    counts = dict(known.scenes[staying].tolist())
    kept = known.candidates
    limit = _NO_LIMIT if len(kept) == known.chip_count else kept.keys[-1]
    kept = kept.take(np.isin(kept.scenes, now))
    for number in np.setdiff1d(now, before).tolist():
        chip_ids = catalog.chip_ids_of_scene(number)
        counts[number] = len(chip_ids)
        kept = _merged(kept, _first_of(number, chip_ids, limit))
        if len(kept) > RESERVE:
            kept = kept.take(slice(0, RESERVE))
            limit = kept.keys[-1]
    scenes = np.array(sorted(counts.items()), dtype=np.int64).reshape(-1, 2)
    if len(kept) < min(SAMPLE, int(scenes[:, 1].sum())):
        return updated(empty_sample(known.vectors.shape[1]), catalog, view)
    return _with_vectors(kept, scenes, known, catalog, view)


def keys_of(chip_ids: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """Seeded hashes of ids, uint64, (n,): BLAKE2b with a key."""
    hashes = [blake2b(chip_id, digest_size=8, key=_SEED).digest() for chip_id in chip_ids]
    return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.uint64)


def _first_of(number: int, chip_ids: Sequence[str], limit: np.uint64) -> Candidates:
    """Those of a scene's chips whose hashes are not above a limit."""
    encoded = [chip_id.encode() for chip_id in chip_ids]
    keys = keys_of(encoded)
    chosen = np.flatnonzero(keys <= limit)
    names = [encoded[position] for position in chosen.tolist()]
    return Candidates(
        keys=keys[chosen],
        chip_ids=np.array(names, dtype=np.bytes_),
        scenes=np.full(len(chosen), number, dtype=np.int64),
    )


def _merged(one: Candidates, other: Candidates) -> Candidates:
    """Two lists as one, in order."""
    both = Candidates(
        keys=np.concatenate([one.keys, other.keys]),
        chip_ids=np.concatenate([one.chip_ids, other.chip_ids]),
        scenes=np.concatenate([one.scenes, other.scenes]),
    )
    return both.take(np.lexsort((both.chip_ids, both.keys)))


def _with_vectors(
    candidates: Candidates,
    scenes: npt.NDArray[np.int64],
    known: Sample,
    catalog: Catalog,
    view: View,
) -> Sample:
    """A sample of the first of these chips; only vectors that it did not have are read."""
    first, had = candidates.take(slice(0, SAMPLE)), known.candidates.take(slice(0, SAMPLE))
    vectors = np.empty((len(first), known.vectors.shape[1]), dtype=np.float16)
    scales = np.empty(len(first), dtype=np.float32)
    missing = np.ones(len(first), dtype=np.bool_)
    if len(had):
        places = np.minimum(np.searchsorted(had.keys, first.keys), len(had) - 1)
        same = had.take(places)
        missing = (same.chip_ids != first.chip_ids) | (same.scenes != first.scenes)
        vectors[~missing] = known.vectors[places[~missing]]
        scales[~missing] = known.scales[places[~missing]]
    rows, scales[missing] = catalog.rows_and_scales(
        [chip_id.decode() for chip_id in first.chip_ids[missing].tolist()]
    )
    vectors[missing] = _stored(view, rows, vectors.shape[1])
    return Sample(vectors=vectors, scales=scales, candidates=candidates, scenes=scenes)


def _stored(view: View, rows: npt.NDArray[np.int64], dim: int) -> npt.NDArray[np.float16]:
    """Stored vectors of rows in their order."""
    ascending, back = np.unique(rows, return_inverse=True)
    parts = [s.vectors.take(positions) for s, positions in view.split(RowRuns.of(ascending))]
    return np.concatenate([np.empty((0, dim), dtype=np.float16), *parts])[back]
