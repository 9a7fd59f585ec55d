import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from georclip.captions.pictures import decode_images
from georclip.captions.reading import read_captions
from georclip.cli.train import train as command
from georclip.encoders.compact import TorchCompactEncoder, read_compact
from georclip.encoders.words import WordTokenizer
from georclip.errors import CaptionError, EncoderError
from georclip.training import loop
from georclip.training.augment import (
    drop_words,
    random_view,
    replace_phrases,
    synonym_groups,
    vary_colour,
    vary_sensor,
)
from georclip.training.batches import BatchMaker
from georclip.training.checkpoint import checkpoint_path
from georclip.training.loop import learning_rate, train
from georclip.training.release import release
from georclip.training.settings import TrainSettings
from tests.helpers_training import TINY, draw_captioned


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def captioned(tmp_path):
    file, pictures = draw_captioned(tmp_path)
    return read_captions([file], [pictures])


def batches_of(captioned, settings=TINY):
    learnt = [image for image in captioned if image.split == "train"]
    words = loop.build_vocabulary(learnt, min_count=1, more=[*loop.PROMPTS])
    pixels = decode_images(learnt, max_side_px=40)
    return BatchMaker(learnt, pixels, WordTokenizer(words, 32), settings)


# --- a whole run ---------------------------------------------------------------------------


def test_a_run_learns_and_says_what_it_did(tmp_path, captioned):
    output = tmp_path / "tiny.safetensors"
    history = train(captioned, output, TINY, quiet=True)
    assert [record.epoch for record in history] == [1, 2, 3, 4]
    assert history[-1].loss < history[0].loss
    assert history[-1].figures[0].precision_at_10 == 1.0  # three plain colours
    encoder = TorchCompactEncoder.load(output)
    assert encoder.spec.name == "tiny"
    pixels = np.zeros((3, 3, 40, 40), dtype=np.uint8)
    pixels[0, 0], pixels[1, 1], pixels[2, 2] = 200, 190, 200
    texts = ["storage tanks", "green farmland", "a port"]
    assert (encoder.encode_texts(texts) @ encoder.encode_images(pixels).T).argmax(1).tolist() == [
        0,
        1,
        2,
    ]
    record = json.loads((tmp_path / "tiny.training.json").read_text())
    assert record["settings"]["seed"] == 0
    assert record["images"] == {"train": {"captions": 30}, "val": {"captions": 9}}
    rows = list(csv.DictReader((tmp_path / "tiny.training.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0]["captions p@10"] == ""  # measured every other epoch
    assert rows[-1]["captions p@10"] == "1.0"
    assert not checkpoint_path(output).exists()


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, captioned, monkeypatch):
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    train(captioned, whole, TINY, quiet=True)
    real, steps = loop._step, []

    def dies(run, batch):
        steps.append(1)
        if len(steps) == 8:  # in the third epoch of three steps each
            raise KeyboardInterrupt
        return real(run, batch)

    monkeypatch.setattr(loop, "_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train(captioned, killed, TINY, quiet=True)
    monkeypatch.setattr(loop, "_step", real)
    with pytest.raises(EncoderError, match="--resume it, or remove"):
        train(captioned, killed, TINY, quiet=True)
    history = train(captioned, killed, TINY, resume=True, quiet=True)
    assert [record.epoch for record in history] == [1, 2, 3, 4]
    expected, found = load_file(whole), load_file(killed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_resuming_with_other_options_is_refused(tmp_path, captioned, monkeypatch):
    output = tmp_path / "tiny.safetensors"
    with pytest.raises(EncoderError, match="no run to resume"):
        train(captioned, output, TINY, resume=True, quiet=True)
    monkeypatch.setattr(type(checkpoint_path(output)), "unlink", lambda self: None)
    train(captioned, output, replace(TINY, epochs=1), quiet=True)
    with pytest.raises(EncoderError, match="other options or captions"):
        train(captioned, output, TINY, resume=True, quiet=True)


def test_a_damaged_checkpoint_is_refused(tmp_path, captioned):
    output = tmp_path / "tiny.safetensors"
    checkpoint_path(output).write_bytes(b"no checkpoint")
    with pytest.raises(EncoderError, match="cannot resume from"):
        train(captioned, output, TINY, resume=True, quiet=True)


def test_training_goes_on_from_weights(tmp_path, captioned):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train(captioned, first, TINY, quiet=True)
    slow = replace(TINY, epochs=1, learning_rate=1e-5)
    (record,) = train(captioned, second, slow, start=first, quiet=True)
    assert record.figures[0].precision_at_10 == 1.0
    with pytest.raises(EncoderError, match="leave --architecture out"):
        train(captioned, second, TrainSettings(batch_size=8), start=first, quiet=True)


def test_a_file_named_twice_is_learnt_twice_and_measured_once(tmp_path, captioned):
    output = tmp_path / "tiny.safetensors"
    (record,) = train([*captioned, *captioned], output, replace(TINY, epochs=1), quiet=True)
    assert record.figures[0].images == 9
    notes = json.loads((tmp_path / "tiny.training.json").read_text())
    assert notes["images"] == {"train": {"captions": 60}, "val": {"captions": 9}}


def test_too_few_training_images_are_refused(tmp_path, captioned):
    held_out = [image for image in captioned if image.split == "val"]
    with pytest.raises(CaptionError, match=r"0 images in the split 'train'.*found: val"):
        train(held_out, tmp_path / "x.safetensors", TINY, quiet=True)


# --- batches -------------------------------------------------------------------------------


def test_the_same_seed_and_epoch_give_the_same_batches(captioned):
    one, two = batches_of(captioned), batches_of(captioned)
    for first, second in zip(one.epoch(1), two.epoch(1), strict=True):
        assert torch.equal(first.pictures, second.pictures)
        assert torch.equal(first.ids, second.ids)
        assert torch.equal(first.positives, second.positives)
    assert not torch.equal(next(one.epoch(1)).pictures, next(one.epoch(2)).pictures)


def test_pictures_of_one_caption_are_positives_of_each_other(captioned):
    maker = batches_of(captioned, replace(TINY, prompt_share=0.0, batch_size=30))
    (batch,) = maker.epoch(0)
    assert batch.positives.sum(dim=1).tolist() == [10] * 30  # ten pictures share each caption


def test_view_sizes_share_the_epochs():
    settings = TrainSettings(epochs=6, view_sizes_px=(64, 96, 128))
    assert [settings.view_size_px(epoch) for epoch in range(6)] == [64, 64, 96, 96, 128, 128]


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}, {"view_sizes_px": (16,)}]
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(EncoderError):
        TrainSettings(**wrong)


def test_the_learning_rate_warms_up_and_falls_to_zero():
    settings = TrainSettings(epochs=10, learning_rate=1e-3, warmup_epochs=2)
    rates = [learning_rate(settings, step, 5) for step in range(50)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) in (9, 10)
    assert 0 <= rates[-1] < 1e-5


# --- augmentation --------------------------------------------------------------------------


def test_views_are_turned_flipped_and_cropped_without_inventing_pixels():
    rng = np.random.default_rng(0)
    pixels = rng.integers(50, 200, (40, 60, 3), dtype=np.uint8)
    views = [random_view(pixels, 24, rng) for _ in range(30)]
    assert all(view.shape == (3, 24, 24) and view.dtype == np.uint8 for view in views)
    assert min(view.min() for view in views) >= 50
    assert max(view.max() for view in views) < 200
    corner = np.zeros((64, 64, 3), dtype=np.uint8)
    corner[:32, :32] = 255
    small = [random_view(corner, 32, rng, smallest_crop=0.02) for _ in range(60)]
    assert any(view.min() == 255 for view in small)  # inside the white quarter


def test_all_eight_orientations_occur():
    corner = np.zeros((32, 32, 3), dtype=np.uint8)
    corner[:16, :16] = 255
    corner[:16, 16:] = 120
    rng = np.random.default_rng(1)
    seen = {
        tuple((random_view(corner, 32, rng)[0, ::31, ::31] // 60).ravel().tolist())
        for _ in range(300)
    }
    whole = np.array([[4, 2], [0, 0]])
    turned = [np.rot90(whole, k) for k in range(4)]
    wanted = {tuple(one.ravel().tolist()) for t in turned for one in (t, t[:, ::-1])}
    assert wanted <= seen


def test_colours_vary_within_range_and_repeat_with_the_seed():
    pictures = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    one = vary_colour(pictures.clone(), torch.Generator().manual_seed(5))
    two = vary_colour(pictures.clone(), torch.Generator().manual_seed(5))
    assert torch.equal(one, two)
    assert one.min() >= 0.0
    assert one.max() <= 1.0
    assert (one - pictures).abs().mean() > 0.01


def test_other_sensors_change_tint_and_cut_corners():
    pictures = torch.full((200, 3, 16, 16), 0.5)
    varied = vary_sensor(pictures, torch.Generator().manual_seed(0))
    assert torch.equal(varied, vary_sensor(pictures, torch.Generator().manual_seed(0)))
    assert varied.min() >= 0.0
    assert varied.max() <= 1.0
    red_to_blue = varied[:, 0, 8, 8] / varied[:, 2, 8, 8]
    assert red_to_blue.min() < 0.8
    assert red_to_blue.max() > 1.25
    black = (varied == 0).all(dim=1).float().mean(dim=(1, 2))  # share without data
    assert 0.02 < (black > 0).float().mean() < 0.2
    assert black.max() < 0.6


def test_synonyms_become_one_canonical_phrase():
    groups = synonym_groups()
    said = replace_phrases("many vessel in a marina near a car park".split(), groups, rng=None)
    assert " ".join(said) == "many ship in a harbor near a parking lot"


def test_synonyms_are_swapped_at_random():
    groups = synonym_groups()
    rng = np.random.default_rng(0)
    said = {" ".join(replace_phrases(["port"], groups, rng=rng)) for _ in range(60)}
    assert said == {"harbor", "port", "dock", "marina"}
    kept = replace_phrases(["port"], groups, rng=rng, probability=0.0)
    assert kept == ("port",)


def test_words_are_dropped_but_never_all():
    rng = np.random.default_rng(0)
    assert drop_words(("a", "b"), rng, probability=1.0) == ("a", "b")
    lengths = {len(drop_words(tuple("abcdefgh"), rng, probability=0.3)) for _ in range(50)}
    assert max(lengths) <= 8
    assert len(lengths) > 2


# --- release and command line --------------------------------------------------------------


def test_release_ships_what_it_measured(tmp_path, captioned):
    weights = tmp_path / "run.safetensors"
    train(captioned, weights, TINY, quiet=True)
    (figure,) = release(weights, tmp_path / "box", captioned)
    assert figure.precision_at_10 == 1.0
    written = json.loads((tmp_path / "box" / "figures.json").read_text())
    assert written["figures"][0]["precision_at_10"] == 1.0
    assert written["lowest_cosine_exported_to_torch"] >= 0.999
    towers, spec, _ = read_compact(tmp_path / "box" / "starter.safetensors")
    assert spec.name == "starter"
    assert (tmp_path / "box" / "training.csv").is_file()
    full, _, _ = read_compact(weights)
    for half, whole in zip(towers.parameters(), full.parameters(), strict=True):
        assert torch.allclose(half, whole, atol=2e-3, rtol=2e-3)


def test_release_without_val_images_is_refused(tmp_path, captioned):
    learnt = [image for image in captioned if image.split == "train"]
    with pytest.raises(CaptionError, match="split 'val'"):
        release(tmp_path / "none.safetensors", tmp_path / "box", learnt)


def test_the_command_trains(tmp_path):
    file, pictures = draw_captioned(tmp_path)
    output = tmp_path / "out.safetensors"
    arguments = [str(file), "--images", str(pictures), "-o", str(output), "--from-scratch"]
    arguments += ["--architecture", "starter-tiny", "--image-size", "32", "--view-sizes", "32"]
    arguments += ["--epochs", "1", "--batch-size", "8", "--ground-size", "75,400,2000"]
    result = CliRunner().invoke(command, [*arguments, "--threads", "1", "--quiet"])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(output)
    _, spec, _ = read_compact(output)
    assert spec.ground_size_m == (75.0, 400.0, 2000.0)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "either --from-scratch or --weights"),
        (["--from-scratch", "--weights", "x"], "either --from-scratch or --weights"),
        (["--from-scratch", "--ground-size", "9,3,1"], "LOW <= TYPICAL <= HIGH"),
        (["--from-scratch", "--ground-size", "a,b,c"], "not numbers"),
        (["--from-scratch", "--ground-size", "1,2,inf"], "not numbers"),
        (["--from-scratch", "--view-sizes", "inf"], "not numbers"),
        (["--from-scratch", "-o", "x.pt"], "must end in .safetensors"),
    ],
)
def test_wrong_usage_of_the_command(more, message):
    arguments = ["c.json", "--images", ".", "-o", "x.safetensors", *more]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert message in result.stderr
