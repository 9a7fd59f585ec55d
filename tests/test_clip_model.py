"""open_clip's towers as something that can be trained, part by part."""

import copy

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from georclip.encoders.checkpoints import read_checkpoint
from georclip.encoders.clip import OpenClipEncoder
from georclip.encoders.like_lengths import embed_by_length
from georclip.encoders.loading import load_encoder
from georclip.encoders.preprocessing import preprocess
from georclip.errors import EncoderError
from georclip.training.models.clip_model import ClipModel
from georclip.training.models.freezing import choose_learning, set_training
from georclip.training.models.low_rank import merged
from georclip.training.models.mixing import mix
from georclip.training.models.recompute import recompute
from georclip.training.optimisation import WeightAverage, make_optimizer
from tests.helpers_clip import (
    SETTINGS,
    TINY_RESNET,
    clip_model,
    clip_spec,
    open_clip_embeddings,
    random_clip,
    register,
    write_clip,
)
from tests.helpers_encoders import TINY, pictures, starter_towers

TEXTS = ["a harbor with ships", "Farmland", "many green trees are near a long and narrow river ."]
BOTH = pytest.mark.parametrize("architecture", [TINY, TINY_RESNET])


@pytest.fixture(scope="module", autouse=True)
def registered(tmp_path_factory):
    register(tmp_path_factory.mktemp("architectures"))


def normalised(count=4):
    spec = clip_spec()
    return torch.from_numpy(preprocess(pictures(count, 32, 32), 32, spec.mean, spec.std))


def ids_of(model):
    return torch.from_numpy(np.stack([model.token_ids(text) for text in TEXTS]))


def step(model, held=()):
    """Learn once from two pictures; gives the weights before."""
    before = copy.deepcopy(model.module.state_dict())
    set_training(model, held)
    optimizer = make_optimizer(model, SETTINGS)
    images, texts = model.embed_images(normalised()), model.embed_texts(ids_of(model))
    (model.scale() * images @ texts.T)[:, 0].sum().backward()
    optimizer.step()
    return before


def changed(model, before):
    return {
        name
        for name, value in model.module.state_dict().items()
        if not torch.equal(value, before[name]) and "num_batches" not in name
    }


# --- the towers as they are ------------------------------------------------------------------


@BOTH
def test_embeddings_are_those_of_the_encoder(architecture):
    model = clip_model(architecture)
    encoder = model.encoder(model.file_weights(model.module.state_dict()))
    model.module.eval()
    pixels = pictures(4, 32, 32)
    with torch.no_grad():
        images, texts = model.embed_images(normalised()), model.embed_texts(ids_of(model))
    np.testing.assert_allclose(images, encoder.encode_images(pixels), atol=1e-5)
    np.testing.assert_allclose(texts, encoder.encode_texts(TEXTS), atol=1e-5)


def test_texts_cut_after_their_end_embed_and_learn_the_same():
    model = clip_model()
    ids = ids_of(model)
    ends = ids.argmax(dim=1) + 1
    assert torch.equal(model.lengths(ids), ends)
    assert ends.max() < 30 < ids.shape[1] == model.token_limit == 77
    whole = torch.nn.functional.normalize(model.module.encode_text(ids), dim=-1)
    cut = model.embed_texts(ids[:, : int(ends.max())])
    assert torch.allclose(whole, cut, atol=1e-6)
    places = model.module.positional_embedding
    one, two = (torch.autograd.grad(rows[:, 0].sum(), places)[0] for rows in (whole, cut))
    assert torch.allclose(one, two, rtol=1e-4, atol=1e-5)
    assert one.abs().sum() > 0


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=20), part=st.integers(1, 7))
def test_parts_of_like_length_keep_their_order_and_lose_nothing(lengths, part):
    ids = torch.zeros(len(lengths), 9, dtype=torch.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = row + 1
    seen = []

    def embed(own):
        seen.append(own.shape)
        return torch.stack([own.sum(dim=1), own.max(dim=1).values], dim=1)

    rows = embed_by_length(ids, torch.tensor(lengths), embed, part=part)
    assert rows[:, 0].tolist() == [(n + 1) * length for n, length in enumerate(lengths)]
    assert all(shape[0] <= part for shape in seen)
    assert sum(n * words for n, words in seen) <= len(lengths) * max(lengths)


def test_tokens_are_counted_before_they_are_cut():
    model = clip_model()
    assert model.count_tokens("ships") == 3
    assert model.count_tokens("ships " * 200) == 202
    assert model.split_words("Many  ships.") == ("Many", "ships.")


def test_the_temperature_is_taken_over_and_held(tmp_path):
    path = write_clip(tmp_path / "w.safetensors")
    checkpoint = read_checkpoint(path)
    checkpoint.state["logit_scale"].fill_(3.0)
    model = ClipModel.from_checkpoint(checkpoint, clip_spec())
    assert model.scale().item() == pytest.approx(np.exp(3.0), rel=1e-5)
    with torch.no_grad():
        model.module.logit_scale.fill_(9.0)
    model.hold_temperature()
    assert model.scale().item() == pytest.approx(100.0, rel=1e-5)
    assert model.module.logit_scale.exp().item() == pytest.approx(100.0, rel=1e-5)


def test_a_temperature_at_its_limit_still_learns(tmp_path):
    checkpoint = read_checkpoint(write_clip(tmp_path / "w.safetensors"))
    checkpoint.state["logit_scale"].fill_(np.log(100.0))  # where CLIP's own weights are
    model = ClipModel.from_checkpoint(checkpoint, clip_spec())
    (gradient,) = torch.autograd.grad(model.scale(), model.module.logit_scale)
    assert gradient.item() == pytest.approx(100.0, rel=1e-4)


def test_norms_biases_embeddings_and_temperature_do_not_decay():
    model = clip_model()
    optimizer = make_optimizer(model, SETTINGS)
    names = {value: name for name, value in model.module.named_parameters()}
    decayed = {
        names[value]
        for group in optimizer.param_groups
        for value in group["params"]
        if group["weight_decay"] > 0
    }
    assert "visual.transformer.resblocks.0.mlp.c_fc.weight" in decayed
    assert "text_projection" in decayed
    for name in decayed:
        assert not name.endswith((".bias", "positional_embedding", "token_embedding.weight"))
        assert "ln_" not in name
        assert name != "logit_scale"


# --- freezing --------------------------------------------------------------------------------


@BOTH
def test_a_held_image_tower_stays_and_the_text_tower_learns(architecture):
    model = clip_model(architecture)
    found = changed(model, step(model, choose_learning(model, "image", 0)))
    assert not any(name.startswith("visual.") for name in found)
    assert {"logit_scale", "text_projection", "token_embedding.weight"} <= found


@BOTH
def test_a_held_text_tower_stays_and_the_image_tower_learns(architecture):
    model = clip_model(architecture)
    found = changed(model, step(model, choose_learning(model, "text", 0)))
    assert found
    assert all(name.startswith("visual.") or name == "logit_scale" for name in found)


def test_the_first_blocks_stay_the_patch_embedding_counted():
    model = clip_model()
    found = changed(model, step(model, choose_learning(model, 2, 0)))
    held = ("visual.conv1", "visual.class_", "visual.positional", "visual.ln_pre")
    assert not any(name.startswith((*held, "visual.transformer.resblocks.0.")) for name in found)
    assert "visual.transformer.resblocks.1.mlp.c_fc.weight" in found
    assert "visual.proj" in found


def test_statistics_of_held_blocks_of_a_resnet_stay():
    model = clip_model(TINY_RESNET)
    found = changed(model, step(model, choose_learning(model, 2, 0)))
    assert "visual.layer2.0.bn1.running_mean" in found
    assert not any(
        name.startswith(("visual.bn", "visual.conv", "visual.layer1.")) for name in found
    )


@pytest.mark.parametrize(("architecture", "blocks"), [(TINY, 3), (TINY_RESNET, 6)])
def test_more_blocks_than_there_are_are_refused(architecture, blocks):
    choose_learning(clip_model(architecture), blocks, 0)
    with pytest.raises(EncoderError, match=f"image tower of {blocks} blocks"):
        choose_learning(clip_model(architecture), blocks + 1, 0)


# --- LoRA ------------------------------------------------------------------------------------


@BOTH
def test_projections_are_exposed_without_changing_what_is_computed(architecture):
    model = clip_model(architecture)
    model.module.eval()
    plain = model.module.state_dict()
    images, texts = model.embed_images(normalised()), model.embed_texts(ids_of(model))
    names = model.projections()
    assert torch.allclose(images, model.embed_images(normalised()), atol=1e-6)
    assert torch.allclose(texts, model.embed_texts(ids_of(model)), atol=1e-6)
    assert all(isinstance(model.module.get_submodule(n), torch.nn.Linear) for n in names)
    assert sum(name.startswith("visual.") for name in names) == (8 if architecture == TINY else 4)
    exposed = model.file_weights(model.module.state_dict())
    assert exposed.keys() == plain.keys()
    assert all(torch.equal(exposed[name], plain[name]) for name in plain)


@BOTH
def test_lora_learns_beside_held_weights_and_is_merged_exactly(architecture):
    model = clip_model(architecture)
    torch.manual_seed(1)
    held = choose_learning(model, "none", 2)
    learning = {name for name, value in model.module.named_parameters() if value.requires_grad}
    assert all(".lora_" in name or name == "logit_scale" for name in learning)
    start = model.file_weights(model.module.state_dict())
    found = changed(model, step(model, held))
    assert found == learning
    with torch.no_grad():
        for name, value in model.module.named_parameters():
            if ".lora_B" in name:  # both towers, noticeably
                value.normal_(std=0.5)
    weights = model.file_weights(model.module.state_dict())
    assert weights.keys() == random_clip(architecture).state_dict().keys()
    encoder = model.encoder(weights)
    with torch.no_grad():
        images, texts = model.embed_images(normalised()), model.embed_texts(ids_of(model))
    np.testing.assert_allclose(images, encoder.encode_images(pictures(4, 32, 32)), atol=1e-4)
    np.testing.assert_allclose(texts, encoder.encode_texts(TEXTS), atol=1e-4)
    moved = {name for name in weights if not torch.equal(weights[name], start[name])}
    assert "transformer.resblocks.0.attn.in_proj_weight" in moved
    assert any(name.startswith("visual.") for name in moved)


def test_what_is_merged_is_what_peft_merges():
    from peft.tuners.lora import LoraLayer

    model = clip_model()
    choose_learning(model, "none", 2)
    with torch.no_grad():
        for name, value in model.module.named_parameters():
            if ".lora_B" in name:
                value.normal_()
    ours = merged(model.module.state_dict())
    layers = {n: m for n, m in model.module.named_modules() if isinstance(m, LoraLayer)}
    for name, layer in layers.items():
        layer.merge()
        assert torch.allclose(layer.get_base_layer().weight, ours[f"{name}.weight"], atol=1e-6)


def test_lora_leaves_a_held_tower_alone():
    model = clip_model()
    choose_learning(model, "image", 2)
    found = [name for name, value in model.module.named_parameters() if ".lora_" in name]
    assert found
    assert not any(name.startswith("visual.") for name in found)


# --- memory, averages, mixes -----------------------------------------------------------------


@BOTH
def test_recomputing_gives_the_same_gradients_and_statistics(architecture):
    plain, sparing = clip_model(architecture), clip_model(architecture)
    sparing.save_memory()
    step(plain), step(sparing)
    one, two = plain.module.state_dict(), sparing.module.state_dict()
    assert one.keys() == two.keys()
    for name in one:
        assert torch.allclose(one[name].float(), two[name].float(), atol=1e-6), name


def test_recomputing_a_stage_of_the_starter_shows_it_each_batch_once():
    towers, _ = starter_towers()
    stage = towers.image.layers[4]
    other = copy.deepcopy(stage)
    recompute(stage)
    maps = torch.rand(4, 8, 8, 8)
    for block in (stage, other):
        block.train()
        block(maps.clone().requires_grad_()).sum().backward()
    for name, value in other.state_dict().items():
        assert torch.equal(value, stage.state_dict()[name]), name
    for one, two in zip(stage.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad)
    stage(maps).sum().backward()
    assert not torch.equal(
        other.state_dict()["first.1.running_mean"], stage.state_dict()["first.1.running_mean"]
    )


def test_averages_leave_held_weights_alone():
    model = clip_model()
    choose_learning(model, "image", 0)
    average = WeightAverage(model.module)
    with torch.no_grad():
        for value in model.module.parameters():
            value.add_(1.0)
    start = average.values["visual.proj"].clone()
    before = average.values["text_projection"].clone()
    average.update(model.module, 0.75)
    assert torch.equal(average.values["visual.proj"], start)
    assert torch.allclose(average.values["text_projection"], before + 0.25)


@given(share=st.floats(0, 1), seed=st.integers(0, 100))
@settings(max_examples=20)
def test_a_mix_lies_between_its_ends(share, seed):
    torch.manual_seed(seed)
    start = {"a": torch.randn(3, 2), "count": torch.tensor(1)}
    tuned = {"a": torch.randn(3, 2), "count": torch.tensor(7)}
    mixed = mix(start, tuned, share)
    assert torch.allclose(mixed["a"], (1 - share) * start["a"] + share * tuned["a"], atol=1e-6)
    assert mixed["count"] == 7
    assert torch.equal(mix(start, tuned, 1.0)["a"], tuned["a"])
    assert torch.equal(mix(start, tuned, 0.0)["a"], start["a"])


# --- files -----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("half", [False, True])
def test_a_written_file_loads_here_and_in_open_clip(architecture, half, tmp_path):
    model = clip_model(architecture)
    path = tmp_path / "tuned.safetensors"
    weights = model.file_weights(model.module.state_dict())
    model.write(path, weights, half=half)
    encoder = load_encoder(weights=path, device="cpu")
    assert isinstance(encoder, OpenClipEncoder)
    assert encoder.spec.architecture == architecture
    assert encoder.spec.activation == "quickgelu"
    assert encoder.spec.ground_size_m == (50.0, 100.0, 200.0)
    assert encoder.spec.licence == "MIT"
    images, texts = open_clip_embeddings(path, architecture, normalised(), TEXTS)
    np.testing.assert_allclose(encoder.encode_images(pictures(4, 32, 32)), images, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), texts, atol=1e-5)
    np.testing.assert_allclose(
        model.encoder(weights).encode_texts(TEXTS), texts, atol=2e-2 if half else 1e-5
    )
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    model = clip_model()
    path = tmp_path / "tuned.safetensors"
    path.write_bytes(b"before")
    monkeypatch.setattr("georclip.encoders.saving.save_file", _full_disk)
    with pytest.raises(EncoderError, match=r"cannot write.*No space left"):
        model.write(path, model.module.state_dict(), half=False)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def _full_disk(tensors, path, metadata):
    path.write_bytes(b"half of it")
    raise OSError(28, "No space left on device")


def test_the_test_compares_with_another_open_clip_model(tmp_path):
    """The comparison above would notice another activation."""
    model = clip_model()
    path = tmp_path / "tuned.safetensors"
    model.write(path, model.module.state_dict(), half=False)
    other = open_clip.create_model(TINY, pretrained=str(path)).eval()
    ids = open_clip.get_tokenizer(TINY)(TEXTS)
    with torch.no_grad():
        gelu = other.encode_text(ids, normalize=True).numpy()
    assert np.abs(load_encoder(weights=path, device="cpu").encode_texts(TEXTS) - gelu).max() > 1e-3
