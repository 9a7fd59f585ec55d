"""Text towers in numpy, against torch's."""

import math
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from georclip.encoders.clip import ClipTokenizer, OpenClipEncoder
from georclip.encoders.compact import TorchCompactEncoder
from georclip.encoders.exporting import export_text
from georclip.encoders.runtime import RuntimeEncoder
from georclip.encoders.text_export import export_clip, export_compact
from georclip.encoders.text_tower import error_function, gelu, quick_gelu
from georclip.errors import EncoderError, QueryError
from georclip.values import EncoderSpec
from tests.helpers_encoders import (
    TINY,
    WORDS,
    register_tiny,
    starter_spec,
    starter_towers,
    tiny_model,
)

pytestmark = pytest.mark.usefixtures("one_thread")
SENTENCES = ("a harbor with ships", "", "farmland & 12 lakes!", "dense houses " * 60, "Port")


def clip_encoder(folder: Path, *, quick: bool = False, model=None) -> OpenClipEncoder:
    register_tiny(folder)
    spec = EncoderSpec(
        name="tiny", architecture=TINY, activation="quickgelu" if quick else "gelu",
        weights_sha256="cd" * 32, dim=32, image_size_px=32, mean=(0.5,) * 3, std=(0.5,) * 3,
        ground_size_m=None, licence="MIT",
    )  # fmt: skip
    tower = model if model is not None else tiny_model(quick=quick)
    return OpenClipEncoder(tower, spec, device=torch.device("cpu"), tokenizer=ClipTokenizer(TINY))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("clip")


@pytest.mark.parametrize("quick", [False, True])
def test_clip_in_numpy_is_clip_in_torch(shared, tmp_path, quick):
    encoder = clip_encoder(shared, quick=quick)
    assert export_text(export_clip(encoder), encoder.spec, tmp_path) > 0.999999
    found = RuntimeEncoder.load(tmp_path)
    texts = [text for text in SENTENCES if text]
    wanted = encoder.encode_texts(texts)
    np.testing.assert_allclose(found.encode_texts(texts), wanted, atol=2e-6)
    other = clip_encoder(shared, quick=not quick).encode_texts(texts)
    assert np.abs(other - wanted).max() > 1e-3  # or the activation had no part in it
    assert found.unknown_words("zeppelin") == ()
    with pytest.raises(QueryError, match="the question is empty"):
        found.encode_texts([" "])


def test_the_starters_text_in_numpy_is_that_in_torch(tmp_path):
    towers, words = starter_towers()
    wanted = TorchCompactEncoder(towers, starter_spec(), words, "cpu")
    spec = starter_spec(weights_sha256="ab" * 32)
    assert export_text(export_compact(towers.text, words), spec, tmp_path) > 0.9999
    texts = ["a harbor with ships", "forest", "dense houses near a river " * 9]
    found = RuntimeEncoder.load(tmp_path).encode_texts(texts)
    np.testing.assert_allclose(found, wanted.encode_texts(texts), atol=3e-3)  # fp16 is stored


@given(texts=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=20), max_size=30))
def test_a_sentence_does_not_depend_on_its_neighbours(texts):
    towers, words = starter_towers()
    export = export_compact(towers.text, words)
    encoder = _numpy_encoder(export)
    sentences = [" ".join(one) for one in texts if set(one) - {"a", "the", "many"}]
    together = encoder.encode_texts(sentences)
    assert together.shape == (len(sentences), 32)
    of: dict[str, np.ndarray] = {}
    for text, row in zip(sentences, together, strict=True):
        assert np.array_equal(of.setdefault(text, row), row)  # to the bit: ties stay ties
        np.testing.assert_allclose(row, encoder.encode_texts([text])[0], atol=2e-6)


_KEPT: dict[str, RuntimeEncoder] = {}


def _numpy_encoder(export):
    if "encoder" not in _KEPT:
        import tempfile

        folder = tempfile.mkdtemp(prefix="georclip-text-")
        export_text(export, starter_spec(weights_sha256="ab" * 32), folder)
        _KEPT["encoder"] = RuntimeEncoder.load(folder)
    return _KEPT["encoder"]


def test_what_is_not_built_as_clip_is_refused(shared):
    encoder = clip_encoder(shared)
    encoder.model.text_pool_type = "last"
    with pytest.raises(EncoderError, match="another pooling than CLIP's"):
        export_clip(encoder)
    encoder = clip_encoder(shared)
    encoder.model.attn_mask = None
    with pytest.raises(EncoderError, match="other parts than CLIP's"):
        export_clip(encoder)
    encoder = clip_encoder(shared)
    encoder.model.transformer.resblocks[0].ls_1 = open_clip.transformer.LayerScale(32)
    with pytest.raises(EncoderError, match="other layers than CLIP's"):
        export_clip(encoder)


@given(st.floats(-8, 8, width=32))
def test_the_error_function_and_what_is_made_of_it(value):
    values = np.array([value], dtype=np.float32)
    assert error_function(values)[0] == pytest.approx(math.erf(value), abs=4e-7)
    tensor = torch.tensor([value])
    assert gelu(values)[0] == pytest.approx(torch.nn.functional.gelu(tensor).item(), abs=2e-6)
    assert quick_gelu(values)[0] == pytest.approx(
        (tensor * torch.sigmoid(1.702 * tensor)).item(), abs=2e-6
    )
