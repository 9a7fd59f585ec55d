"""Three parts of one work side by side: a reader, a worker and a writer, bounded queues between.

Reader and writer have a thread each, the worker has the caller's: an encoder is used in one thread
alone, and a Ctrl-C reaches it. Order is kept, and an error of any part is raised once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Read = TypeVar("Read")
Done = TypeVar("Done")

QUEUED = 2
"""Things that wait between two parts: one is being taken while the next is made."""
_LOOK_S = 0.1  # how often a part that waits looks whether it is to stop


@dataclass(slots=True)
class Clock:
    """Seconds that one part was at work, by the wall clock.

    Waiting for the disk or for a core is work here; waiting for the other parts is not.
    """

    seconds: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what happens inside."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """One clock for each part. The part that was at work longest is the limit."""

    reading: Clock = field(default_factory=Clock)
    working: Clock = field(default_factory=Clock)
    writing: Clock = field(default_factory=Clock)


def overlap(
    source: Iterable[Read],
    work: Callable[[Read], Done],
    write: Callable[[Done], None],
    clocks: Clocks,
) -> None:
    """Read, work and write side by side until the source is empty.

    What was worked on before an error, or a Ctrl-C, is written; then the error is raised.

    Args:
        source: Iterated in a thread of its own, and closed there if it can be.
        work: Called in this thread, in order.
        write: Called in a thread of its own, in order; not again after it has failed.
        clocks: Told how long each part was at work.

    Raises:
        BaseException: What `source`, `work` or `write` raised first.
    """
    with _Writer(write, clocks.writing) as writer, _Reader(source, clocks.reading) as reader:
        for item in reader:
            with clocks.working.running():
                done = work(item)
            writer.put(done)


@dataclass(frozen=True, slots=True)
class _Failed:
    """What a thread ended with."""

    error: BaseException


class _Reader(Generic[Read]):
    """Iterates a source ahead of the consumer. Leaving it tells the thread to stop, and waits."""

    def __init__(self, source: Iterable[Read], clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._ready: queue.Queue[Read | _Failed | None] = queue.Queue(QUEUED)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="georclip-reader", daemon=True)

    def __iter__(self) -> Iterator[Read]:
        while (item := self._ready.get()) is not None:
            if isinstance(item, _Failed):
                raise item.error
            yield item

    def _run(self) -> None:
        try:
            self._read()
            self._put(None)
        except BaseException as error:  # handed to the consumer, which raises it
            self._put(_Failed(error))

    def _read(self) -> None:
        items = iter(self._source)
        with closing(items) if isinstance(items, Generator) else nullcontext():
            while not self._stop.is_set():
                with self._clock.running():
                    item = next(items, None)
                if item is None:
                    return
                self._put(item)

    def _put(self, item: Read | _Failed | None) -> None:
        while not self._stop.is_set():
            try:
                return self._ready.put(item, timeout=_LOOK_S)
            except queue.Full:
                continue

    def __enter__(self) -> _Reader[Read]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with suppress(queue.Empty):  # room for what it is about to put: it need not wait
            while True:
                self._ready.get_nowait()
        self._thread.join()


class _Writer(Generic[Done]):
    """Writes behind the producer. Leaving it waits until all that was put is written."""

    def __init__(self, write: Callable[[Done], None], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._room = threading.Semaphore(QUEUED)
        self._waiting: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="georclip-writer", daemon=True)

    def put(self, done: Done) -> None:
        """Hand something on, once there is room.

        Raises:
            BaseException: What writing has failed with meanwhile.
        """
        self._room.acquire()
        if self._error is not None:
            raise self._error
        self._waiting.put(done)

    def _run(self) -> None:
        try:
            while (done := self._waiting.get()) is not None:
                self._room.release()
                with self._clock.running():
                    self._write(done)
        except BaseException as error:  # handed to the producer, which raises it
            self._error = error
            self._room.release()
        finally:
            self._ended.set()

    def __enter__(self) -> _Writer[Done]:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._waiting.put(None)
        self._join()
        if self._error is not None and error is None:
            raise self._error

    def _join(self) -> None:
        """Wait for the thread; a Ctrl-C meanwhile is raised after that.

        Whoever handles it touches what the thread was writing. By an event of its own: a thread
        whose `join` was interrupted counts as ended, in Python 3.11, when it is not.
        """
        interrupted: KeyboardInterrupt | None = None
        while not self._ended.is_set():
            try:
                self._ended.wait()
            except KeyboardInterrupt as error:
                interrupted = error
        if interrupted is not None:
            raise interrupted
