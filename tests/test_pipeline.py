"""Reading, working and writing side by side: in order, bounded, every error raised once."""

from __future__ import annotations

import itertools
import signal
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.pipeline import QUEUED, Clocks, overlap


class Boom(Exception):
    pass


def failing_at(position, do):
    """A function that raises on its call number `position`, counted from 0."""
    calls = itertools.count()

    def call(item):
        if next(calls) == position:
            raise Boom(position)
        return do(item)

    return call


@given(st.lists(st.integers(), max_size=40))
def test_everything_is_written_once_and_in_order(numbers):
    written = []
    overlap(numbers, lambda number: number + 1, written.append, Clocks())
    assert written == [number + 1 for number in numbers]


def test_each_part_has_a_thread_and_the_worker_has_the_callers():
    names = {}

    def source():
        names["read"] = threading.current_thread().name
        yield 1

    def work(item):
        names["work"] = threading.current_thread()
        return item

    def write(_):
        names["write"] = threading.current_thread().name

    overlap(source(), work, write, Clocks())
    assert names["work"] is threading.current_thread()
    assert (names["read"], names["write"]) == ("georclip-reader", "georclip-writer")
    assert not [one for one in threading.enumerate() if one.name.startswith("georclip-")]


def test_queues_are_bounded():
    done, written, ahead, behind = [], [], [], []

    def source():
        for number in range(40):
            ahead.append(number - len(done))
            yield number

    def work(number):
        done.append(number)
        behind.append(number - len(written))
        return number

    def write(number):
        time.sleep(0.002)
        written.append(number)

    overlap(source(), work, write, Clocks())
    assert max(ahead) <= QUEUED + 2  # one being taken, one being made
    assert max(behind) <= QUEUED + 2


@given(st.integers(0, 9), st.sampled_from(["read", "work"]))
def test_what_was_worked_on_before_an_error_is_written(position, part):
    written = []

    def source():
        for number in range(10):
            if part == "read" and number == position:
                raise Boom
            yield number

    work = failing_at(position if part == "work" else None, lambda number: number)
    with pytest.raises(Boom):
        overlap(source(), work, written.append, Clocks())
    assert written == list(range(position))


@given(st.integers(0, 9))
def test_after_a_failed_write_nothing_more_is_written(position):
    written = []
    with pytest.raises(Boom):
        overlap(range(10), lambda item: item, failing_at(position, written.append), Clocks())
    assert written == list(range(position))


def test_the_first_error_is_the_one_that_is_raised():
    def write(_):
        raise OSError("disk")

    def work(number):
        if number:
            time.sleep(0.05)
            raise Boom
        return number

    with pytest.raises(Boom):
        overlap(range(3), work, write, Clocks())


def test_the_source_is_closed_in_its_own_thread():
    closed = []

    def source():
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    with pytest.raises(Boom):
        overlap(source(), failing_at(3, lambda item: item), lambda _: None, Clocks())
    assert closed == ["georclip-reader"]


def test_a_second_interrupt_waits_for_the_writer():
    written, inside = [], threading.Event()
    caller = threading.main_thread().ident

    def write(item):
        inside.set()
        time.sleep(0.2)
        written.append(item)

    def work(number):
        if number == 1:
            inside.wait()
            threading.Timer(0.05, signal.pthread_kill, (caller, signal.SIGINT)).start()
            raise KeyboardInterrupt
        return number

    with pytest.raises(KeyboardInterrupt):
        overlap(range(5), work, write, Clocks())
    assert written == [0]
    assert not [one for one in threading.enumerate() if one.name == "georclip-writer"]


@pytest.mark.parametrize("slow", ["reading", "working", "writing"])
def test_clocks_tell_which_part_the_others_waited_for(slow):
    clocks = Clocks()

    def pause(part):
        time.sleep(0.01 if part == slow else 0)

    def source():
        for number in range(8):
            pause("reading")
            yield number

    def work(number):
        pause("working")
        return number

    overlap(source(), work, lambda _: pause("writing"), clocks)
    spent = {part: getattr(clocks, part).seconds for part in ("reading", "working", "writing")}
    assert spent[slow] >= 0.08
    assert max(spent, key=spent.get) == slow
