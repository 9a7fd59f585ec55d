import numpy as np
import pytest
import torch

from georclip.captions.reading import read_captions
from tests.helpers_training import draw_captioned, tiny_model


@pytest.fixture
def model(tmp_path):
    file, pictures = draw_captioned(tmp_path)
    return tiny_model(read_captions([file], [pictures]))


def test_sentences_in_parts_of_like_length_embed_as_all_together(model):
    rng = np.random.default_rng(0)
    ids = torch.zeros(150, 20, dtype=torch.int64)  # more than a part
    for row, length in enumerate(rng.integers(1, 21, 150)):
        ids[row, :length] = torch.from_numpy(rng.integers(1, len(model.words), length))
    together, in_parts = model.module.text(ids), model.embed_texts(ids)
    assert torch.allclose(together, in_parts, atol=1e-6)
    (one,) = torch.autograd.grad(together[3].sum(), model.module.text.words.weight)
    (two,) = torch.autograd.grad(in_parts[3].sum(), model.module.text.words.weight)
    assert torch.allclose(one, two, atol=1e-6)


def test_a_temperature_beyond_its_limit_comes_back_and_learns(model):
    with torch.no_grad():
        model.module.log_scale.fill_(9.0)
    model.hold_temperature()
    assert model.scale().item() == pytest.approx(100.0, rel=1e-5)
    (gradient,) = torch.autograd.grad(model.scale(), model.module.log_scale)
    assert gradient.item() > 0
