import pytest
import torch

from georclip.training.data.colours import DRAWS, vary_colour, vary_sensor


def test_colours_vary_within_range_and_repeat_with_the_seed():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(40, 3, 8, 8, generator=generator)
    draws = torch.rand(40, DRAWS, generator=generator)
    one = vary_colour(pictures.clone(), draws)
    two = vary_colour(pictures.clone(), draws)
    assert torch.equal(one, two)
    assert one.min() >= 0.0
    assert one.max() <= 1.0
    assert (one - pictures).abs().mean() > 0.01


@pytest.mark.parametrize(
    ("at", "low", "high", "measure"),
    [
        (1, 0.5, 0.0, lambda view: (view[0] - view[2]).abs().mean()),  # grey: no colour is left
        (7, 0.0, 0.99, lambda view: -view.min()),  # haze: the darkest is no longer dark
        (7, 0.0, 0.99, lambda view: view.std()),  # and all is paler
        (9, 0.5, 0.0, lambda view: (view[:, :, 1:] - view[:, :, :-1]).abs().mean()),  # soft
    ],
    ids=["grey", "haze lifts", "haze pales", "soft"],
)
def test_each_draw_does_its_part(at, low, high, measure):
    """The same picture and draws but for one: what it stands for shows."""
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    draws = torch.full((1, DRAWS), 0.5)
    before, after = draws.clone(), draws.clone()
    before[0, at], after[0, at] = low, high
    plain, varied = vary_colour(picture.clone(), before)[0], vary_colour(picture.clone(), after)[0]
    assert measure(varied) < measure(plain) - 0.02


def test_other_sensors_change_tint_and_cut_corners():
    pictures = torch.full((200, 3, 16, 16), 0.5)
    varied = vary_sensor(
        pictures, torch.rand(200, DRAWS, generator=torch.Generator().manual_seed(0))
    )
    assert varied.min() >= 0.0
    assert varied.max() <= 1.0
    red_to_blue = varied[:, 0, 8, 8] / varied[:, 2, 8, 8]
    assert red_to_blue.min() < 0.8
    assert red_to_blue.max() > 1.25
    black = (varied == 0).all(dim=1).float().mean(dim=(1, 2))  # share without data
    assert 0.02 < (black > 0).float().mean() < 0.2
    assert black.max() < 0.6


def test_a_picture_varies_by_its_own_draws_alone():
    generator = torch.Generator().manual_seed(2)
    pictures, draws = (
        torch.rand(6, 3, 8, 8, generator=generator),
        torch.rand(6, DRAWS, generator=generator),
    )
    whole = vary_sensor(vary_colour(pictures.clone(), draws), draws)
    part = vary_sensor(vary_colour(pictures[2:4].clone(), draws[2:4]), draws[2:4])
    assert torch.allclose(whole[2:4], part, atol=1e-6)
