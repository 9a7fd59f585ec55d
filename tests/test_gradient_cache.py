import weakref
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from georclip.captions.reading import read_captions
from georclip.errors import EncoderError
from georclip.training.dealing import deal
from georclip.training.distributed import Processes
from georclip.training.gradient_cache import chain, cut, embed_ahead, loss_gradient
from georclip.training.loop import train
from georclip.training.losses import contrastive_loss
from georclip.training.settings import TrainSettings
from georclip.training.step import Learner, backward, check_parts
from tests.helpers_steps import ClipPair, CompactPair, draw_batch, furthest, gradients, norms
from tests.helpers_training import TINY, draw_captioned, tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")


EXACT = 1e-6  # float32's rounding; a wrong sum differs in the first digits


def step(model, parts, batch=None):
    loss = backward(Learner(model, parts=parts), batch or draw_batch(), "fp32")
    return loss, gradients(model)


def held_graph(model, batch, parts):
    """The loss of parts' embeddings, every part's graph held: what dropout drew is the same."""
    images = torch.empty(0)
    for part in cut(len(batch.pictures), len(batch.ids), parts):
        vectors = model.embed_images(batch.pictures[part.pictures])
        sentences = model.embed_texts(batch.ids[part.sentences])
        if not len(images):
            images = vectors.new_zeros((len(batch.pictures), vectors.shape[1]))
            texts = vectors.new_zeros((len(batch.ids), vectors.shape[1]))
        images = images.index_copy(0, torch.arange(len(images))[part.pictures], vectors)
        texts = texts.index_copy(0, torch.arange(len(texts))[part.sentences], sentences)
    loss = contrastive_loss(images, texts, model.scale(), batch.positives)
    loss.backward()
    return float(loss.detach())


# --- equal to the whole batch ----------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 3, 5])  # of 7 pictures and 11 sentences: uneven ones
@pytest.mark.parametrize(
    "make", [ClipPair, lambda: CompactPair(frozen_statistics=True)], ids=["clip", "compact"]
)
def test_parts_give_the_gradient_of_the_whole_batch(make, parts):
    expected_loss, expected = step(make(), 1)
    loss, found = step(make(), parts)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    assert {"logit_scale", "log_scale"} & found.keys()
    assert furthest(expected, found) < EXACT


def test_dropout_is_repeated():
    whole, parts = ClipPair(dropout=0.3), ClipPair(dropout=0.3)
    batch = draw_batch()
    torch.manual_seed(8)
    expected_loss = held_graph(whole, batch, 3)
    drawn_after = torch.rand(4)
    torch.manual_seed(8)
    loss, found = step(parts, 3, batch)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    assert furthest(gradients(whole), found) < EXACT
    assert torch.equal(torch.rand(4), drawn_after)  # one step draws as one pass does
    torch.manual_seed(9)
    assert furthest(step(ClipPair(dropout=0.3), 3, batch)[1], found) > 1e-2


@given(
    pictures=st.integers(1, 12),
    more=st.integers(0, 12),
    parts=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_parts_are_exact_in_double_precision(pictures, more, parts, seed):
    parts = min(parts, pictures)
    torch.manual_seed(seed)
    image, text = nn.Linear(6, 4).double(), nn.Linear(5, 4).double()
    module = nn.ModuleList([image, text])
    log_scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    sentences = pictures + more
    seen, said = torch.randn(pictures, 6).double(), torch.randn(sentences, 5).double()
    positives = torch.eye(pictures, dtype=torch.bool)[:, torch.arange(sentences) % pictures]

    def towers(some, others):
        vectors = F.normalize(image(some).tanh(), dim=-1)
        return vectors, F.normalize(text(others).tanh(), dim=-1), log_scale.exp()

    weights = [*module.parameters(), log_scale]
    expected = torch.autograd.grad(contrastive_loss(*towers(seen, said), positives), weights)
    places = cut(pictures, sentences, parts)
    embedded, states = embed_ahead(towers, module, seen, said, places)
    assert len(states) == parts
    gradient = loss_gradient(embedded, positives)
    for number, part in enumerate(places):
        outputs = towers(seen[part.pictures], said[part.sentences])
        chain(outputs, gradient, part, last=number + 1 == parts)
    for weight, value in zip(weights, expected, strict=True):
        assert torch.allclose(weight.grad, value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("tower", ["visual", "text"])
def test_a_frozen_tower_gets_no_gradient(tower):
    def model():
        pair = ClipPair()
        for name, value in pair.module.named_parameters():
            if name.startswith("visual") == (tower == "visual") and name != "logit_scale":
                value.requires_grad_(False)
        return pair

    _, expected = step(model(), 1)
    _, found = step(model(), 2)
    assert "logit_scale" in found
    assert furthest(expected, found) < EXACT


def test_gradients_add_to_those_that_are_there():
    model = ClipPair()
    step(model, 3)
    _, twice = step(model, 3)
    _, once = step(ClipPair(), 3)
    assert furthest({name: 2 * value for name, value in once.items()}, twice) < EXACT


# --- batch statistics ------------------------------------------------------------------------


def test_batch_statistics_are_those_of_a_part():
    _, whole = step(CompactPair(frozen_statistics=False), 1)
    _, parts = step(CompactPair(frozen_statistics=False), 2)
    assert furthest(whole, parts) > 1e-3  # as the documentation says: not exact


def test_running_statistics_see_each_part_once():
    model, expected = (CompactPair(frozen_statistics=False) for _ in range(2))
    batch = draw_batch()
    step(model, 3, batch)
    for part in cut(len(batch.pictures), len(batch.ids), 3):
        expected.embed_images(batch.pictures[part.pictures])
    for found, wanted in zip(norms(model.module), norms(expected.module), strict=True):
        assert int(found.num_batches_tracked) == 3
        assert torch.allclose(found.running_mean, wanted.running_mean, atol=1e-7)
        assert torch.allclose(found.running_var, wanted.running_var, atol=1e-7)


# --- memory and parts ------------------------------------------------------------------------


def kept_for_gradients(model, parts):
    """Most bytes that graphs held at once, the weights themselves not counted."""
    weights = {value.untyped_storage().data_ptr() for value in model.module.parameters()}
    users: dict[int, int] = {}
    size = peak = 0

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor

    def drop(place, count):
        nonlocal size
        users[place] -= 1
        size -= count if not users[place] else 0

    def pack(tensor):
        nonlocal size, peak
        kept, storage = Kept(tensor), tensor.untyped_storage()
        place, count = storage.data_ptr(), storage.nbytes()
        if place not in weights:
            size += 0 if users.get(place) else count
            users[place] = users.get(place, 0) + 1
            peak = max(peak, size)
            weakref.finalize(kept, drop, place, count)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        step(model, parts)
    return peak


def test_parts_hold_a_parts_memory():
    whole, parts = kept_for_gradients(ClipPair(), 1), kept_for_gradients(ClipPair(), 4)
    assert whole > 1e6  # all activations are counted
    assert parts < 0.4 * whole  # the largest part has 2 of 7 pictures, 3 of 11 sentences


@given(count=st.integers(0, 40), parts=st.integers(1, 9))
def test_dealing_gives_everything_out_evenly(count, parts):
    hands = [list(range(count)[place]) for place in deal(count, parts)]
    assert sorted(number for hand in hands for number in hand) == list(range(count))
    assert max(map(len, hands)) - min(map(len, hands)) <= 1


def test_too_many_parts_are_refused():
    settings = TrainSettings(batch_size=12, micro_batches=3)
    check_parts(settings, Processes(rank=0, world=2))
    with pytest.raises(EncoderError, match=r"12 pictures is too small for 9 parts \(3 processes"):
        check_parts(settings, Processes(rank=0, world=3))
    with pytest.raises(EncoderError, match="cannot be cut into 0 parts"):
        TrainSettings(micro_batches=0)


def test_a_run_in_parts_learns(tmp_path):
    file, pictures = draw_captioned(tmp_path)
    images = read_captions([file], [pictures])
    settings = replace(TINY, micro_batches=2, epochs=3)
    output = tmp_path / "parts.safetensors"
    history = train(images, output, settings, model=tiny_model(images, settings), quiet=True)
    assert history[-1].loss < history[0].loss
    assert output.exists()
