import csv
import json
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from georclip.captions.records import CaptionedImage
from georclip.training.curves import draw_curves
from georclip.training.data.fingerprint import fingerprint, print_data
from georclip.training.record import Origin, RunFacts, write_record
from georclip.training.settings import TrainSettings
from georclip.training.validation import Measured
from tests.test_choosing import figures, run_of

IMAGES = [
    CaptionedImage(
        path=Path(f"images/{name}.png"),
        split=split,
        label="harbor",
        sentences=("ships in a harbor .", "a harbor"),
        source="rsicd",
    )
    for name, split in (("one", "train"), ("two", "train"), ("three", "val"))
]


@given(st.permutations(IMAGES))
def test_the_fingerprint_depends_on_neither_order_nor_folder(order):
    moved = [replace(image, path=Path("elsewhere") / image.path.name) for image in order]
    assert fingerprint(moved) == fingerprint(IMAGES)


@pytest.mark.parametrize(
    "change",
    [
        {"path": Path("images/four.png")},
        {"split": "val"},
        {"label": "port"},
        {"sentences": ("ships in a harbor .",)},
        {"sentences": ("a harbor", "ships in a harbor .")},
    ],
)
def test_the_fingerprint_knows_what_is_learnt(change):
    assert fingerprint([replace(IMAGES[0], **change), *IMAGES[1:]]) != fingerprint(IMAGES)
    assert fingerprint([*IMAGES, IMAGES[0]]) != fingerprint(IMAGES)  # learnt twice


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "tuned.safetensors"
    path.write_bytes(b"weights")
    return path


def facts(tmp_path, **changes):
    captions = tmp_path / "rsicd.json"
    captions.write_bytes(b"captions")
    values = {
        "settings": TrainSettings(frozen=3),
        "origin": Origin(name="remoteclip-vit-b-32", sha256="ab" * 32, trained=True),
        "architecture": "ViT-B-32",
        "data": print_data(IMAGES[:2], IMAGES[2:], [captions]),
        "device": "cpu",
        "processes": 1,
        "before": Measured(val=(figures(10.0, 0.5),)),
        **changes,
    }
    return RunFacts(**values)


def read(weights):
    return json.loads(weights.with_suffix(".training.json").read_text())


def test_the_record_says_what_from_on_what_and_what_came_of_it(weights, tmp_path):
    history = run_of([None, 30.0, 20.0])
    write_record(weights, facts(tmp_path), history, Measured(val=(figures(30.0, 0.7),)))
    record = read(weights)
    assert record["weights_sha256"] == sha256(b"weights").hexdigest()
    assert record["started_from"] == {
        "name": "remoteclip-vit-b-32",
        "sha256": "ab" * 32,
        "trained": True,
    }
    assert record["settings"]["frozen"] == 3
    assert record["data"]["fingerprint"] == fingerprint(IMAGES)
    assert record["data"]["caption_files"] == [
        {"name": "rsicd.json", "sha256": sha256(b"captions").hexdigest()}
    ]
    assert record["images"] == {"train": {"rsicd": 2}, "val": {"rsicd": 1}}
    assert record["before"]["val"][0]["mean_recall"] == 10.0
    assert record["after"]["val"][0]["mean_recall"] == 30.0
    assert record["kept_epoch"] == 2
    assert "tuned_alone" not in record
    assert len(record["epochs"]) == 3
    assert record["computed_on"]["versions"]["torch"]
    rows = list(csv.DictReader(weights.with_suffix(".training.csv").open()))
    assert [row["rsicd mean recall"] for row in rows] == ["", "30.0", "20.0"]
    with Image.open(weights.with_suffix(".training.png")) as curves:
        assert curves.format == "PNG"


def test_a_mix_is_recorded_beside_both_its_ends(weights, tmp_path):
    mixed = facts(tmp_path, settings=TrainSettings(wise=0.5))
    history = [replace(run_of([25.0])[0], tuned_alone=(figures(30.0),))]
    write_record(weights, mixed, history, Measured(val=(figures(25.0),)))
    record = read(weights)
    ends = (record["before"]["val"], record["after"]["val"], record["tuned_alone"])
    assert [one[0]["mean_recall"] for one in ends] == [10.0, 25.0, 30.0]


def test_while_a_run_goes_on_nothing_is_said_of_its_end(weights, tmp_path):
    write_record(weights, facts(tmp_path, before=None), run_of([30.0]))
    record = read(weights)
    assert record["before"] is None
    assert not {"after", "kept_epoch", "weights_sha256"} & record.keys()
    assert not weights.with_suffix(".training.png").exists()


def test_without_matplotlib_no_curves_are_drawn_and_that_is_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    monkeypatch.setattr("georclip.training.curves.log.propagate", True)
    with caplog.at_level("INFO", logger="georclip"):
        draw_curves(tmp_path / "curves.png", run_of([1.0]))
    assert "without matplotlib" in caplog.text
    assert list(tmp_path.iterdir()) == []
