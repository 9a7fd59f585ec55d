"""What the benchmarks print and where they write, on a few drawn pictures."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from georclip.evaluation.in_scene import InSceneSettings
from georclip.testing import COLOURS, FakeEncoder
from georclip.values import Window
from tests.benchmarks import in_scene, real_scenes, zoom
from tests.benchmarks.small_things import draw_small_things
from tests.helpers_hits import make_hit
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


def test_zooming_is_measured_on_things_that_lie_alone(tmp_path, capsys):
    draw = partial(draw_small_things, pixel_size_m=4)
    rows = zoom.measure_drawn("alone", draw, [3], k=3)
    assert [row.question for row in rows] == ["ships", "planes", "storage tanks"]
    whole = zoom.joined("all", rows)
    assert whole.hits >= len(whole.found) > 0
    assert all(one.area <= 0.5 for one in whole.found)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3 and all(line.startswith("| alone |") for line in printed)


def test_things_that_lie_alone_are_drawn_where_they_are_said_to_lie(tmp_path):
    scene = draw_small_things(tmp_path / "s.tif", seed=0, pixel_size_m=4)
    names = {thing.name for thing in scene.things}
    assert names == {"ship", "plane", "storage tank"}
    boxes = [zoom.outline(thing.window) for thing in scene.things]
    apart = min(one.distance(other) for n, one in enumerate(boxes) for other in boxes[:n])
    assert apart > 10
    whole = Window(col_off=0, row_off=0, width=scene.width, height=scene.height)
    assert all(one.within(zoom.outline(whole)) for one in boxes)


def square(col, row, side):
    return Window(col_off=col, row_off=row, width=side, height=side)


@pytest.mark.parametrize(
    ("part", "inside"), [((40, 40), True), ((0, 0), True), ((48, 40), True), ((50, 40), False)]
)
def test_a_thing_is_inside_where_nine_tenths_are(part, inside):
    before = make_hit(1, window=square(0, 0, 200))
    after = make_hit(1, window=square(*part, 100))
    thing = square(45, 45, 40)
    assert zoom.held([thing, square(190, 0, 20)], before.chip.window) == [thing]
    judged = zoom.judge(before, after, [thing], np.random.default_rng(0))
    assert (judged.area, judged.inside, judged.middle) == (0.25, inside, False)
    assert 0 < judged.random < 1
