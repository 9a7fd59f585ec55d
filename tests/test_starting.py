"""What a run starts from, and the settings that suit it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from georclip.captions.records import CaptionedImage
from georclip.encoders.checkpoints import read_checkpoint
from georclip.encoders.compact import write_compact
from georclip.errors import CaptionError, EncoderError
from georclip.training.defaults import in_words, resolve_settings, usual_precision
from georclip.training.distributed import ALONE
from georclip.training.models.starting import make_model, scratch, trained
from georclip.training.run import check_settings, split_images
from georclip.training.settings import TrainSettings
from tests.helpers_clip import TINY_RESNET, clip_model, register, write_clip
from tests.helpers_encoders import TINY, starter_spec, starter_towers

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def registered(tmp_path_factory):
    register(tmp_path_factory.mktemp("architectures"))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def test_nothing_said_is_remoteclip_and_what_else_there_is_is_said(offline):
    with pytest.raises(
        EncoderError, match=r"remoteclip-vit-b-32 cannot be fetched.*--from-scratch"
    ):
        trained()


def test_the_model_in_the_box_can_be_gone_on_with():
    start = trained("starter")
    assert start.kind == "compact"
    assert start.origin.name == "starter"
    settings = resolve_settings(start, {}, CPU)
    model = make_model(start, [], settings, name="mine")
    assert model.spec.name == "mine"
    assert model.spec.ground_size_m == start.spec.ground_size_m
    assert model.started()


def test_a_checkpoint_of_open_clips(tmp_path):
    path = write_clip(tmp_path / "w.safetensors")
    start = trained(weights=path)
    assert (start.kind, start.spec.architecture) == ("clip", TINY)
    assert start.origin.sha256 == read_checkpoint(path).sha256
    settings = resolve_settings(start, {"epochs": 3}, CPU)
    assert settings.epochs == 3
    assert settings.view_sizes_px == (32,)
    assert settings.synonym_share == 0.0
    assert settings.licence.startswith("MIT; tuned: ")
    model = make_model(start, [], settings, name="mine")
    assert model.spec.ground_size_m == (50.0, 100.0, 200.0)
    weights = model.module.state_dict()
    assert all(torch.equal(weights[k], v) for k, v in start.checkpoint.state.items())
    with pytest.raises(EncoderError, match="pictures of 32 px: leave --image-size out"):
        make_model(start, [], replace(settings, image_size_px=64), name="mine")
    with pytest.raises(EncoderError, match="--imagenet goes with"):
        make_model(start, [], settings, name="mine", imagenet=True)


def test_a_checkpoint_of_georclips_own(tmp_path):
    towers, tokenizer = starter_towers()
    write_compact(tmp_path / "own.safetensors", towers, starter_spec(), tokenizer)
    start = trained(weights=tmp_path / "own.safetensors")
    assert (start.kind, start.origin.name) == ("compact", "own.safetensors")
    assert resolve_settings(start, {}, CPU).view_sizes_px == (64,)


def test_a_missing_checkpoint_and_an_unknown_model_are_refused(tmp_path):
    with pytest.raises(EncoderError, match="no weights at"):
        trained(weights=tmp_path / "none.pt")
    with pytest.raises(EncoderError, match="no model is called"):
        trained("nonesuch")


@pytest.mark.parametrize("architecture", [TINY, TINY_RESNET])
def test_random_weights_of_open_clips_take_any_picture_size(architecture):
    start = scratch(architecture)
    settings = resolve_settings(start, {"image_size_px": 64}, CPU)
    assert settings.view_sizes_px == (64,)
    model = make_model(start, [], settings, name="new")
    assert model.spec.image_size_px == 64
    assert model.embed_images(torch.zeros(2, 3, 64, 64)).shape == (2, 32)
    assert not model.started()


def test_random_weights_default_to_the_starters_towers():
    start = scratch()
    assert start.spec.architecture == "starter-lite0-w256"
    settings = resolve_settings(start, {}, CPU)
    usual = TrainSettings(precision=settings.precision)
    assert settings == usual
    assert resolve_settings(start, {"image_size_px": 96}, CPU).view_sizes_px == (96,)
    with pytest.raises(EncoderError, match="no architecture 'RN51'"):
        scratch("RN51")
    with pytest.raises(EncoderError, match="georclip's own are starter-lite0-w256"):
        scratch("lite0")
    with pytest.raises(EncoderError, match="did you mean starter-lite0-w256"):
        scratch("starter-lite0")


def test_lora_learns_faster_than_all_weights_and_scratch_faster_than_trained(tmp_path):
    start = trained(weights=write_clip(tmp_path / "w.safetensors"))
    all_weights = resolve_settings(start, {}, CPU).learning_rate
    assert all_weights < resolve_settings(start, {"lora_rank": 4}, CPU).learning_rate
    assert all_weights < resolve_settings(scratch(TINY), {}, CPU).learning_rate
    assert resolve_settings(start, {"lora_rank": 4, "learning_rate": 0.1}, CPU).learning_rate == 0.1


@pytest.mark.parametrize(
    ("avx", "amx", "wanted"),
    [(True, False, "bf16"), (False, True, "bf16"), (False, False, "fp32")],
)
def test_bf16_where_the_cpu_computes_in_it(monkeypatch, avx, amx, wanted):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert usual_precision(CPU) == wanted
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert usual_precision(CPU) == "fp32"  # a torch that does not tell


def test_a_run_is_said_in_words():
    start = scratch()
    said = in_words(start, resolve_settings(start, {"precision": "bf16"}, CPU), 68, CPU)
    assert "starter-lite0-w256 from random weights on cpu in bf16" in said
    assert "30 epochs of 68 steps of 128 pictures" in said
    assert "learning rate 0.001, weight decay" in said
    said = in_words(start, resolve_settings(start, {}, CPU), 68, CPU, imagenet=True)
    assert "from ImageNet (the image tower) and random weights on" in said
    assert "learning rate 0.001 (x 0.3 where weights come trained)" in said


# --- settings that a model cannot follow -----------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "is_trained", "message"),
    [
        ({"view_sizes_px": (32, 64)}, True, "32 px and no others"),
        ({"wise": 0.5}, False, "--wise mixes with the start"),
        ({"lora_rank": 2}, False, "--lora adapts trained weights"),
    ],
)
def test_settings_that_a_start_cannot_follow_are_refused(changes, is_trained, message):
    settings = TrainSettings(**{"image_size_px": 32, "view_sizes_px": (32,), **changes})
    with pytest.raises(EncoderError, match=message):
        check_settings(settings, clip_model(), trained=is_trained, processes=ALONE)


@pytest.mark.parametrize("wrong", [{"wise": 1.5}, {"lora_rank": -1}, {"validate_every": 0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(EncoderError):
        TrainSettings(**wrong)


def test_patience_needs_something_to_wait_for():
    image = CaptionedImage(
        path=Path("a.png"), split="train", label="", sentences=("a",), source="s"
    )
    settings = TrainSettings(batch_size=2, patience=1)
    with pytest.raises(CaptionError, match="--patience needs images of the split 'val'"):
        split_images([image, image], settings)
