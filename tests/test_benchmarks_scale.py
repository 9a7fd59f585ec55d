"""The benchmarks of large indexes, on small ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import background, growth, scale


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]


@pytest.mark.parametrize("embedded", [False, True])
def test_every_side_answers_and_the_exact_ones_miss_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], embedded
):
    arguments = ["scale", "--rows", "20000", "--dim", "16", "--repeats", "2"]
    arguments += ["--folder", str(tmp_path)]
    if embedded:
        drawn = np.random.default_rng(0).standard_normal((500, 16), dtype=np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        np.savez(tmp_path / "some.npz", vectors=drawn[:490], questions=drawn[490:])
        arguments += ["--embedded", str(tmp_path / "some.npz"), "--alone", "--no-graph"]
    monkeypatch.setattr(sys, "argv", arguments)
    scale.main()
    printed = capsys.readouterr().out
    assert "2 scenes of 10000 chips added" in printed
    table = [cells(line) for line in printed.splitlines() if line.startswith("| ")]
    assert table[0][1:] == ["100 %", "10 %", "1 %"]
    exact = [row for row in table[1:] if "IVF" not in row[0] and "HNSW" not in row[0]]
    assert len(table) - 1 == (2 if embedded else 10)
    assert all(cell.endswith(", 1.000") for row in exact for cell in row[1:])


def test_growth_asks_a_new_process_at_each_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", [
        "growth", "--millions", "1,2", "--scenes-per-million", "1", "--dim", "8", "--repeats", "2",
        "--folder", str(tmp_path / "i"),
    ])  # fmt: skip
    growth.main()
    rows = [cells(line) for line in capfd.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[1:]] == ["10000", "20000"]
    asked = growth.ask(tmp_path / "i", scenes=1, dim=8, repeats=2)
    assert json.loads(json.dumps(asked.open_ms)) > 0
    assert asked.resident_mb > asked.private_mb > 0


def test_the_background_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    arguments = ["--scenes", "2", "--dim", "16", "--repeats", "2", "--small", "4"]
    arguments += ["--folder", str(tmp_path / "b")]
    monkeypatch.setattr(sys, "argv", ["background", *arguments])
    background.main()
    printed = capsys.readouterr().out
    table = [cells(line) for line in printed.splitlines() if line.startswith("| ")]
    assert [row[0] for row in table[1:]] == ["with", "without", "the background, when written"]
    assert all(int(row[1]) > 0 for row in table[1:])
    assert "made from nothing for 20000 chips" in printed
    assert not (tmp_path / "b").exists()
