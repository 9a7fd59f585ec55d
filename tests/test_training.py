import csv
import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from georclip.captions.pictures import decode_images
from georclip.captions.reading import read_captions
from georclip.cli.train import train as command
from georclip.encoders.compact import TorchCompactEncoder, read_compact
from georclip.errors import CaptionError, EncoderError
from georclip.training import loop
from georclip.training import run as running
from georclip.training.checkpoint import checkpoint_path
from georclip.training.data.batches import BatchMaker
from georclip.training.data.fingerprint import ordered_digest
from georclip.training.distributed import Processes
from georclip.training.loop import train
from georclip.training.models.compact_model import CompactModel
from georclip.training.optimisation import learning_rate
from georclip.training.record import Origin
from georclip.training.release import release
from georclip.training.run import split_images
from georclip.training.settings import TrainSettings
from tests.helpers_training import TINY, draw_captioned, tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def captioned(tmp_path):
    file, pictures = draw_captioned(tmp_path)
    return read_captions([file], [pictures])


def batches_of(captioned, settings=TINY):
    learnt = [image for image in captioned if image.split == "train"]
    pixels = decode_images(learnt, max_side_px=40)
    return BatchMaker(learnt, pixels, tiny_model(captioned, settings), settings)


def run(images, output, settings=TINY, *, model=None, resume=False):
    model = model or tiny_model(images, settings, name=output.stem)
    return train(images, output, settings, model=model, resume=resume, quiet=True)


# --- a whole run ---------------------------------------------------------------------------


def test_a_run_learns_and_says_what_it_did(tmp_path, captioned):
    output = tmp_path / "tiny.safetensors"
    history = run(captioned, output)
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


@contextmanager
def dying_in_step(count):
    """Within, a run is interrupted in its `count`-th step; three steps are an epoch."""
    real, steps = running.backward, []

    def dies(*arguments):
        steps.append(1)
        if len(steps) == count:
            raise KeyboardInterrupt
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(running, "backward", dies)
        yield


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, captioned):
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    run(captioned, whole)
    with dying_in_step(8):
        run(captioned, killed)
    with pytest.raises(EncoderError, match="--resume it, or remove"):
        run(captioned, killed)
    history = run(captioned, killed, resume=True)
    assert [record.epoch for record in history] == [1, 2, 3, 4]
    expected, found = load_file(whole), load_file(killed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_resuming_with_other_options_or_captions_is_refused(tmp_path, captioned):
    output = tmp_path / "tiny.safetensors"
    with pytest.raises(EncoderError, match=r"no run to resume: .* leave --resume out"):
        run(captioned, output, resume=True)
    with dying_in_step(4):
        run(captioned, output)
    with pytest.raises(
        EncoderError, match=r"another run \(--epochs 4 then, 5 now; --seed 0 then, 1 now\)"
    ):
        run(captioned, output, replace(TINY, epochs=5, seed=1), resume=True)
    reworded = [replace(image, sentences=("a road",)) for image in captioned[:1]]
    with pytest.raises(EncoderError, match=r"another run \(other captions or pictures"):
        run([*reworded, *captioned[1:]], output, model=tiny_model(captioned), resume=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("order", "or another order of them"),
        ("folder", "or another order of them"),
        ("forgetting", "other pictures of --forgetting"),
        ("processes", "another number of processes"),
    ],
)
def test_resuming_on_the_same_pictures_in_another_order_is_refused(
    tmp_path, captioned, change, said
):
    """Batches are drawn by position, and pictures of equal name may lie in two subfolders."""
    one, two = tmp_path / "one" / "a.png", tmp_path / "two" / "a.png"
    for path, image in zip((one, two), captioned[:2], strict=True):
        path.parent.mkdir()
        path.write_bytes(image.path.read_bytes())
    images = [replace(captioned[0], path=one), replace(captioned[0], path=two), *captioned[2:]]
    output = tmp_path / "tiny.safetensors"
    others = [replace(images[-1], source="others")]
    model = tiny_model(captioned)
    options = {"model": model, "quiet": True, "forgetting": others}
    with dying_in_step(4):
        train(images, output, TINY, **options)
    if change == "order":
        images[2], images[3] = images[3], images[2]
    elif change == "folder":
        images[0], images[1] = images[1], images[0]
    elif change == "forgetting":
        options["forgetting"] = []
    else:
        options["processes"] = Processes(rank=1, world=2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "new_run", lambda *_: None)  # of processes that are not there
        with pytest.raises(EncoderError, match=rf"another run \([^;]*{said}\): give the same"):
            train(images, output, TINY, resume=True, **options)


def test_options_are_named_as_they_are_typed(tmp_path, captioned):
    output = tmp_path / "tiny.safetensors"
    with dying_in_step(4):
        run(captioned, output)
    others = replace(TINY, micro_batches=2, ground_size_m=(1.0, 2.0, 3.0))
    with pytest.raises(EncoderError, match="--accum 1 then, 2 now") as caught:
        run(captioned, output, others, resume=True)
    assert "--ground-size None then, [1.0, 2.0, 3.0] now" in str(caught.value)
    model = tiny_model(captioned)
    model._spec = replace(model.spec, activation="gelu")
    with pytest.raises(EncoderError, match="the model's activation relu then, gelu now"):
        run(captioned, output, model=model, resume=True)


def test_a_data_set_may_move_before_a_run_goes_on(captioned):
    moved = [replace(image, path=Path("/away") / image.path.name) for image in captioned]
    assert ordered_digest(moved) == ordered_digest(captioned)
    assert ordered_digest([*captioned, captioned[0]]) != ordered_digest(captioned)


def test_pictures_are_looked_at_when_all_else_is_in_order(tmp_path, captioned, monkeypatch):
    def looked(*_, **__):
        raise AssertionError("pictures were looked at")

    monkeypatch.setattr(loop, "check_images", looked)
    monkeypatch.setattr(loop, "decode_images", looked)
    for wrong, message in (
        (replace(TINY, frozen=99), "--freeze 99"),
        (replace(TINY, micro_batches=8), "too small for 8 parts"),
    ):
        with pytest.raises(EncoderError, match=message):
            run(captioned, tmp_path / "o.safetensors", wrong)
    with pytest.raises(EncoderError, match="no run to resume"):
        run(captioned, tmp_path / "o.safetensors", resume=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with pytest.raises(EncoderError, match="--lora needs peft"):
        train(captioned, tmp_path / "o.safetensors", replace(TINY, lora_rank=2),
              model=tiny_model(captioned), origin=Origin(trained=True), quiet=True)  # fmt: skip


@pytest.mark.parametrize("split", ["val", "test"])
def test_pictures_that_are_learnt_and_held_out_are_refused(captioned, split):
    first = captioned[0]
    around = first.path.parent / ".." / first.path.parent.name / first.path.name
    other = replace(first, split=split, path=around, source="other")
    with pytest.raises(
        CaptionError, match=rf"1 images are in the split 'train'.*{first.path.name}"
    ):
        split_images([*captioned, other], TINY)


@pytest.mark.parametrize("content", [b"", b"abc", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_refused(tmp_path, captioned, content):
    output = tmp_path / "tiny.safetensors"
    if content is None:
        with dying_in_step(4):
            run(captioned, output)
        content = checkpoint_path(output).read_bytes()[:-100]
    checkpoint_path(output).write_bytes(content)
    with pytest.raises(EncoderError, match=r"cannot resume from .* it is damaged"):
        run(captioned, output, resume=True)


def test_a_run_whose_kept_weights_are_gone_is_not_resumed(tmp_path, captioned):
    output = tmp_path / "tiny.safetensors"
    with dying_in_step(7):  # after the second epoch, which is measured
        run(captioned, output)
    output.unlink()
    with pytest.raises(EncoderError, match=r"tiny.safetensors, the best weights .* is missing"):
        run(captioned, output, resume=True)


def test_training_goes_on_from_weights(tmp_path, captioned):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    run(captioned, first)
    slow = replace(TINY, epochs=1, learning_rate=1e-5)
    started = CompactModel.from_weights(first, slow, name="second")
    (record,) = run(captioned, second, slow, model=started)
    assert record.figures[0].precision_at_10 == 1.0


def test_lora_and_a_mix_work_on_georclips_own_towers_too(tmp_path, captioned):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    run(captioned, first, replace(TINY, epochs=1))
    settings = replace(TINY, epochs=2, lora_rank=4, wise=0.5, checkpointing=True)
    model = CompactModel.from_weights(first, settings, name="second")
    origin = Origin(name="first", sha256="0", trained=True)
    history = train(captioned, second, settings, model=model, origin=origin, quiet=True)
    assert history[-1].loss < history[0].loss
    start, tuned = load_file(first), load_file(second)
    moved = {name for name in start if not torch.allclose(start[name], tuned[name], atol=1e-7)}
    assert {"text.projection.weight", "image.projection.weight", "log_scale"} <= moved
    assert not any("layers" in name and name.startswith("image.") for name in moved)
    assert TorchCompactEncoder.load(second).spec.name == "second"


def test_a_file_named_twice_is_learnt_twice_and_measured_once(tmp_path, captioned):
    output = tmp_path / "tiny.safetensors"
    (record,) = run([*captioned, *captioned], output, replace(TINY, epochs=1))
    assert record.figures[0].images == 9
    notes = json.loads((tmp_path / "tiny.training.json").read_text())
    assert notes["images"] == {"train": {"captions": 60}, "val": {"captions": 9}}


def test_too_few_training_images_are_refused(tmp_path, captioned):
    held_out = [image for image in captioned if image.split == "val"]
    with pytest.raises(CaptionError, match=r"0 images in the split 'train'.*found: val"):
        split_images(held_out, TINY)


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


@pytest.mark.parametrize("steps", [1, 3, 5, 67])
def test_the_learning_rate_never_exceeds_its_peak(steps):
    settings = TrainSettings(epochs=4, learning_rate=1e-3, warmup_epochs=0.5)
    rates = [learning_rate(settings, step, steps) for step in range(4 * steps)]
    assert 0.9e-3 < max(rates) <= 1e-3


def test_the_learning_rate_warms_up_and_falls_to_zero():
    settings = TrainSettings(epochs=10, learning_rate=1e-3, warmup_epochs=2)
    rates = [learning_rate(settings, step, 5) for step in range(50)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) in (9, 10)
    assert 0 <= rates[-1] < 1e-5


# --- release and command line --------------------------------------------------------------


def test_release_ships_what_it_measured(tmp_path, captioned):
    weights = tmp_path / "run.safetensors"
    run(captioned, weights)
    other = tmp_path / "other.safetensors"
    run(captioned, other, replace(TINY, epochs=1, seed=1))
    (figure,) = release(weights, tmp_path / "box", captioned, other_runs=[other])
    assert figure.precision_at_10 == 1.0
    written = json.loads((tmp_path / "box" / "figures.json").read_text())
    assert written["figures"][0]["precision_at_10"] == 1.0
    assert written["lowest_cosine_exported_to_torch"] >= 0.999
    assert list(written["seeds"]) == ["run", "other"]
    assert written["seeds"]["run"][0]["mean_recall"] == figure.mean_recall
    assert written["seeds"]["other"][0]["mean_recall"] != figure.mean_recall
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
        (["--from-scratch", "--weights", "x"], "leave --model, --weights out"),
        (["--from-scratch", "--model", "x"], "leave --model, --weights out"),
        (["--architecture", "RN50"], "goes with --from-scratch"),
        (["--from-scratch", "--activation", "gelu"], "name the activation in --architecture"),
        (["--freeze", "all"], "none of image, text, none, or a number"),
        (["--from-scratch", "--ground-size", "9,3,1"], "LOW <= TYPICAL <= HIGH"),
        (["--from-scratch", "--ground-size", "a,b,c"], "not a list of numbers"),
        (["--from-scratch", "--ground-size", "1,2,inf"], "LOW <= TYPICAL <= HIGH"),
        (["--from-scratch", "--view-sizes", "inf"], "not a list of numbers"),
        (["--from-scratch", "-o", "x.pt"], "must end in .safetensors"),
        (["--from-scratch", "-o", "none/x.safetensors"], "/none does not exist"),
        (["--weights", "./x.safetensors"], "is what the run starts from"),
        (["--from-scratch", "--forgetting-images", "."], "goes with --forgetting"),
    ],
)
def test_wrong_usage_of_the_command(more, message):
    arguments = ["c.json", "--images", ".", "-o", "x.safetensors", *more]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert message in result.stderr
