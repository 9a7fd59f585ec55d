import pytest
import torch

from georclip.encoders.compact_towers import CompactTowers
from georclip.errors import EncoderError
from georclip.training.models.imagenet import find_lite0, load_lite0


@pytest.fixture
def tower():
    torch.manual_seed(0)
    return CompactTowers("starter-lite0-w256", 10).image.eval()


def test_the_body_gets_imagenets_weights_and_the_projection_stays(tower):
    projection = tower.projection.weight.clone()
    loaded = torch.load(find_lite0(), weights_only=True)
    replaced = load_lite0(tower, find_lite0())
    state = tower.state_dict()
    assert replaced == {name for name in state if name.startswith("body.")}
    assert torch.equal(state["body.conv_stem.weight"], loaded["_conv_stem.weight"])
    assert torch.equal(state["body.bn2.running_var"], loaded["_bn1.running_var"])
    first = "_blocks.1._depthwise_conv.weight"
    assert torch.equal(state["body.blocks.1.0.conv_dw.weight"], loaded[first])
    assert torch.equal(tower.projection.weight, projection)


def test_trained_features_are_alive(tower):
    load_lite0(tower, find_lite0())
    smooth = torch.nn.functional.interpolate(torch.rand(4, 3, 4, 4), size=96, mode="bicubic")
    with torch.inference_mode():
        features = tower.body(smooth * 2 - 1)
    assert features.shape == (4, 1280)
    assert bool(torch.isfinite(features).all())
    assert float(features.std(dim=0).mean()) > 0.01  # pictures differ


def test_other_files_and_towers_are_refused(tower, tmp_path):
    torch.save({"a": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(EncoderError, match="does not hold"):
        load_lite0(tower, tmp_path / "x.pth")
    (tmp_path / "y.pth").write_bytes(b"no weights")
    with pytest.raises(EncoderError, match="cannot read"):
        load_lite0(tower, tmp_path / "y.pth")
    with pytest.raises(EncoderError, match="only the architecture"):
        load_lite0(CompactTowers("starter-tiny", 10).image, find_lite0())
