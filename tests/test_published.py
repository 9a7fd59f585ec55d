"""RemoteCLIP's table repeated, over checkpoints that never learned anything."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from georclip.encoders.clip import build_model
from georclip.encoders.registry import MODELS
from georclip.errors import CaptionError, EncoderError
from georclip.evaluation import published, published_report
from georclip.evaluation.protocols import Protocol, Ranks
from georclip.evaluation.published import (
    FIGURES,
    TEST_IMAGES,
    TOLERANCE,
    PublishedFigure,
    Repetition,
    find_checkpoints,
    name_dataset,
    settle_activation,
)
from georclip.evaluation.published_report import repetition_json, repetition_table
from georclip.evaluation.retrieval import RetrievalFigures
from tests.helpers_encoders import WORDS, pictures, register_tiny, tiny_entry, tiny_model
from tests.test_evaluate_cli import run

SENTENCES = [f"{word} near the {other}" for word in WORDS[3:] for other in ("road", "lake")]
PICTURES = 40


def figures(mean, images=20):
    """Retrieval figures whose mean recall is `mean` percent of 20 pictures."""
    ranks = np.where(np.arange(images) < images * mean / 100, 0, 99)
    one = Ranks(text_to_image=ranks, image_to_text=ranks)
    return RetrievalFigures(
        protocol=Protocol.A, prefix="", images=images, texts=images, unknown_texts=0,
        ranks=one, best_ranks=one,
    )  # fmt: skip


def row(activation, *, measured, wanted, dataset="RSITMD", same_images=True):
    return Repetition(
        model="remoteclip-vit-b-32", dataset=dataset, activation=activation,
        figures=figures(measured), published=wanted, same_images=same_images,
    )  # fmt: skip


def write_dataset(folder, name, count=PICTURES):
    """Pictures of a test split; returns the caption file."""
    folder.mkdir()
    images = []
    for number, pixels in enumerate(pictures(count, 40, 40, seed=3)):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{number}.png")
        sentences = [{"raw": SENTENCES[number]}]
        images.append({"filename": f"{number}.png", "split": "test", "sentences": sentences})
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"images": images}))
    return file


@pytest.fixture
def datasets(tmp_path):
    """Caption files named after the three data sets, each over its own folder."""
    names = ("dataset_RSITMD", "dataset_rsicd", "dataset_ucm")
    files = [write_dataset(tmp_path / name, name) for name in names]
    return [*files, *(word for file in files for word in ("--images", file.parent))]


@pytest.fixture
def tiny_table(tmp_path, monkeypatch):
    """RemoteCLIP's B-32 played by a tiny CLIP; returns the folder of its checkpoint."""
    register_tiny(tmp_path)
    name = "remoteclip-vit-b-32"
    entry = tiny_entry(name=name, weights=MODELS[name].weights)
    monkeypatch.setattr("georclip.encoders.registry.MODELS", {**MODELS, name: entry})
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    torch.save(tiny_model(seed=0).state_dict(), folder / "RemoteCLIP-ViT-B-32.pt")
    return folder


def test_the_table_side_by_side_in_both_activations(datasets, tiny_table):
    printed = run(
        *datasets, "--published", "remoteclip", "--weights", tiny_table, "--activation", "both"
    )
    rows = [line.split() for line in printed.splitlines() if line.startswith("remoteclip-")]
    assert [(line[1], line[3]) for line in rows] == [
        (dataset, activation)
        for activation in ("gelu", "quickgelu")
        for dataset in ("RSITMD", "RSICD", "UCM")
    ]
    assert [line[4] for line in rows[:3]] == ["49.38", "35.26", "56.36"]
    assert "protocol A (RemoteCLIP's" in printed
    assert "RSICD: published over 1093 images, another number here" in printed


def test_the_activation_that_repeats_is_found(datasets, tiny_table, monkeypatch):
    """The published figures are set to what quickgelu gives; gelu gives others."""
    checkpoint = tiny_table / "RemoteCLIP-ViT-B-32.pt"
    files = [*datasets, "--published", "remoteclip", "--weights", checkpoint]
    found = json.loads(run(*files, "--activation", "both", "-f", "json"))
    measured = {(one["dataset"], one["activation"]): one["mean_recall"] for one in found["rows"]}
    assert len(measured) == 6
    table = tuple(
        PublishedFigure(model="remoteclip-vit-b-32", dataset=name, mean_recall=value)
        for (name, activation), value in measured.items()
        if activation == "quickgelu"
    )
    monkeypatch.setattr(published, "FIGURES", table)
    monkeypatch.setattr(published, "TEST_IMAGES", {"RSITMD": PICTURES, "RSICD": PICTURES})
    again = json.loads(run(*files, "--activation", "both", "-f", "json"))
    assert abs(measured["RSITMD", "gelu"] - measured["RSITMD", "quickgelu"]) > TOLERANCE
    assert again["activation_needed"] == "quickgelu"
    assert "the checkpoints need quickgelu" in again["verdict"]
    differences = [o["difference"] for o in again["rows"] if o["activation"] == "quickgelu"]
    assert differences == [0, 0, None]  # of UCM nobody knows the number of pictures


def test_a_checkpoint_of_a_real_architecture_goes_the_whole_way(tmp_path):
    """RN50 with random weights: 400 MB through hashing, loading, and every layer."""
    noise = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0)).abs() * 0.02
    with torch.device("meta"):  # shapes alone: a start by open_clip takes seconds
        shapes = build_model("RN50", activation="quickgelu", image_size_px=224).state_dict()
    state = {
        name: noise.repeat(one.numel() // len(noise) + 1)[: one.numel()].view(one.shape).clone()
        for name, one in shapes.items()
    }
    torch.save(state, tmp_path / "RemoteCLIP-RN50.pt")
    file = write_dataset(tmp_path / "few", "rsitmd", count=3)
    found = json.loads(run(
        file, "--images", file.parent, "--published", "remoteclip", "--weights", tmp_path,
        "--device", "cpu", "-f", "json",
    ))  # fmt: skip
    (only,) = found["rows"]
    assert (only["model"], only["dataset"], only["images"]) == ("remoteclip-rn50", "RSITMD", 3)
    assert only["activation"] == "quickgelu"
    assert only["published_mean_recall"] is None
    assert found["activation_needed"] is None


# which activation


def test_one_that_alone_repeats_every_figure_is_needed():
    rows = [row("gelu", measured=40, wanted=49.9), row("quickgelu", measured=50, wanted=49.9)]
    verdict = settle_activation(rows)
    assert verdict.activation == "quickgelu"
    assert "gelu is at most 9.90 points off" in verdict.reason


def test_one_figure_off_is_too_many():
    rows = [
        row("quickgelu", measured=50, wanted=50),
        row("quickgelu", measured=50, wanted=50 + 2 * TOLERANCE, dataset="UCM"),
        row("gelu", measured=10, wanted=50),
    ]
    verdict = settle_activation(rows)
    assert verdict.activation is None
    assert "no activation repeats" in verdict.reason


def test_both_that_repeat_settle_nothing():
    rows = [row("gelu", measured=50, wanted=50), row("quickgelu", measured=50, wanted=50.2)]
    assert settle_activation(rows).activation is None
    assert "both repeat" in settle_activation(rows).reason


def test_one_measured_alone_is_said_to_be_alone():
    verdict = settle_activation([row("gelu", measured=50, wanted=50)])
    assert verdict.activation is None  # of the other nothing is known
    assert verdict.reason.startswith("gelu repeats")
    assert "--activation both" in verdict.reason


def test_one_measured_alone_that_does_not_repeat_points_at_the_other():
    verdict = settle_activation([row("gelu", measured=40, wanted=50)])
    assert verdict.activation is None
    assert verdict.reason.startswith("gelu does not repeat")
    assert "--activation both measures the other" in verdict.reason


def test_an_unknown_number_of_pictures_is_said(monkeypatch):
    monkeypatch.setattr(published_report, "TEST_IMAGES", {})
    rows = [row("gelu", measured=50, wanted=50, same_images=False)]
    printed = repetition_table(rows, settle_activation(rows))
    assert "RSITMD: nobody here knows how many images" in printed


def test_other_pictures_are_not_compared():
    rows = [row("gelu", measured=50, wanted=50, dataset="UCM", same_images=False)]
    assert settle_activation(rows).activation is None
    assert "nothing here can be compared" in settle_activation(rows).reason
    assert repetition_json(rows, settle_activation(rows))["rows"][0]["difference"] is None
    assert "not comparable" in repetition_table(rows, settle_activation(rows))


# what is looked for, where


def test_data_sets_are_told_by_file_name():
    assert [name_dataset(n) for n in ("dataset_RSITMD", "rsicd", "UCM_captions")] == [
        "RSITMD", "RSICD", "UCM",
    ]  # fmt: skip
    with pytest.raises(CaptionError, match="cannot tell which data set sydney is"):
        name_dataset("sydney")


def test_checkpoints_are_found_by_their_published_names(tmp_path):
    (tmp_path / "RemoteCLIP-ViT-L-14.pt").touch()
    (tmp_path / "other.pt").touch()
    assert list(find_checkpoints(None, tmp_path)) == ["remoteclip-vit-l-14"]
    one = tmp_path / "RemoteCLIP-ViT-L-14.pt"
    assert find_checkpoints(None, one) == {"remoteclip-vit-l-14": one}
    other = tmp_path / "other.pt"
    assert find_checkpoints("remoteclip-rn50", other) == {"remoteclip-rn50": other}
    with pytest.raises(EncoderError, match="name it with --model"):
        find_checkpoints(None, other)
    with pytest.raises(EncoderError, match=r"should hold RemoteCLIP-RN50\.pt$"):
        find_checkpoints("remoteclip-rn50", tmp_path)
    with pytest.raises(EncoderError, match="not in the table"):
        find_checkpoints("starter", None)


def test_without_weights_the_way_to_them_is_said(monkeypatch):
    monkeypatch.setattr(published, "find_weights", lambda entry: None)
    with pytest.raises(EncoderError, match="georclip models fetch remoteclip-vit-b-32"):
        find_checkpoints(None, None)


def test_figures_are_of_known_models_and_data_sets():
    assert {figure.model for figure in FIGURES} <= set(published.MODELS) <= set(MODELS)
    assert {figure.dataset for figure in FIGURES} <= set(published.DATASETS)
    assert set(TEST_IMAGES) == set(published.DATASETS)  # else nothing could be compared
