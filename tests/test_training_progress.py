import logging
import time

import pytest

from georclip.training import progress
from georclip.training.progress import RunProgress


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr(progress.log, "propagate", True)
    return clock


def run(clock, *, quiet=False, seconds=1.0, done_epochs=0):
    shown = RunProgress(epochs=3, done_epochs=done_epochs, batches=20, batch_size=8, quiet=quiet)
    for epoch in range(done_epochs, 3):
        with shown.epoch(epoch, 64):
            for step in range(20):
                clock.now += seconds
                shown.step(1.0 / (step + 1))
    return shown


def test_lines_without_a_terminal_name_loss_rate_and_time_left(clock, caplog):
    with caplog.at_level(logging.INFO, logger="georclip"):
        shown = run(clock)
    lines = [record.message for record in caplog.records]
    assert lines[0] == ("epoch 1/3: 120 of 160 images, loss 0.067, 8 images/s, 45 s left for all")
    assert len(lines) == 4  # every 15 s of 60
    assert shown.left() == "0 s left"


def test_only_what_is_left_of_a_resumed_run_is_counted(clock, caplog):
    with caplog.at_level(logging.INFO, logger="georclip"):
        run(clock, done_epochs=2, seconds=100.0)
    assert caplog.records[0].message.endswith("epoch 3/3: 8 of 160 images, loss 1.000, 0 images/s, "
                                              "32 min left for all")  # fmt: skip


def test_quiet_is_quiet(clock, caplog, capsys):
    with caplog.at_level(logging.INFO, logger="georclip"):
        run(clock, quiet=True)
    assert not caplog.records
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(clock, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    run(clock, seconds=20.0)
    shown = capsys.readouterr().err
    assert "epoch 3/3, 64 px" in shown
    assert "160/160" in shown
    assert "left for all" in shown
