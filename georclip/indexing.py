"""Scene to encoder to index: reading, encoding and writing overlap."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from georclip.errors import EncoderError
from georclip.index.store import plan_fingerprint
from georclip.pipeline import Clocks, overlap
from georclip.scene_report import SceneReport
from georclip.scenes.chips import resolve_plan
from georclip.scenes.reader import ChipReader, PlannedChip, SkipCounts

if TYPE_CHECKING:
    import numpy.typing as npt

    from georclip.encoders.base import Encoder
    from georclip.index.records import IndexedScene
    from georclip.index.store import IndexStore, SceneStaging
    from georclip.scenes.chips import ResolvedPlan
    from georclip.values import Chip, ChipPlan, Scene

log = logging.getLogger("georclip")

Progress = Callable[[int, int], None]
"""Called with (planned chips done, planned chips in all) as a scene proceeds."""

DEFAULT_BATCH = 64
_READERS = 4  # where a GPU leaves the cores to them
BATCH_SHARE = 32  # a batch of pixels may take this part of the memory allowed; four are about
ROW_BYTES = 234  # catalog and columns per chip on disk, beside its vector: measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What indexing would take.

    Attributes:
        chips: Planned chips, before any is skipped.
        index_bytes: Growth of the index on disk, bytes.
        seconds: Time to encode them at the speed just measured, s.
    """

    chips: int
    index_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Chips in planned order, with their pixels, as the reader hands them on.

    Attributes:
        chips: n chips.
        last_number: Planned number of the last one.
        skipped: What the reader had left out by then.
        groups: Chips of one shape each: their positions in `chips`, and uint8 RGB
            (m, 3, height, width).
    """

    chips: list[Chip]
    last_number: int
    skipped: SkipCounts
    groups: list[tuple[list[int], npt.NDArray[np.uint8]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoded:
    """Chips and their vectors, float32 (n, dim); without pixels, so that waiting costs little."""

    chips: list[Chip]
    last_number: int
    skipped: SkipCounts
    vectors: npt.NDArray[np.float32]


def index_scene(
    store: IndexStore,
    encoder: Encoder,
    scene: Scene,
    plan: ChipPlan,
    *,
    memory_bytes: int,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> SceneReport:
    """Bring one scene into the index, whole or not at all.

    A run that was killed goes on from the last part that was staged.

    Args:
        store: An index opened for writing.
        encoder: The encoder that the index was made with.
        scene: From `open_scene`.
        plan: How to cut it.
        memory_bytes: Bound on the buffers of reading and encoding, bytes.
        batch_size: Most chips encoded at once; None chooses.
        progress: Told how far it is.

    Raises:
        EncoderMismatchError: The index was made with another encoder.
        SceneError: The scene cannot be read to its end; what is staged is kept.
    """
    started = time.perf_counter()
    store.check_encoder(encoder.spec)
    fingerprint = plan_fingerprint(plan, scene.rendering)
    status = store.scene_status(scene, fingerprint)
    if status in ("same", "moved", "redated"):
        return _keep_chips(store, scene, status, started)
    spec = encoder.spec
    resolved = resolve_plan(scene, plan, spec.ground_size_m, spec.image_size_px)
    for note in resolved.notes:
        log.info("%s: %s", scene.name, note)
    liked = max(DEFAULT_BATCH, getattr(encoder, "batch_size", 0))  # a GPU takes more at once
    size = _batch_size(resolved, spec.image_size_px, memory_bytes, batch_size or liked)
    clocks = Clocks()
    with store.stage(scene, fingerprint) as staging:
        if staging.next_number:
            log.info("%s: going on from chip %d", scene.name, staging.next_number)
        reader = ChipReader(
            scene,
            resolved,
            memory_bytes=memory_bytes // 4,
            max_side_px=4 * spec.image_size_px,
            start=staging.next_number,
            threads=_READERS if encoder.device.startswith("cuda") else 1,
        )
        encoded = _stage_chips(staging, reader, encoder, size, clocks, progress)
        with clocks.writing.running():
            committed = staging.commit(reader.skipped)
    for note in reader.notes:
        log.info("%s: %s", scene.name, note)
    return SceneReport(
        scene=committed.scene.scene,
        outcome="added" if status == "new" else "replaced",
        recut=status != "new" and _same_pixels(scene, committed.replaced),
        chips=committed.chips,
        skipped=SkipCounts(**committed.scene.skipped),
        encoded=encoded,
        elapsed_s=time.perf_counter() - started,
        reading_s=clocks.reading.seconds,
        encoding_s=clocks.working.seconds,
        writing_s=clocks.writing.seconds,
    )


def _same_pixels(scene: Scene, replaced: tuple[IndexedScene, ...]) -> bool:
    return all(old.scene.scene_id == scene.scene_id for old in replaced)


def _stage_chips(
    staging: SceneStaging,
    reader: ChipReader,
    encoder: Encoder,
    size: int,
    clocks: Clocks,
    progress: Progress | None,
) -> int:
    """Read batches of at most `size` chips, encode and stage them; returns how many chips."""
    count = 0

    def encode(batch: _Batch) -> _Encoded:
        nonlocal count
        vectors = _encode(encoder, batch)
        count += len(batch.chips)
        if progress is not None:
            progress(batch.last_number + 1, reader.chips_total)
        return _Encoded(
            chips=batch.chips,
            last_number=batch.last_number,
            skipped=batch.skipped,
            vectors=vectors,
        )

    def stage(done: _Encoded) -> None:
        staging.append(done.last_number, done.chips, done.vectors, skipped=done.skipped)

    overlap(_batches(reader, size), encode, stage, clocks)
    if progress is not None:
        progress(reader.chips_total, reader.chips_total)
    return count


def _keep_chips(
    store: IndexStore, scene: Scene, status: Literal["same", "moved", "redated"], started: float
) -> SceneReport:
    """Report a scene whose chips stand as they are, after noting its new place or time."""
    if status != "same":
        before = store.move_scene(scene)
        if status == "moved" and Path(before).exists():
            log.warning(
                "%s: the same pixels still lie at %s; the index names one place for them, %s now",
                scene.name, before, scene.uri,
            )  # fmt: skip
    kept = store.indexed_scene(scene.uri)
    return SceneReport(
        scene=scene if kept is None else kept.scene,
        outcome="unchanged" if status == "same" else status,
        recut=False,
        chips=0 if kept is None else kept.chip_count,
        skipped=SkipCounts() if kept is None else SkipCounts(**kept.skipped),
        encoded=0,
        elapsed_s=time.perf_counter() - started,
        reading_s=0.0,
        encoding_s=0.0,
        writing_s=0.0,
    )


def estimate(encoder: Encoder, plans: list[ResolvedPlan], *, batch_size: int = 16) -> Estimate:
    """What indexing scenes cut by these plans would take, from a batch of noise encoded now."""
    spec = encoder.spec
    chips = sum(plan.chip_count for plan in plans)
    shape = (batch_size, 3, spec.image_size_px, spec.image_size_px)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    encoder.encode_images(noise)  # compiles and warms up
    started = time.perf_counter()
    encoder.encode_images(noise)
    per_chip_s = (time.perf_counter() - started) / batch_size
    return Estimate(
        chips=chips, index_bytes=chips * (2 * spec.dim + ROW_BYTES), seconds=chips * per_chip_s
    )


def _batch_size(resolved: ResolvedPlan, image_size_px: int, memory_bytes: int, wanted: int) -> int:
    """Chips per batch, so that a batch of pixels stays a small part of the memory allowed."""
    limit_px = 4 * image_size_px
    largest = max(
        min(level.width_px, limit_px) * min(level.height_px, limit_px) * 4
        for level in resolved.levels
    )
    fits = max(1, memory_bytes // BATCH_SHARE // largest)
    return min(wanted, fits)


def _batches(reader: ChipReader, size: int) -> Iterator[_Batch]:
    """Runs of at most `size` chips in planned order."""
    chips = iter(reader)
    while items := list(islice(chips, size)):
        yield _batch(items, reader.skipped)


def _batch(items: list[PlannedChip], skipped: SkipCounts) -> _Batch:
    """Stack the pixels of chips by shape."""
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for position, item in enumerate(items):
        by_shape[item.image.pixels.shape].append(position)
    return _Batch(
        chips=[item.image.chip for item in items],
        last_number=items[-1].number,
        skipped=skipped,
        groups=[
            (positions, np.stack([items[position].image.pixels for position in positions]))
            for positions in by_shape.values()
        ],
    )


def _encode(encoder: Encoder, batch: _Batch) -> npt.NDArray[np.float32]:
    """Embed chips of mixed shapes: one call per shape, rows in the order of the batch."""
    vectors = np.empty((len(batch.chips), encoder.spec.dim), dtype=np.float32)
    for positions, pixels in batch.groups:
        vectors[positions] = encoder.encode_images(pixels)
    if not np.isfinite(vectors).all():
        raise EncoderError(
            f"{encoder.spec.name} made vectors that are not numbers: its weights are damaged; "
            "fetch or export them again"
        )
    return vectors
