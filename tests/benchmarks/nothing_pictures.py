"""Pictures of nothing to try `georclip.search.emptiness` on, drawn in another way than its bank.

Clouds here have a power spectrum, and cover real ground; the bank's are octaves of lattice noise.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 192

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]


def draw_kinds(grounds: Sequence[Pixels], count: int, seed: int) -> dict[str, list[Pixels]]:
    """Pictures of each kind, uint8 (3, 192, 192); `grounds`, likewise, lie below clouds."""
    rng = np.random.default_rng(seed)

    def ground() -> Values:
        return grounds[rng.integers(len(grounds))].astype(float)

    def blank(low: float, high: float, bands: int = 1) -> Values:
        return rng.uniform(low, high, (bands, 1, 1)) + rng.normal(0, rng.uniform(0.8, 2.5), SHAPE)

    def black() -> Values:
        return np.abs(rng.normal(0, rng.uniform(3, 9), SHAPE))

    def noise(bands: int) -> Values:
        drawn = rng.normal(rng.uniform(80, 170), rng.uniform(15, 70), (bands, SIDE, SIDE))
        return np.broadcast_to(drawn, SHAPE)

    def speckle() -> Values:
        looks = int(rng.integers(1, 5))
        drawn = rng.uniform(50, 150) * rng.gamma(looks, 1 / looks, (1, SIDE, SIDE))
        return np.broadcast_to(drawn, SHAPE)

    def salt() -> Values:
        hit = rng.random((1, SIDE, SIDE)) < rng.uniform(0.1, 0.5)
        ends = np.where(rng.random((1, SIDE, SIDE)) < 0.5, 0.0, 255.0)
        return np.broadcast_to(np.where(hit, ends, rng.uniform(80, 170)), SHAPE)

    kinds: dict[str, Callable[[], Values]] = {
        "blank white": lambda: blank(244, 252),
        "blank grey": lambda: blank(60, 220),
        "blank, any colour": lambda: blank(0, 255, 3),
        "black, noisy": black,
        "black, JPEG": lambda: through_jpeg(black(), int(rng.integers(40, 85))),
        "cloud": lambda: clouded(rng, ground(), 1.0),
        "grey cloud": lambda: clouded(rng, ground(), 1.0) * rng.uniform(0.55, 0.85),
        "haze, 0.98": lambda: hazed(rng, ground(), 0.98),
        "haze, 0.93": lambda: hazed(rng, ground(), 0.93),
        "noise, grey": lambda: noise(1),
        "noise, colour": lambda: noise(3),
        "noise, uniform": lambda: rng.uniform(0, 256, SHAPE),
        "noise, JPEG": lambda: through_jpeg(noise(3), int(rng.integers(50, 90))),
        "noise, coarse": lambda: enlarged(rng.normal(128, 60, (3, SIDE // 2, SIDE // 2))),
        "salt and pepper": salt,
        "speckle": speckle,
        "gradient": lambda: gradient(rng),
        "cloud over 0.95": lambda: clouded(rng, ground(), 0.95),
        "cloud over 0.85": lambda: clouded(rng, ground(), 0.85),
        "cloud over 0.5": lambda: clouded(rng, ground(), 0.5),
    }
    return {kind: [to_pixels(draw()) for _ in range(count)] for kind, draw in kinds.items()}


SHAPE = (3, SIDE, SIDE)


def to_pixels(values: Values) -> Pixels:
    """Rounded and clipped."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def spectral(rng: np.random.Generator, power: float, aspect: float = 1.0) -> Values:
    """Noise with amplitudes of frequency ** -power: mean 0, deviation 1."""
    rows, cols = np.fft.fftfreq(SIDE)[:, None] * aspect, np.fft.rfftfreq(SIDE)
    frequency = np.hypot(rows, cols)
    frequency[0, 0] = np.inf
    phases = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    field = np.fft.irfft2(phases * frequency**-power, (SIDE, SIDE))
    return np.asarray((field - field.mean()) / field.std())


def clouded(rng: np.random.Generator, ground: Values, cover: float) -> Values:
    """Ground below clouds that cover so much of it, with soft edges."""
    field = spectral(rng, rng.uniform(1.3, 2.2), rng.uniform(0.5, 1))
    opaque = np.ones_like(field)
    if cover < 1:
        edge = np.quantile(field, 1 - cover)
        opaque = np.clip((field - edge) / rng.uniform(0.15, 0.6) + 0.5, 0, 1)
    shade = rng.uniform(215, 250) + spectral(rng, rng.uniform(1.2, 1.8)) * rng.uniform(4, 14)
    tint = np.array([-3.0, 0.0, 4.0])[:, None, None] * rng.uniform(0, 1.5)
    return ground * (1 - opaque) + opaque * (shade + tint + rng.normal(0, 1.5, shade.shape))


def hazed(rng: np.random.Generator, ground: Values, share: float) -> Values:
    """Ground through bright air, of which so much is seen instead."""
    air = np.array([rng.uniform(170, 210), rng.uniform(180, 215), rng.uniform(195, 230)])
    opaque = np.clip(share + 0.04 * spectral(rng, 2.0), 0, 1)
    return ground * (1 - opaque) + air[:, None, None] * opaque + rng.normal(0, 1, SHAPE)


def gradient(rng: np.random.Generator) -> Values:
    """From one colour or grey to another, in a direction or from a point."""
    rows, cols = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    turn = rng.uniform(0, 2 * np.pi)
    along = cols * np.cos(turn) + rows * np.sin(turn)
    if rng.random() < 0.4:
        along = np.hypot(cols - rng.random(), rows - rng.random())
    along = (along - along.min()) / np.ptp(along)
    bands = 1 if rng.random() < 0.5 else 3
    first, last = rng.uniform(0, 255, (2, bands, 1, 1))
    return first * (1 - along) + last * along + rng.normal(0, 1, SHAPE)


def enlarged(values: Values) -> Values:
    """Twice as wide and high, bicubic."""
    bands = [Image.fromarray(band).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
             for band in values.astype(np.float32)]  # fmt: skip
    return np.stack([np.asarray(band, dtype=np.float64) for band in bands])


def through_jpeg(values: Values, quality: int) -> Values:
    """As it comes back from a JPEG file."""
    packed = io.BytesIO()
    Image.fromarray(to_pixels(values).transpose(1, 2, 0)).save(packed, "jpeg", quality=quality)
    return np.asarray(Image.open(packed), dtype=np.float64).transpose(2, 0, 1)
