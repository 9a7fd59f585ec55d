from __future__ import annotations

import logging

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from georclip.encoders.clip import (
    OpenClipEncoder,
    architecture_size,
    build_model,
    choose_device,
    load_weights,
    split_architecture,
)
from georclip.encoders.preprocessing import CLIP_MEAN, CLIP_STD
from georclip.encoders.torch_pictures import GPU_BATCH, batch_that_fits
from georclip.errors import EncoderError, QueryError
from tests.helpers_encoders import (
    TINY,
    cosines,
    pictures,
    register_tiny,
    starter_spec,
    tiny_model,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def tiny_registered(tmp_path_factory):
    register_tiny(tmp_path_factory.getbasetemp())


def spec(**changes):
    values = {
        "name": "tiny",
        "architecture": TINY,
        "activation": "gelu",
        "image_size_px": 32,
        "mean": CLIP_MEAN,
        "std": CLIP_STD,
    }
    return starter_spec(**{**values, **changes})


def encoder(*, batch_size=None, model=None):
    return OpenClipEncoder(model or tiny_model(), spec(), device=CPU, batch_size=batch_size)


def test_images_as_open_clip_does_them():
    model = tiny_model()
    transform = open_clip.image_transform(32, is_train=False, mean=CLIP_MEAN, std=CLIP_STD)
    pixels = pictures(5, 80, 80)
    ready = torch.stack([transform(Image.fromarray(p.transpose(1, 2, 0))) for p in pixels])
    with torch.no_grad():
        wanted = model.encode_image(ready).numpy()
    found = encoder(model=model).encode_images(pixels)
    assert cosines(found, wanted).min() > 0.9999
    assert cosines(found, np.roll(wanted, 1, axis=0)).max() < 0.9999
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)
    assert found.dtype == np.float32


def test_texts_as_open_clip_does_them():
    model = tiny_model()
    texts = ["a harbor with ships", "Farmland", "häuser"]
    with torch.no_grad():
        wanted = model.encode_text(open_clip.get_tokenizer(TINY)(texts)).numpy()
    found = encoder(model=model).encode_texts(texts)
    assert cosines(found, wanted).min() > 0.99999
    assert encoder().unknown_words("zeppelin") == ()


def test_a_picture_does_not_depend_on_its_batch():
    pixels = pictures(7, 50, 40)
    together = encoder().encode_images(pixels)
    in_twos = encoder(batch_size=2).encode_images(pixels)
    alone = np.concatenate([encoder().encode_images(pixels[n : n + 1]) for n in range(7)])
    assert cosines(together, alone).min() > 0.99999
    assert cosines(together, in_twos).min() > 0.99999


def test_nothing_in_nothing_out():
    assert encoder().encode_images(np.empty((0, 3, 4, 4), np.uint8)).shape == (0, 32)
    assert encoder().encode_texts([]).shape == (0, 32)


def test_an_empty_question_and_wrong_pixels_are_refused():
    with pytest.raises(QueryError, match="empty"):
        encoder().encode_texts(["harbor", " "])
    with pytest.raises(EncoderError, match="uint8"):
        encoder().encode_images(np.zeros((2, 3, 4, 4)))
    with pytest.raises(EncoderError, match="at least one"):
        encoder(batch_size=0)


def test_the_activation_is_what_is_asked_for():
    state = tiny_model().state_dict()
    rows = {}
    for activation in ("gelu", "quickgelu"):
        model = build_model(TINY, activation=activation, image_size_px=32)
        load_weights(model, state, architecture=TINY, where="w.pt")
        rows[activation] = encoder(model=model).encode_texts(["harbor"])
        quick = [m for m in model.modules() if type(m).__name__ == "QuickGELU"]
        assert bool(quick) == (activation == "quickgelu")
    wanted = encoder(model=tiny_model(quick=True)).encode_texts(["harbor"])
    assert np.linalg.norm(rows["quickgelu"] - wanted) < 1e-4
    assert np.linalg.norm(rows["gelu"] - wanted) > 1e-3


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ViT-B-32", ("ViT-B-32", "gelu")),
        ("ViT-B-32-quickgelu", ("ViT-B-32", "quickgelu")),
        ("RN50", ("RN50", "gelu")),
        ("ViT-B-16-quickgelu", ("ViT-B-16", "quickgelu")),
    ],
)
def test_an_architectures_name_and_its_activation(name, wanted):
    assert split_architecture(name) == wanted


def test_architectures_that_are_not_loaded():
    with pytest.raises(EncoderError, match=r"no architecture 'vit-b32'; near ones: .*ViT-B-32"):
        split_architecture("vit-b32")
    with pytest.raises(EncoderError, match="no plain CLIP"):
        split_architecture("coca_ViT-B-32")
    with pytest.raises(EncoderError, match="no plain CLIP"):
        split_architecture("roberta-ViT-B-32")


@pytest.mark.parametrize("name", ["hf-hub:somebody/model", "local-dir:/somewhere"])
def test_a_name_does_not_make_open_clip_fetch_or_read(name, monkeypatch):
    monkeypatch.setattr(open_clip, "get_model_config", lambda _: pytest.fail("it was asked"))
    with pytest.raises(EncoderError, match="no architecture"):
        split_architecture(name)
    with pytest.raises(EncoderError, match="no architecture"):
        build_model(name, activation="gelu", image_size_px=224)


def test_sizes():
    assert architecture_size("RN50") == (1024, 224)
    assert architecture_size("ViT-L-14") == (768, 224)


def test_logit_scale_may_be_missing_and_other_weights_may_not():
    state = tiny_model(seed=3).state_dict()
    del state["logit_scale"]
    model = tiny_model()
    load_weights(model, state, architecture=TINY, where="w.pt")
    assert torch.equal(model.state_dict()["visual.proj"], state["visual.proj"])
    del state["visual.proj"]
    with pytest.raises(EncoderError, match=r"w.pt holds no CLIP, not tiny-clip: 1 missing"):
        load_weights(model, state, architecture=TINY, where="w.pt")


@pytest.mark.parametrize(("held", "asked"), [("RN50", "ViT-B-32"), ("ViT-B-16", "ViT-B-32")])
def test_another_architecture_names_both(held, asked):
    with torch.device("meta"):
        state = open_clip.CLIP(**open_clip.get_model_config(held)).state_dict()
        model = open_clip.CLIP(**open_clip.get_model_config(asked))
    with pytest.raises(EncoderError, match=rf"w.pt holds {held}, not {asked}: .*--model"):
        load_weights(model, state, architecture=asked, where="w.pt")


@pytest.mark.parametrize(("name", "dim"), [("RN50", 1024), ("ViT-B-32", 512)])
def test_real_architectures_encode(name, dim):
    torch.manual_seed(0)
    state = build_model(name, activation="gelu", image_size_px=224).state_dict()
    model = build_model(name, activation="quickgelu", image_size_px=224)
    load_weights(model, state, architecture=name, where="w.pt")
    real = OpenClipEncoder(model, spec(architecture=name, dim=dim, image_size_px=224), device=CPU)
    rows = real.encode_images(pictures(2, 300, 300))
    texts = real.encode_texts(["a bridge over a river"])
    assert rows.shape == (2, dim)
    assert texts.shape == (1, dim)
    assert np.isfinite(rows).all()


class Greedy(torch.nn.Module):
    """A model whose GPU holds so many pictures and no more."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.batches: list[int] = []

    def encode_image(self, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > self.most:
            raise torch.cuda.OutOfMemoryError("out of memory")
        self.batches.append(len(batch))
        return batch.mean(dim=(2, 3)).repeat(1, 11)[:, :32]


def test_a_batch_that_is_too_much_is_halved():
    model = Greedy(3)
    halving = encoder(model=model, batch_size=16)
    rows = halving.encode_images(pictures(10))
    assert model.batches == [2, 2, 2, 2, 2]
    assert halving.batch_size == 2
    np.testing.assert_array_equal(rows, encoder(model=Greedy(99)).encode_images(pictures(10)))


def test_a_gpu_too_small_for_one_picture_is_an_error():
    with pytest.raises(EncoderError, match="no memory for one picture"):
        encoder(model=Greedy(0)).encode_images(pictures(3))


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    assert choose_device("cpu") == CPU
    with pytest.raises(EncoderError, match="no CUDA GPU"):
        choose_device("cuda")
    assert encoder().device == "cpu (torch)"


def test_torch_and_logging_are_left_as_they_were(caplog):
    before = torch.get_float32_matmul_precision()
    handlers = list(logging.getLogger().handlers)
    build_model(TINY, activation="gelu", image_size_px=32)
    encoder().encode_texts(["harbor"])
    assert torch.get_float32_matmul_precision() == before
    assert logging.getLogger().handlers == handlers
    assert not caplog.records


@pytest.mark.parametrize(
    ("free", "picture", "wanted"),
    [(80e9, 20e6, GPU_BATCH), (1e9, 20e6, 25), (1e6, 20e6, 1), (0, 20e6, 1), (1e9, 0, GPU_BATCH)],
)
def test_a_batch_takes_half_of_the_free_memory(free, picture, wanted):
    assert batch_that_fits(int(free), picture) == wanted


def test_a_first_batch_on_a_gpu_tells_how_many_fit(monkeypatch):
    """What can be said without a GPU: the tower runs on the CPU, the card's answers are made up."""
    wanted = encoder().encode_images(pictures(20))
    one = encoder()
    images = one._pictures
    monkeypatch.setattr(images, "_sized", False)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 1_000)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 81_000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (100_000, 200_000))
    found = one.encode_images(pictures(20))
    assert one.batch_size == 5  # half of 100,000 bytes, at 10,000 a picture
    assert cosines(found, wanted).min() > 0.99999
