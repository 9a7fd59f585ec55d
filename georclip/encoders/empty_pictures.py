"""Drawn pictures that show nothing on the ground: what chips without content look like.

Clouds, haze, blank and black frames, noise and gradients. An encoder's vectors of them
tell chips that show nothing from the others (`georclip.search.emptiness`), whichever encoder it
is: the pictures are seeded, so that they are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float64]
"""(3, side, side), about 0 to 255, before it is rounded."""

BANK = "empty pictures 2"
"""Names what is drawn here: change it with any change that an encoder could see."""

_SEED = 20240611
_AIR = ((196, 204, 212), (176, 188, 206), (206, 204, 198), (158, 164, 170))


def draw_empty_pictures(side_px: int) -> tuple[tuple[str, ...], npt.NDArray[np.uint8]]:
    """Draw the bank.

    Args:
        side_px: Of the squares, at least 8: the side that an encoder's tower takes.

    Returns:
        What each shows in a word or two, and uint8 RGB (n, 3, side_px, side_px).
    """
    if side_px < 8:
        raise ValueError(f"pictures of {side_px} px are too small to show even nothing")
    kinds: dict[str, Callable[[np.random.Generator, int], Iterator[Picture]]] = {
        "blank": _blanks,
        "cloud": _clouds,
        "haze": _hazes,
        "noise": _noises,
        "gradient": _gradients,
    }
    drawn = [
        (kind, np.clip(np.rint(picture), 0, 255).astype(np.uint8))
        for number, (kind, draw) in enumerate(kinds.items())
        for picture in draw(np.random.default_rng((_SEED, number)), side_px)
    ]
    return tuple(kind for kind, _ in drawn), np.stack([picture for _, picture in drawn])


def _blanks(rng: np.random.Generator, side: int) -> Iterator[Picture]:
    """One shade with a little noise; then black that a JPEG has smeared."""
    for shade in (252.0, 225.0, 190.0, 160.0, 128.0, 95.0, 3.0, 8.0):
        yield shade + rng.normal(0.0, 1.5, (3, side, side))
    for deviation in (3.0, 6.0, 9.0):
        black = np.abs(rng.normal(0.0, deviation, (3, side, side)))
        smeared = np.stack(
            [_smooth(band[: side // 6 + 2, : side // 6 + 2], side) for band in black]
        )
        yield 0.6 * deviation + 0.4 * smeared


def _clouds(rng: np.random.Generator, side: int) -> Iterator[Picture]:
    """Closed cover: fleecy to smooth, from white, burnt out in places, to grey."""
    for top in (252, 246, 242, 238, 232, 225, 215, 204, 192, 180, 168, 155, 142, 130, 118):
        for roughness in (rng.uniform(0.4, 0.6), rng.uniform(0.7, 0.95)):
            yield _cloud(rng, side, top, roughness)


def _cloud(rng: np.random.Generator, side: int, top: float, roughness: float) -> Picture:
    shade = top + rng.uniform(3.0, 14.0) * (top / 255) * _fractal(rng, side, roughness)
    blue = rng.uniform(0.0, 1.5) * np.array([-3.0, 0.0, 4.0])[:, None, None]
    return shade + blue + rng.normal(0.0, 1.0, (3, side, side))


def _hazes(rng: np.random.Generator, side: int) -> Iterator[Picture]:
    """Air over ground that hardly shows."""
    for air in _AIR * 2:
        for shown in (rng.uniform(0.5, 1.5), rng.uniform(1.5, 3.0)):
            ground = np.stack([_fractal(rng, side, 0.8) for _ in range(3)])
            tint = np.array(air, dtype=np.float64)[:, None, None] + rng.uniform(-14, 14, (3, 1, 1))
            waves = rng.uniform(1.0, 5.0) * _fractal(rng, side, 0.35)
            yield tint + shown * ground + waves + rng.normal(0.0, 1.0, (3, side, side))


def _noises(rng: np.random.Generator, side: int) -> Iterator[Picture]:
    """Grey and coloured, fine and coarse; then a radar's speckle."""
    for grain in (1, 2, 3):
        for bands in (1, 3):
            noise = rng.normal(size=(bands, side, side))
            yield 120.0 + rng.uniform(25.0, 60.0) * _grains(noise, grain, side)
    for looks in (1, 4):
        yield 100.0 * np.broadcast_to(rng.gamma(looks, 1 / looks, (1, side, side)), (3, side, side))


def _gradients(rng: np.random.Generator, side: int) -> Iterator[Picture]:
    """From dark to bright grey, a frame that fades; weak or coloured ones would be calm water."""
    rows, cols = np.mgrid[0:side, 0:side] / side
    for _ in range(6):
        turn = rng.uniform(0.0, 2 * np.pi)
        along = rows * np.sin(turn) + cols * np.cos(turn)
        along = (along - along.min()) / np.ptp(along)
        first, last = rng.uniform(10.0, 90.0), rng.uniform(170.0, 250.0)
        yield first * (1 - along) + last * along + rng.normal(0.0, 1.0, (3, side, side))


def _fractal(rng: np.random.Generator, side: int, roughness: float) -> npt.NDArray[np.float64]:
    """Octaves of smooth noise, each `roughness` times the one before: mean 0, deviation 1."""
    total = np.zeros((side, side))
    strength, cells = 1.0, 2
    while cells < side:
        total += strength * _smooth(rng.normal(size=(cells + 1, cells + 1)), side)
        strength, cells = strength * roughness, cells * 2
    return np.asarray((total - total.mean()) / total.std())


def _smooth(lattice: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """A lattice (n, n) enlarged to (side, side) with smoothstep between its points."""
    place = np.linspace(0.0, len(lattice) - 1, side, endpoint=False)
    first = place.astype(np.intp)
    share = place - first
    share = share * share * (3 - 2 * share)
    rows = lattice[first] * (1 - share)[:, None] + lattice[first + 1] * share[:, None]
    return np.asarray(rows[:, first] * (1 - share) + rows[:, first + 1] * share)


def _grains(noise: npt.NDArray[np.float64], grain: int, side: int) -> Picture:
    """Noise of (bands, side, side) with grains of so many px, as resampling makes them."""
    coarse = noise[:, : -(-side // grain) + 1, : -(-side // grain) + 1]
    if grain > 1:
        noise = np.stack([_smooth(band, side) for band in coarse])
    return np.broadcast_to(noise, (3, side, side))
