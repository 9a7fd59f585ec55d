"""The benchmark of questions, on drawn pictures: that it runs, and what its figures count."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from georclip.captions.records import CaptionedImage
from tests.benchmarks import questions
from tests.benchmarks.question_truth import PAIRS, mentions, shows, vague_words
from tests.helpers_captions import coloured

SAID = {
    "pond": ("green", "a pond of water with some trees", "a dark pond of water"),
    "church": ("red", "a church with many trees beside buildings", "a church between buildings"),
    "parking": ("gray", "a parking lot with cars near buildings", "many cars in a parking lot"),
}


def draw_images(folder: Path, each: int = 8) -> list[CaptionedImage]:
    """Pictures of three classes, half of which show what the others do not."""
    images = []
    for label, (colour, *sentences) in SAID.items():
        for number in range(2 * each):
            path = folder / f"{label}_{number}.png"
            Image.fromarray(coloured(colour, seed=number, side=48)).save(path)
            images.append(
                CaptionedImage(
                    path=path,
                    split="val" if number < each else "train",
                    label=label,
                    sentences=(sentences[number % 2],),
                    source="drawn",
                )
            )
    return images


def test_what_pictures_show(tmp_path):
    images = draw_images(tmp_path, each=2)
    assert shows(images, "parking").sum() == 4
    assert mentions(images, "tree").sum() == 4
    assert (shows(images, "building") & ~shows(images, "parking")).sum() == 4
    assert vague_words(images)["pond"] == ["water", "tree", "dark"]


def test_it_prints_every_table(tmp_path, monkeypatch, capsys):
    images = draw_images(tmp_path)
    monkeypatch.setattr(questions, "read", lambda captions, name: images)
    monkeypatch.setattr(questions, "PAIRS", PAIRS[:1])
    monkeypatch.setattr(sys, "argv", ["questions", str(tmp_path), "--seeds", "0"])
    questions.main()
    printed = capsys.readouterr().out
    for heading in ("| set | asked |", "| wanted | not |", "compared by", "good and"):
        assert heading in printed


def test_marks_are_the_best_of_both_kinds():
    right = np.array([False, True, True, False, True, True, False, False])
    assert questions.marks_of(range(8), right) == ([1, 2, 4], [0, 3, 6])
    found = questions.judge(range(8), [1, 2, 4, 5, 0, 3], right, {1, 2, 4, 0, 3, 6})
    assert (found.before, found.after) == (0.5, 4 / 6)
    assert (found.others_before, found.others_after) == (0.5, 1.0)
    assert questions.changes([(0.5, 0.6), (0.5, 0.5), (0.5, 0.1)]).endswith("1 / 1 / 1")


def test_average_precision():
    assert questions.average_precision(np.array([True, False, True])) == pytest.approx(5 / 6)
    assert questions.average_precision(np.zeros(3, dtype=bool)) == 0
