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
