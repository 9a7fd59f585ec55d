"""Scene to encoder to index: reading, encoding and writing overlap."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from georclip.errors import EncoderError
from georclip.index.store import plan_fingerprint
from georclip.scenes.chips import resolve_plan
from georclip.scenes.reader import ChipReader, PlannedChip, SkipCounts

if TYPE_CHECKING:
    import numpy.typing as npt

    from georclip.encoders.base import Encoder
    from georclip.index.store import IndexStore, SceneStaging
    from georclip.scenes.chips import ResolvedPlan
    from georclip.values import ChipPlan, Scene

log = logging.getLogger("georclip")

Outcome = Literal["added", "replaced", "unchanged", "moved", "redated"]
Progress = Callable[[int, int], None]
"""Called with (planned chips done, planned chips in all) as a scene proceeds."""

DEFAULT_BATCH = 64
QUEUED_BATCHES = 2
BATCH_SHARE = 32  # a batch of pixels may take this part of the memory allowed; four are about
ROW_BYTES = 234  # catalog and columns per chip on disk, beside its vector: measured


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneReport:
    """What indexing one scene came to.

    Attributes:
        scene: The scene as it now stands in the index.
        outcome: "added", "replaced" (it had changed), "unchanged", "moved" (to a new
            uri) or "redated" (only its time is another).
        chips: Chips of this scene in the index.
        skipped: Planned chips left out, by reason.
        elapsed_s: Wall time, s.
        reading_s: Time the reader spent reading, s; reading and encoding overlap.
        encoding_s: Time the encoder spent, s.
        writing_s: Time spent on staging and commit, s.
    """

    scene: Scene
    outcome: Outcome
    chips: int
    skipped: SkipCounts
    elapsed_s: float
    reading_s: float
    encoding_s: float
    writing_s: float


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
    """Chips in planned order, and what the reader had left out when it handed them on."""

    items: list[PlannedChip]
    skipped: SkipCounts

    @property
    def last_number(self) -> int:
        """Planned number of the last chip."""
        return self.items[-1].number


@dataclass(slots=True)
class _Clock:
    """Seconds spent in one part of the pipeline."""

    seconds: float = 0.0
    started: float = 0.0

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.started


@dataclass(frozen=True, slots=True)
class _Clocks:
    """One clock per part of the pipeline."""

    reading: _Clock = field(default_factory=_Clock)
    encoding: _Clock = field(default_factory=_Clock)
    writing: _Clock = field(default_factory=_Clock)


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
    size = _batch_size(resolved, spec.image_size_px, memory_bytes, batch_size)
    clocks = _Clocks()
    with store.stage(scene, fingerprint) as staging:
        if staging.next_number:
            log.info("%s: going on from chip %d", scene.name, staging.next_number)
        reader = ChipReader(
            scene,
            resolved,
            memory_bytes=memory_bytes // 4,
            max_side_px=4 * spec.image_size_px,
            start=staging.next_number,
        )
        _stage_chips(staging, reader, encoder, size, clocks, progress)
        with clocks.writing:
            committed = staging.commit(reader.skipped)
    for note in reader.notes:
        log.info("%s: %s", scene.name, note)
    return SceneReport(
        scene=committed.scene.scene,
        outcome="added" if status == "new" else "replaced",
        chips=committed.chips,
        skipped=SkipCounts(**committed.scene.skipped),
        elapsed_s=time.perf_counter() - started,
        reading_s=clocks.reading.seconds,
        encoding_s=clocks.encoding.seconds,
        writing_s=clocks.writing.seconds,
    )


def _stage_chips(
    staging: SceneStaging,
    reader: ChipReader,
    encoder: Encoder,
    size: int,
    clocks: _Clocks,
    progress: Progress | None,
) -> None:
    """Encode batches of at most `size` chips and stage them, while the next are read."""
    for batch in _read_ahead(reader, size, clocks.reading):
        with clocks.encoding:
            vectors = _encode(encoder, batch.items)
        with clocks.writing:
            chips = [item.image.chip for item in batch.items]
            staging.append(batch.last_number, chips, vectors, skipped=batch.skipped)
        if progress is not None:
            progress(batch.last_number + 1, reader.chips_total)
    if progress is not None:
        progress(reader.chips_total, reader.chips_total)


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
        chips=0 if kept is None else kept.chip_count,
        skipped=SkipCounts() if kept is None else SkipCounts(**kept.skipped),
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


def _batch_size(
    resolved: ResolvedPlan, image_size_px: int, memory_bytes: int, asked: int | None
) -> int:
    """Chips per batch, so that a batch of pixels stays a small part of the memory allowed."""
    limit_px = 4 * image_size_px
    largest = max(
        min(level.width_px, limit_px) * min(level.height_px, limit_px) * 4
        for level in resolved.levels
    )
    fits = max(1, memory_bytes // BATCH_SHARE // largest)
    return min(asked or DEFAULT_BATCH, fits)


def _encode(encoder: Encoder, batch: list[PlannedChip]) -> npt.NDArray[np.float32]:
    """Embed chips of mixed shapes: one call per shape, rows in the order of the batch."""
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for position, item in enumerate(batch):
        by_shape[item.image.pixels.shape].append(position)
    vectors = np.empty((len(batch), encoder.spec.dim), dtype=np.float32)
    for positions in by_shape.values():
        pixels = np.stack([batch[position].image.pixels for position in positions])
        vectors[positions] = encoder.encode_images(pixels)
    if not np.isfinite(vectors).all():
        raise EncoderError(
            f"{encoder.spec.name} made vectors that are not numbers: its weights are damaged; "
            "fetch or export them again"
        )
    return vectors


def _read_ahead(reader: ChipReader, size: int, clock: _Clock) -> Iterator[_Batch]:
    """Batches of chips, read in a thread of their own while the last batch is encoded.

    The queue is bounded. An error of the reader is raised here; when the consumer stops
    early, the thread is told and joined.
    """
    batches: queue.Queue[_Batch | BaseException | None] = queue.Queue(QUEUED_BATCHES)
    stop = threading.Event()

    def put(item: _Batch | BaseException | None) -> None:
        while not stop.is_set():
            try:
                return batches.put(item, timeout=0.1)
            except queue.Full:
                continue

    def read() -> None:
        try:
            for batch in _batches(reader, size, clock):
                put(batch)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:  # handed to the consumer, which raises it
            put(error)

    thread = threading.Thread(target=read, name="georclip-reader", daemon=True)
    thread.start()
    try:
        while (item := batches.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _batches(reader: ChipReader, size: int, clock: _Clock) -> Iterator[_Batch]:
    """Runs of at most `size` chips in planned order, timing the reader."""
    chips = iter(reader)
    items: list[PlannedChip] = []
    while True:
        with clock:
            item = next(chips, None)
        if item is None:
            break
        items.append(item)
        if len(items) == size:
            yield _Batch(items=items, skipped=reader.skipped)
            items = []
    if items:
        yield _Batch(items=items, skipped=reader.skipped)
