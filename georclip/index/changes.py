"""Changes of what an index holds: each writes new files first, then one catalog transaction.

The transaction is the commit point. A kill before it leaves files that no catalog knows, a
kill behind it leaves files that no catalog knows any more and a manifest that lags; both are
put right when the index is next opened for writing. Only the one writer calls these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from georclip.errors import GeorclipError
from georclip.index.catalog import Catalog
from georclip.index.chiptable import ChipTable, digest_text, table_digest
from georclip.index.files import Layout
from georclip.index.hilbert import hilbert_order
from georclip.index.joined import JoinedVectors
from georclip.index.records import CommitReport, IndexedScene, SegmentRecord
from georclip.index.segments import (
    LISTED_ROWS,
    RowSource,
    mergeable_tail,
    segment_rows,
    slices,
    write_segment,
)
from georclip.index.staging import StagingArea
from georclip.index.view import View
from georclip.values import Scene

_DIGEST_ROWS = 4_096

Progress = Callable[[int, int], None]
"""Called with (rows written, rows in all)."""


def commit_scene(
    layout: Layout,
    catalog: Catalog,
    view: View,
    area: StagingArea,
    *,
    scene: Scene,
    fingerprint: str,
    skipped: Mapping[str, int],
    dim: int,
) -> CommitReport:
    """Make a staged scene visible, instead of older states of it and of what lay at its uri.

    Its rows lie in Hilbert order of their centres.

    Args:
        layout: The index.
        catalog: Its catalog.
        view: What it holds now.
        area: The scene's chips, complete.
        scene: The scene.
        fingerprint: Plan, bands and stretch of the chips.
        skipped: Planned chips left out, by reason.
        dim: Length of a vector.
    """
    chips, vectors = area.chips(), area.vectors()
    bounds = chips.bounds()
    order = hilbert_order(bounds)
    chips, bounds = chips.take(order), bounds[order]
    number = catalog.peek_number("next_scene")
    replaced = _replaced_by(catalog, scene)
    gone = wholly_dead(view, [old.number for old in replaced])
    tail, written = _write_rows(
        layout,
        catalog,
        view,
        gone,
        vectors=vectors,
        order=order,
        bounds=bounds,
        number=number,
        dim=dim,
    )
    indexed = IndexedScene(
        scene=scene,
        number=number,
        plan_fingerprint=fingerprint,
        chip_count=len(chips),
        skipped=dict(skipped),
        digest=_digest(chips, vectors, order),
        indexed_at=datetime.now(UTC),
    )
    with catalog.transaction():
        for old in replaced:
            catalog.remove_scene(old.number)
        catalog.drop_segments(gone, with_tombstones=True)
        catalog.drop_segments(tail, with_tombstones=False)
        catalog.take_number("next_scene")
        catalog.add_scene(indexed)
        catalog.add_chips(number, catalog.take_number("next_row", len(chips)), chips)
        _enter(catalog, written)
    return CommitReport(scene=indexed, chips=len(chips), replaced=replaced)


def _write_rows(
    layout: Layout,
    catalog: Catalog,
    view: View,
    gone: Iterable[SegmentRecord],
    *,
    vectors: JoinedVectors,
    order: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.float64],
    number: int,
    dim: int,
) -> tuple[tuple[SegmentRecord, ...], list[SegmentRecord]]:
    """Write a scene's rows, merged with small neighbours; what they replace, and what is new."""
    if len(order) == 0:
        return (), []
    next_row = catalog.peek_number("next_row")
    staying = [s for s in view.segments if s.record not in set(gone)]
    records = [segment.record for segment in staying]
    tail = (
        mergeable_tail(records, len(order), next_row, dim)
        if len(order) <= segment_rows(dim)
        else ()
    )
    old = staying[len(staying) - len(tail) :]
    count = sum(record.row_count for record in tail)
    unsorted_bounds = np.empty_like(bounds)
    unsorted_bounds[order] = bounds
    source = RowSource(
        vectors=JoinedVectors([*(s.vectors.codes for s in old), *vectors.parts], dim),
        bounds=np.concatenate([*(s.columns.bounds for s in old), unsorted_bounds]),
        scenes=np.concatenate(
            [*(s.columns.scenes for s in old), np.full(len(order), number, dtype=np.int64)]
        ),
    )
    full_order = np.concatenate([np.arange(count, dtype=np.int64), order + count])
    first_row = tail[0].first_row if tail else next_row
    return tail, _write_slices(layout, catalog, source, full_order, first_row, with_lists=False)


def _write_slices(
    layout: Layout,
    catalog: Catalog,
    source: RowSource,
    order: npt.NDArray[np.int64],
    first_row: int,
    *,
    with_lists: bool,
    progress: Progress | None = None,
) -> list[SegmentRecord]:
    number, dim = catalog.peek_number("next_segment"), source.vectors.dim
    written = []
    for i, (start, end) in enumerate(slices(len(order), dim)):
        if progress is not None:
            progress(start, len(order))
        written.append(
            write_segment(
                layout, number + i, first_row + start, source, order[start:end], dim=dim,
                with_lists=with_lists,
            )
        )  # fmt: skip
    if progress is not None:
        progress(len(order), len(order))
    return written


def _enter(catalog: Catalog, written: list[SegmentRecord]) -> None:
    catalog.take_number("next_segment", len(written))
    for segment in written:
        catalog.add_segment(segment)


def remove_scenes(catalog: Catalog, view: View, scenes: tuple[IndexedScene, ...]) -> None:
    """Take scenes out; segments of which nothing is left go with them."""
    gone = wholly_dead(view, [scene.number for scene in scenes])
    with catalog.transaction():
        for scene in scenes:
            catalog.remove_scene(scene.number)
        catalog.drop_segments(gone, with_tombstones=True)


def move_scene(catalog: Catalog, view: View, scene: Scene) -> IndexedScene:
    """Record that a scene lies at `scene.uri` now; what the index had there is taken out.

    Returns:
        The scene as it was.

    Raises:
        GeorclipError: The index does not hold a scene with this scene_id.
    """
    old = catalog.scene_by(scene_id=scene.scene_id)
    if old is None:
        raise GeorclipError(f"{scene.uri} is not in the index; index it first")
    there = catalog.scene_by(uri=scene.uri)
    replaced = () if there is None or there.number == old.number else (there,)
    gone = wholly_dead(view, [scene.number for scene in replaced])
    moved = dataclasses.replace(
        old.scene,
        uri=scene.uri,
        name=scene.name,
        acquired=scene.acquired or old.scene.acquired,
    )
    with catalog.transaction():
        for scene_there in replaced:
            catalog.remove_scene(scene_there.number)
        catalog.drop_segments(gone, with_tombstones=True)
        catalog.update_scene(dataclasses.replace(old, scene=moved))
    return old


def relocate_scenes(catalog: Catalog, old: str, new: str) -> int:
    """Rewrite uris that are `old`, or lie below it, to `new`; how many.

    Raises:
        GeorclipError: No scene matches, or another scene has a new uri already.
    """
    scenes = catalog.scenes()
    moves = {s.number: uri for s in scenes if (uri := _relocated(s.scene.uri, old, new))}
    if not moves:
        raise GeorclipError(f"no scene in the index is {old} or lies below it; see `georclip list`")
    uris = [moves.get(scene.number, scene.scene.uri) for scene in scenes]
    doubled = sorted({uri for uri in uris if uris.count(uri) > 1}) if len(moves) else []
    if doubled:
        raise GeorclipError(f"two scenes would lie at {doubled[0]}; remove one of them first")
    with catalog.transaction():
        for pass_name in ("parked", "final"):  # a uri may be free only once another has moved
            for scene in scenes:
                if scene.number in moves:
                    uri = moves[scene.number]
                    parked = f"\0{uri}" if pass_name == "parked" else uri
                    name = uri.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
                    moved = dataclasses.replace(scene.scene, uri=parked, name=name)
                    catalog.update_scene(dataclasses.replace(scene, scene=moved))
    return len(moves)


def _relocated(uri: str, old: str, new: str) -> str | None:
    """Where a uri lies after `old` became `new`; None where it is not concerned."""
    if uri == old:
        return new
    stem = old.rstrip("/\\")
    if stem and uri.startswith((f"{stem}/", f"{stem}\\")):
        return new.rstrip("/\\") + uri[len(stem) :]
    return None


def compact_rows(
    layout: Layout, catalog: Catalog, view: View, dim: int, progress: Progress | None = None
) -> None:
    """Write all rows anew, without tombstones and in Hilbert order of their centres.

    Rows get numbers never used before, so that a reader of an older state can tell. A large index
    gets inverted files.
    """
    if not view.segments:
        return
    live = [view.live_positions(segment) for segment in view.segments]
    starts = np.cumsum([0, *(segment.record.row_count for segment in view.segments)])
    kept = np.concatenate([p + start for p, start in zip(live, starts[:-1], strict=True)])
    rows = np.concatenate([p + s.first_row for p, s in zip(live, view.segments, strict=True)])
    source = RowSource(
        vectors=JoinedVectors([segment.vectors.codes for segment in view.segments], dim),
        bounds=np.concatenate([segment.columns.bounds for segment in view.segments]),
        scenes=np.concatenate([segment.columns.scenes for segment in view.segments]),
    )
    along = hilbert_order(source.bounds[kept])
    first_row = catalog.peek_number("next_row")
    written = _write_slices(
        layout,
        catalog,
        source,
        kept[along],
        first_row,
        with_lists=len(kept) >= LISTED_ROWS,
        progress=progress,
    )
    with catalog.transaction():
        catalog.take_number("next_row", len(kept))
        catalog.renumber(rows[along], first_row)
        catalog.drop_segments([s.record for s in view.segments], with_tombstones=False)
        _enter(catalog, written)


def wholly_dead(view: View, scene_numbers: Iterable[int]) -> list[SegmentRecord]:
    """Segments in which no chip is left once these scenes are gone."""
    numbers = np.array(list(scene_numbers), dtype=np.int64)
    if len(numbers) == 0:
        return []
    gone = []
    for segment in view.segments:
        left = segment.columns.scenes[view.live_positions(segment)]
        if np.isin(left, numbers).all():
            gone.append(segment.record)
    return gone


def _replaced_by(catalog: Catalog, scene: Scene) -> tuple[IndexedScene, ...]:
    """What makes way for a scene: the same uri, or the same contents elsewhere."""
    found = (catalog.scene_by(uri=scene.uri), catalog.scene_by(scene_id=scene.scene_id))
    return tuple({old.number: old for old in found if old is not None}.values())


def _digest(chips: ChipTable, vectors: JoinedVectors, order: npt.NDArray[np.int64]) -> str:
    """The scene's digest; `chips` are in `order` already."""
    total = 0
    for start in range(0, len(order), _DIGEST_ROWS):
        end = min(start + _DIGEST_ROWS, len(order))
        some = chips.take(np.arange(start, end, dtype=np.int64))
        total += table_digest(some, vectors.take(order[start:end]))
    return digest_text(total)
