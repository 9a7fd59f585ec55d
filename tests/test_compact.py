import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from georclip.captions.reading import read_captions
from georclip.encoders.compact import TorchCompactEncoder, read_compact, write_compact
from georclip.encoders.compact_shapes import ARCHITECTURES
from georclip.encoders.compact_towers import CompactTowers
from georclip.encoders.exporting import export_towers
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.text_export import export_compact
from georclip.encoders.words import WordTokenizer
from georclip.errors import EncoderError, QueryError
from georclip.training.validation import HeldOut
from georclip.values import EncoderSpec

STARTER = Path(__file__).parents[1] / "georclip" / "encoders" / "starter"
WORDS = ("harbor", "ship", "with", "a", "forest", "bridge", "over", "river")


def tiny(seed=0, architecture="starter-tiny"):
    torch.manual_seed(seed)
    tokenizer = WordTokenizer(WORDS, 32)
    towers = CompactTowers(architecture, len(tokenizer)).eval()
    spec = EncoderSpec(
        name="tiny",
        architecture=architecture,
        activation="relu",
        weights_sha256="",
        dim=ARCHITECTURES[architecture].dim,
        image_size_px=64,
        mean=(0.4, 0.4, 0.4),
        std=(0.2, 0.2, 0.2),
        ground_size_m=(75.0, 400.0, 2000.0),
        licence="none",
    )
    return towers, spec, tokenizer


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "tiny.safetensors"
    write_compact(path, *tiny())
    return path


def pictures(count=3, side=50):
    return np.random.default_rng(0).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def test_embeddings_are_unit_vectors(weights):
    encoder = TorchCompactEncoder.load(weights)
    images = encoder.encode_images(pictures())
    texts = encoder.encode_texts(["a harbor with ships", "forest"])
    assert images.shape == (3, 32)
    assert texts.shape == (2, 32)
    for vectors in (images, texts):
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_padding_does_not_change_a_sentence(weights):
    towers, _, tokenizer = read_compact(weights)
    ids = torch.from_numpy(tokenizer.encode("harbor with ships").ids)[None]
    with torch.inference_mode():
        assert torch.allclose(towers.text(ids), towers.text(ids[:, :3]), atol=1e-6)


def test_word_order_matters(weights):
    encoder = TorchCompactEncoder.load(weights)
    one, two = encoder.encode_texts(["bridge over river", "river over bridge"])
    assert not np.allclose(one, two, atol=1e-4)


def test_weights_come_back_as_they_went(weights):
    towers, spec, tokenizer = read_compact(weights)
    before, spec_before, _ = tiny()
    for name, value in before.state_dict().items():
        assert torch.equal(towers.state_dict()[name], value), name
    assert tokenizer.words == WORDS
    assert len(spec.weights_sha256) == 64
    assert (spec.mean, spec.ground_size_m) == (spec_before.mean, spec_before.ground_size_m)


def test_half_weights_are_smaller_and_nearly_the_same(tmp_path, weights):
    half = tmp_path / "half.safetensors"
    write_compact(half, *tiny(), half=True)
    assert half.stat().st_size < weights.stat().st_size
    one, two = TorchCompactEncoder.load(weights), TorchCompactEncoder.load(half)
    cosines = (one.encode_images(pictures()) * two.encode_images(pictures())).sum(axis=1)
    assert cosines.min() > 0.9999


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x08" + b"\0" * 7 + b"{}      "])
def test_files_that_hold_no_towers_are_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(EncoderError):
        read_compact(path)


def test_an_unknown_architecture_is_refused_by_name():
    with pytest.raises(EncoderError, match="'ViT-B-32' is not an architecture of georclip's own"):
        CompactTowers("ViT-B-32", 10)


def test_a_sentence_without_known_words_is_refused_with_near_ones(weights):
    encoder = TorchCompactEncoder.load(weights)
    with pytest.raises(QueryError, match="harbor"):
        encoder.encode_texts(["harbr"])
    with pytest.raises(QueryError):
        encoder.encode_texts([""])
    assert encoder.unknown_words("zebras near ships") == ("zebra",)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_exported_towers_equal_torch(tmp_path, architecture):
    towers, spec, tokenizer = tiny(seed=1, architecture=architecture)
    done = export_towers(
        towers.image, export_compact(towers.text, tokenizer), spec, tmp_path / "out"
    )
    assert done.cosine >= 0.999
    exported = RuntimeEncoder.load(tmp_path / "out")
    encoder = TorchCompactEncoder(towers, spec, tokenizer, "cpu")
    images = (exported.encode_images(pictures()) * encoder.encode_images(pictures())).sum(axis=1)
    said = ["a harbor with ships", "bridge over river"]
    texts = (exported.encode_texts(said) * encoder.encode_texts(said)).sum(axis=1)
    assert min(images.min(), texts.min()) >= 0.999


# --- the model in the box ------------------------------------------------------------------


def test_the_box_is_small():
    assert sum(path.stat().st_size for path in STARTER.iterdir()) <= 25e6


def test_the_shipped_export_equals_the_shipped_weights():
    torch_encoder = TorchCompactEncoder.load(STARTER / "starter.safetensors")
    exported = RuntimeEncoder.load(STARTER)
    assert torch_encoder.spec.architecture == exported.spec.architecture
    assert torch_encoder.spec.mean == exported.spec.mean
    seen = pictures(4, 150)
    images = (torch_encoder.encode_images(seen) * exported.encode_images(seen)).sum(axis=1)
    said = ["harbor with ships", "farmland", "storage tanks", "airport with planes"]
    texts = (torch_encoder.encode_texts(said) * exported.encode_texts(said)).sum(axis=1)
    assert min(images.min(), texts.min()) >= 0.999


@pytest.mark.parametrize(
    "question",
    [
        "harbor with ships",
        "airport with planes",
        "farmland with lakes",
        "storage tanks",
        "stadium",
        "a bridge over a river",
        "dense houses",
        "car park beside a motorway",
        "BaseballField",
    ],
)
def test_questions_in_plain_words_are_known(question):
    assert RuntimeEncoder.load(STARTER).unknown_words(question) == ()


def test_the_model_card_tells_the_measured_figures():
    figures = json.loads((STARTER / "figures.json").read_text(encoding="utf-8"))["figures"]
    card = (STARTER / "MODEL_CARD.md").read_text(encoding="utf-8")
    rsicd = next(figure for figure in figures if "rsicd" in figure["source"])
    ucm = next(figure for figure in figures if "ucm" in figure["source"])
    assert rsicd["precision_at_10"] >= 0.95
    assert rsicd["mean_recall"] >= 18
    assert ucm["mean_recall"] >= 48
    for figure in figures:
        assert f"| {figure['precision_at_10']:.3f} | {figure['mean_recall']:.1f} % |" in card


def test_figures_on_the_val_split_are_as_written():
    data = Path(os.environ.get("GEORCLIP_SHARED_DATA", STARTER.parents[3] / "shared" / "data"))
    folder = data / "captions" / "ucm"
    if not folder.is_dir():
        pytest.skip(f"the caption data is not on this machine ({folder})")
    images = read_captions([folder / "dataset_ucm.json"], [folder / "images"])
    held_out = [image for image in images if image.split == "val"]
    encoder = RuntimeEncoder.load(STARTER)
    (found,) = HeldOut(held_out, encoder.spec.image_size_px, quiet=True).measure(encoder)
    written = json.loads((STARTER / "figures.json").read_text(encoding="utf-8"))["figures"]
    (expected,) = [figure for figure in written if figure["source"] == "dataset_ucm"]
    assert found.precision_at_10 == pytest.approx(expected["precision_at_10"], abs=0.02)
    assert found.mean_recall == pytest.approx(expected["mean_recall"], abs=0.5)
