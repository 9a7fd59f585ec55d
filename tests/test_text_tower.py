"""Text towers in numpy, against torch's."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from georclip.encoders.bundle import write_bundle
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
    shared_starter,
    starter_spec,
    starter_towers,
    tiny_model,
)

pytestmark = pytest.mark.usefixtures("one_thread")
SENTENCES = (
    "a harbor with ships", "farmland & 12 lakes!", "dense houses " * 60, "Port",
    "ships <end_of_text> harbor",
)  # fmt: skip


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
    wanted = encoder.encode_texts(SENTENCES)
    np.testing.assert_allclose(found.encode_texts(SENTENCES), wanted, atol=2e-6)
    other = clip_encoder(shared, quick=not quick).encode_texts(SENTENCES)
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
    encoder = RuntimeEncoder.load(shared_starter())
    sentences = [" ".join(one) for one in texts if set(one) - {"a", "the", "many"}]
    together = encoder.encode_texts(sentences)
    assert together.shape == (len(sentences), 32)
    of: dict[str, np.ndarray] = {}
    for text, row in zip(sentences, together, strict=True):
        assert np.array_equal(of.setdefault(text, row), row)  # to the bit: ties stay ties
        np.testing.assert_allclose(row, encoder.encode_texts([text])[0], atol=2e-6)


def test_an_export_with_the_other_activation_is_refused(shared, tmp_path):
    export = export_clip(clip_encoder(shared))
    shape = replace(export.shape, activation="quickgelu")
    with pytest.raises(EncoderError, match=r"differ from torch's: cosine .* at least 0.99999"):
        export_text(replace(export, shape=shape), clip_encoder(shared).spec, tmp_path)
    assert not (tmp_path / "encoder.json").exists()


HOSTILE = {
    "context_length": [float("inf"), 0, -5, 10**12, 2.5, True, "77"],
    "text": [{"layers": 1.5}, {"heads": 2.5}, {"heads": 3}, {"heads": 10**9}, {"layers": 9}],
    "files": [{"../../x": {"bytes": 1, "sha256": "", "sample": ""}}, {"text.safetensors": 3}],
    "spec": [{"name": "evil\x1b]0;x\x07\nError: fake"}, {"dim": 1e9}, {"dim": 31}, {"licence": 3}],
    "tokenizer": ["words", "runes"],
}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, vs in HOSTILE.items() for v in vs])
def test_a_hostile_record_ends_in_one_line(shared, tmp_path, key, value):
    encoder = clip_encoder(shared)
    export_text(export_clip(encoder), encoder.spec, tmp_path)
    path = tmp_path / "encoder.json"
    content = json.loads(path.read_text())
    content[key] = content[key] | value if isinstance(value, dict) else value
    path.write_text(json.dumps(content))
    with pytest.raises((EncoderError, QueryError)) as caught:
        RuntimeEncoder.load(tmp_path).encode_texts(["a harbor with ships " * 40])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("odd", ["bf16", "short table", "wide norm", "none", "nested"])
def test_a_hostile_tower_ends_in_one_line(shared, tmp_path, odd):
    encoder = clip_encoder(shared)
    export = export_clip(encoder)
    export_text(export, encoder.spec, tmp_path)
    weights = dict(export.weights)
    if odd == "bf16":
        weights = {name: value.bfloat16() for name, value in weights.items()}
    elif odd == "short table":
        weights["words"] = weights["words"][:100]
    elif odd == "wide norm":
        weights["norm.weight"] = torch.ones(33)
    elif odd == "none":
        weights = {"words": weights["words"]}
    names = replace(export, weights=weights).write(tmp_path)
    write_bundle(
        tmp_path, spec=encoder.spec, tokenizer="clip", context_length=77, text=export.shape,
        names=names,
    )  # fmt: skip
    if odd == "nested":
        (tmp_path / "encoder.json").write_text("[" * 100_000)
    with pytest.raises(EncoderError):
        RuntimeEncoder.load(tmp_path).encode_texts(["a harbor"])


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
