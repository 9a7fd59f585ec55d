"""What the benchmarks print and where they write, on a few drawn pictures."""

from dataclasses import replace

from georclip.evaluation.in_scene import InSceneSettings
from georclip.testing import COLOURS, FakeEncoder
from tests.benchmarks import in_scene, real_scenes
from tests.helpers_mosaic import draw_pictures


def test_a_layout_is_laid_once_and_pictures_need_no_class(tmp_path, capsys, monkeypatch):
    laid = []
    lay = in_scene.measure_scales.__globals__["lay_mosaic"]

    def counted(*arguments, **options):
        laid.append(arguments[1])
        return lay(*arguments, **options)

    monkeypatch.setattr("georclip.evaluation.in_scene.lay_mosaic", counted)
    colours = [(name, COLOURS[name]) for name in ("red", "green", "blue")]
    pictures = draw_pictures(tmp_path / "pictures", colours, noise=12)
    pictures = [replace(one, label="") for one in pictures]
    rows = []
    for seed in (0, 1):
        settings = InSceneSettings(seed=seed)
        rows += in_scene.measure(FakeEncoder(), pictures, settings, [1.0, 2.0], tmp_path / "kept")
    in_scene.print_spread(rows)
    in_scene.print_classes(rows)
    assert len(laid) == len(set(laid)) == 2
    assert len(list((tmp_path / "kept").glob("*/seed-*/scene.tif"))) == 2
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [line.split("|")[3].split()[1] for line in printed] == ["1", "2"] * 2
    assert all("| - | - | - |" in line for line in printed)


def test_indexes_of_real_scenes_lie_apart_for_each_model(tmp_path, monkeypatch):
    def load(model, *, weights):
        encoder = FakeEncoder()
        digest = ("1" if weights else "2") * 64
        encoder.spec = replace(encoder.spec, weights_sha256=digest)
        return encoder

    monkeypatch.setattr(real_scenes, "load_encoder", load)
    own = real_scenes.own_folder(tmp_path, "starter", None)
    other = real_scenes.own_folder(tmp_path, "starter", tmp_path / "x.pt")
    assert own != other
    assert own.parent == other.parent == tmp_path
