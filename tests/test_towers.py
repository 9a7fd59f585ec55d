"""What the comparison of image towers does with its time, on tiny towers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from georclip.captions.pictures import decode_images
from georclip.captions.reading import read_captions
from georclip.training.data.batches import BatchMaker
from georclip.training.distributed import ALONE
from georclip.training.models.compact_model import CompactModel
from georclip.training.run import new_run, take_step
from tests.benchmarks import towers
from tests.benchmarks.towers import Comparison, Contender, encoder_of, print_results, replace_body
from tests.helpers_training import TINY, draw_captioned

pytestmark = pytest.mark.usefixtures("one_thread")
TOWER = Contender(name="tiny", architecture="starter-tiny")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    file, pictures = draw_captioned(tmp_path_factory.mktemp("drawn"))
    return read_captions([file], [pictures])


def test_more_time_pays_for_more_pictures_and_more_is_learnt(images, capsys, monkeypatch):
    monkeypatch.setattr(Comparison, "_price", lambda self, contender: 0.5)
    settings = replace(TINY, epochs=1, warmup_epochs=0.1)
    few, many = (Comparison(images, settings, seconds).train(TOWER) for seconds in (0.5, 30.0))
    assert (few.images, many.images) == (8, 60 * 8)
    assert 0 < few.processor_s < many.processor_s
    assert many.figures[0].precision_at_10 == 1.0
    assert many.figures[0].mean_recall > few.figures[0].mean_recall
    print_results([few, many])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| tiny")]
    assert [row.split("|")[3].strip() for row in rows] == ["8", "480"]


def test_a_step_has_a_price(images):
    assert 0 < Comparison(images, TINY, 1.0)._price(TOWER) < 10


def test_another_body_learns_and_embeds(images):
    settings = replace(TINY, epochs=1)
    model = CompactModel.from_scratch("starter-lite0-w256", images, settings, name="other")
    replace_body(model, "convnext_atto")
    run = new_run(model, settings, ALONE, torch.device("cpu"))
    before = encoder_of(run).encode_texts(["a port"])
    pixels = decode_images(images, max_side_px=64)
    batch = next(BatchMaker(images, pixels, model, settings).epoch(0))
    take_step(run, batch, 0, 1)
    encoder = encoder_of(run)
    assert encoder.encode_images(np.zeros((2, 3, 32, 32), np.uint8)).shape == (2, 256)
    assert not np.allclose(encoder.encode_texts(["a port"]), before)


def test_without_imagenets_weights_the_others_are_compared(monkeypatch, capsys):
    def missing():
        raise towers.EncoderError("not there")

    monkeypatch.setattr(towers, "find_lite0", missing)
    found = towers.contenders()
    assert found
    assert not any(one.imagenet for one in found)
    assert "nothing starts from ImageNet" in capsys.readouterr().out
