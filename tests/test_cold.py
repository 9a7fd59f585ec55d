"""The comparison of cold questions: both sides answer, and alike."""

import sys

import pytest

from tests.benchmarks import cold
from tests.benchmarks.machine import georclip


def test_script_and_georclip_bring_the_same_chips(tmp_path, capfd):
    """A text tower of real size, since the script knows open_clip's own architectures only."""
    folder = tmp_path / "plain"
    cold.make_clip(folder, 300)
    cold.make_starter(tmp_path / "starter", 300)
    script = [sys.executable, "-m", "tests.benchmarks.plain_search", str(folder), "ViT-B-32"]
    commands = {
        "script": [*script, "harbor with ships"],
        "clip": georclip("search", "harbor with ships", "-i", str(folder / "index")),
        f"clip, {cold.AGAIN}": georclip("search", "harbor with ships", "-i", str(folder / "index")),
        "starter": georclip("search", "harbor with ships", "-i", str(tmp_path / "starter")),
    }
    found = cold.measure(commands, repeats=1, memory=tmp_path / "cache")
    assert [len(one.answer) for one in found] == [10, 10, 10, 10]
    assert found[0].answer == found[1].answer == found[2].answer
    assert len(list((tmp_path / "cache" / "questions").iterdir())) == 1
    cold.print_times(found, 300)
    printed = capfd.readouterr().out
    assert "bring the same hits: True" in printed
    assert len([line for line in printed.splitlines() if line.startswith("| ")]) == 5


def test_a_command_that_fails_is_no_time(tmp_path):
    with pytest.raises(RuntimeError, match="nothing there ended with 1"):
        cold.measure(
            {"nothing there": georclip("search", "x", "-i", str(tmp_path))},
            repeats=0, memory=tmp_path / "cache",
        )  # fmt: skip
