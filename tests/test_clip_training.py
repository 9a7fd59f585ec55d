"""Whole runs over open_clip's tiny towers."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from georclip.captions.reading import read_captions
from georclip.encoders.loading import load_encoder
from georclip.training import loop
from georclip.training import run as running
from georclip.training.checkpoint import checkpoint_path
from georclip.training.data.batches import BatchMaker
from georclip.training.defaults import resolve_settings
from georclip.training.distributed import ALONE
from georclip.training.loop import train
from georclip.training.models.starting import make_model, trained
from georclip.training.run import new_run
from georclip.training.validation import HeldOut
from tests.helpers_clip import SETTINGS, TINY_RESNET, register, weights_of, write_clip
from tests.helpers_encoders import TINY
from tests.helpers_training import draw_captioned


@pytest.fixture(scope="module", autouse=True)
def registered(tmp_path_factory):
    register(tmp_path_factory.mktemp("architectures"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    file, pictures = draw_captioned(tmp_path_factory.mktemp("captioned"))
    return read_captions([file], [pictures])


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("starts")
    return {name: write_clip(folder / f"{name}.safetensors", name) for name in (TINY, TINY_RESNET)}


def run(images, path, output, settings=SETTINGS, **more):
    start = trained(weights=path)
    model = make_model(start, [], settings, name=output.stem)
    options = {"origin": start.origin, "quiet": True, **more}
    return train(images, output, settings, model=model, **options)


def record_of(output):
    return json.loads(output.with_suffix(".training.json").read_text())


def figures_of(images, path):
    held_out = [image for image in images if image.split == "val"]
    return HeldOut(held_out, 32).measure(load_encoder(weights=path, device="cpu"))


@pytest.mark.parametrize("architecture", [TINY, TINY_RESNET])
def test_a_trained_model_learns_and_is_measured_before_and_after(
    architecture, starts, captioned, tmp_path
):
    output = tmp_path / "tuned.safetensors"
    longer = replace(SETTINGS, epochs=12, validate_every=12)
    history = run(captioned, starts[architecture], output, longer)
    assert history[-1].loss < history[0].loss
    record = record_of(output)
    assert record["started_from"]["name"] == f"{architecture}.safetensors"
    before, after = record["before"]["val"][0], record["after"]["val"][0]
    assert after["precision_at_10"] > before["precision_at_10"]
    assert 0 <= before["zero_shot"] < after["zero_shot"] <= 1
    (measured,) = figures_of(captioned, output)
    assert measured.mean_recall == pytest.approx(after["mean_recall"])
    (start,) = figures_of(captioned, starts[architecture])
    assert start.mean_recall == pytest.approx(before["mean_recall"])


def test_lora_moves_projections_and_nothing_else(starts, captioned, tmp_path):
    output = tmp_path / "tuned.safetensors"
    history = run(captioned, starts[TINY], output, replace(SETTINGS, lora_rank=4, frozen="image"))
    assert history[-1].loss < history[0].loss
    start, tuned = weights_of(starts[TINY]), weights_of(output)
    assert start.keys() == tuned.keys()
    moved = {name for name in start if not torch.equal(start[name], tuned[name])}
    assert moved == {
        "logit_scale",
        "transformer.resblocks.0.attn.in_proj_weight",
        "transformer.resblocks.0.attn.out_proj.weight",
        "transformer.resblocks.0.mlp.c_fc.weight",
        "transformer.resblocks.0.mlp.c_proj.weight",
    }


def test_a_batch_keeps_the_end_of_sentences_with_exclamation_marks(starts, captioned):
    """CLIP's id 0, which fills up, is also a "!" that no blank follows."""
    settings = replace(SETTINGS, prompt_share=0.0, dropped_share=0.0, batch_size=2)
    images = [replace(captioned[0], sentences=(text,)) for text in ("!; !; a field!; b", "a b")]
    model = make_model(trained(weights=starts[TINY]), [], settings, name="tuned")
    pixels = [np.zeros((40, 40, 3), dtype=np.uint8)] * 2
    (batch,) = BatchMaker(images, pixels, model, settings).epoch(0)
    ends = {int(row.max()) for row in batch.ids}
    assert ends == {model.token_ids("a").max()}  # no sentence has lost it
    assert (model.token_ids("!; !; a field!; b") == 0).sum() > 77 - batch.ids.shape[1]


@pytest.mark.parametrize("architecture", [TINY, TINY_RESNET])
def test_a_killed_run_with_lora_and_a_mix_goes_on_to_the_same_weights(
    architecture, starts, captioned, tmp_path, monkeypatch
):
    settings = replace(
        SETTINGS,
        validate_every=1,
        lora_rank=2,
        wise=0.5,
        frozen=1,
        checkpointing=True,
        micro_batches=2,
    )
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    run(captioned, starts[architecture], whole, settings)
    real, steps = running.backward, []

    def dies(*arguments):
        steps.append(1)
        if len(steps) == 5:  # in the second epoch of three steps each
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(running, "backward", dies)
        with pytest.raises(KeyboardInterrupt):
            run(captioned, starts[architecture], killed, settings)
    run(captioned, starts[architecture], killed, settings, resume=True)
    expected, found = weights_of(whole), weights_of(killed)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    one, two = record_of(whole), record_of(killed)
    assert one["before"] == two["before"]
    assert one["after"] == two["after"]


def test_a_mix_is_written_between_start_and_tuned(starts, captioned, tmp_path):
    tuned, mixed = tmp_path / "tuned.safetensors", tmp_path / "mixed.safetensors"
    run(captioned, starts[TINY], tuned)
    run(captioned, starts[TINY], mixed, replace(SETTINGS, wise=0.25))
    start, one, between = weights_of(starts[TINY]), weights_of(tuned), weights_of(mixed)
    for name in start:
        wanted = 0.75 * start[name] + 0.25 * one[name]
        assert torch.allclose(between[name], wanted, atol=1e-5), name
    ends = record_of(mixed)
    assert ends["tuned_alone"] == record_of(tuned)["after"]["val"]
    assert ends["after"]["val"][0]["mean_recall"] == pytest.approx(
        figures_of(captioned, mixed)[0].mean_recall
    )


def test_a_mix_is_what_is_measured_and_chosen(starts, captioned, tmp_path):
    output = tmp_path / "mixed.safetensors"
    settings = replace(SETTINGS, epochs=3, validate_every=1, wise=0.3, learning_rate=2e-2)
    history = run(captioned, starts[TINY], output, settings)
    record = record_of(output)
    kept = history[record["kept_epoch"] - 1]
    assert record["after"]["val"] == [asdict(figures) for figures in kept.figures]
    assert record["tuned_alone"] == [asdict(figures) for figures in kept.tuned_alone]
    assert record["tuned_alone"] != record["after"]["val"]


@pytest.mark.parametrize(
    ("architecture", "changes", "said"),
    [(TINY_RESNET, {}, True), (TINY_RESNET, {"frozen": "image"}, False), (TINY, {}, False)],
)
def test_mixing_batch_statistics_is_said(architecture, changes, said, starts, caplog, monkeypatch):
    monkeypatch.setattr(loop.log, "propagate", True)
    settings = replace(SETTINGS, wise=0.5, **changes)
    model = make_model(trained(weights=starts[architecture]), [], settings, name="tuned")
    new_run(model, settings, ALONE, torch.device("cpu"))
    assert ("--wise mixes running statistics" in caplog.text) == said


def test_a_run_ends_when_nothing_gets_better(starts, captioned, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(loop.log, "propagate", True)
    still = replace(SETTINGS, epochs=9, validate_every=1, learning_rate=1e-12, patience=2)
    with caplog.at_level("INFO", logger="georclip"):
        history = run(captioned, starts[TINY], tmp_path / "still.safetensors", still)
    assert len(history) == 3  # the first figure, and two that are no better
    assert "nothing better in 2 figures" in caplog.text
    assert not checkpoint_path(tmp_path / "still.safetensors").exists()


def test_forgetting_is_measured_on_pictures_of_another_kind(starts, captioned, tmp_path):
    others = [replace(image, source="others") for image in captioned if image.split == "val"]
    output = tmp_path / "tuned.safetensors"
    run(captioned, starts[TINY], output, replace(SETTINGS, half=True), forgetting=others)
    record = record_of(output)
    for when in ("before", "after"):
        (figures,) = record[when]["forgetting"]
        assert figures["source"] == "others"
        assert figures["zero_shot"] == record[when]["val"][0]["zero_shot"]  # the same pictures
    assert weights_of(output)["visual.proj"].dtype == torch.float16


def test_bf16_learns_as_well(starts, captioned, tmp_path):
    settings = replace(SETTINGS, precision="bf16")
    history = run(captioned, starts[TINY], tmp_path / "tuned.safetensors", settings)
    assert history[-1].loss < history[0].loss
    assert weights_of(tmp_path / "tuned.safetensors")["visual.proj"].dtype == torch.float32


def test_the_same_run_twice_gives_the_same_weights(starts, captioned, tmp_path):
    settings = resolve_settings(
        trained(weights=starts[TINY]), {"epochs": 1, "batch_size": 8}, torch.device("cpu")
    )
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    run(captioned, starts[TINY], one, settings)
    run(captioned, starts[TINY], two, settings)
    first, second = weights_of(one), weights_of(two)
    assert all(torch.equal(first[name], second[name]) for name in first)
