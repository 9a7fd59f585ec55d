from __future__ import annotations

import io
import zipfile

import pytest

from georclip.encoders.registry import WeightsSource, get
from georclip.encoders.weights import (
    fetch_weights,
    find_weights,
    recall_checkpoint,
    remember_checkpoint,
    weights_place,
)
from georclip.errors import EncoderError
from tests.helpers_encoders import serve, tiny_entry


@pytest.fixture(autouse=True)
def own_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there


@pytest.fixture
def hub(monkeypatch):
    with serve() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url + "/")
        yield served


def test_the_second_file_where_the_first_is_not_there(hub):
    hub.put("/somebody/tiny/resolve/main/tiny.pt", b"weights")
    path = fetch_weights(tiny_entry())
    assert path.name == "tiny.pt"
    assert path.read_bytes() == b"weights"
    asked = len(hub.asked)
    assert fetch_weights(tiny_entry()) == path == find_weights(tiny_entry())
    assert len(hub.asked) == asked  # what is here is not fetched again


def test_the_first_file_is_preferred(hub):
    hub.put("/somebody/tiny/resolve/main/sub/tiny.safetensors", b"safe")
    hub.put("/somebody/tiny/resolve/main/tiny.pt", b"weights")
    assert fetch_weights(tiny_entry()).name == "tiny.safetensors"


def test_a_zip_from_a_plain_address(hub):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("tiny/epoch_20.pt", b"weights")
    hub.put("/ckpt/tiny.zip", packed.getvalue())
    entry = tiny_entry(weights=WeightsSource(url=f"{hub.url}/ckpt/tiny.zip"))
    path = fetch_weights(entry)
    assert path == weights_place(entry) == find_weights(entry)
    assert path.read_bytes() == b"weights"


def test_without_a_network_the_error_says_where_to_put_the_file():
    entry = get("remoteclip-vit-b-32")
    with pytest.raises(EncoderError) as caught:
        fetch_weights(entry)
    message = str(caught.value)
    assert "Connection refused" in message
    assert f"copy the file to {weights_place(entry)}" in message
    assert "--weights FILE --model remoteclip-vit-b-32" in message
    assert "\n" not in message


def test_a_file_put_there_by_hand_is_found():
    entry = get("remoteclip-vit-b-32")
    assert find_weights(entry) is None
    weights_place(entry).parent.mkdir(parents=True)
    weights_place(entry).write_bytes(b"weights")
    assert find_weights(entry) == weights_place(entry)


def test_the_hubs_own_cache_is_used(tmp_path):
    entry = get("georsclip-vit-b-32")
    snapshot = tmp_path / "hub" / "models--Zilun--GeoRSCLIP" / "snapshots" / "abc"
    (snapshot / "ckpt").mkdir(parents=True)
    (snapshot / "ckpt" / "RS5M_ViT-B-32.pt").write_bytes(b"weights")
    assert find_weights(entry) == snapshot / "ckpt" / "RS5M_ViT-B-32.pt"


def test_a_model_that_no_server_has(hub):
    with pytest.raises(EncoderError, match=r"none of sub/tiny.safetensors, tiny.pt is there"):
        fetch_weights(tiny_entry())


def test_a_partial_download_is_not_found(hub):
    hub.put("/somebody/tiny/resolve/main/tiny.pt", b"weights" * 1000)
    hub.cut_after = 100
    with pytest.raises(EncoderError, match="broke off"):
        fetch_weights(tiny_entry())
    assert find_weights(tiny_entry()) is None


def test_the_starter_is_not_fetched():
    with pytest.raises(EncoderError, match="nothing to fetch"):
        fetch_weights(get("starter"))


def test_where_checkpoints_lie_is_remembered(tmp_path, monkeypatch):
    assert recall_checkpoint("ab" * 32) is None
    assert recall_checkpoint("../../elsewhere") is None
    remember_checkpoint("ab" * 32, tmp_path / "mine.pt")
    assert recall_checkpoint("ab" * 32) == tmp_path / "mine.pt"
    remember_checkpoint("ab" * 32, tmp_path / "moved.pt")
    assert recall_checkpoint("ab" * 32) == tmp_path / "moved.pt"
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GEORCLIP_CACHE", str(tmp_path / "file"))
    remember_checkpoint("ab" * 32, tmp_path / "mine.pt")  # no harm
    assert recall_checkpoint("ab" * 32) is None
