"""Captioned pictures of one colour each, for scenes whose truth a mean colour tells."""

from pathlib import Path

import numpy as np
from PIL import Image

from georclip.captions.records import CaptionedImage


def draw_pictures(folder: Path, colours, *, size=(40, 40), noise=0, split="val"):
    """One PNG per (label, RGB); `noise` keeps chips from being skipped as blank."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    images = []
    for number, (label, colour) in enumerate(colours):
        pixels = np.empty((size[1], size[0], 3), dtype=np.int16)
        pixels[:] = colour
        pixels += rng.integers(-noise, noise + 1, pixels.shape, dtype=np.int16)
        path = folder / f"{number}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        images.append(
            CaptionedImage(
                path=path,
                split=split,
                label=label,
                sentences=(f"a {label} place .", f"A place, {label}"),
                source="drawn",
            )
        )
    return images


def one_colour_each(count: int):
    """(label, RGB) of `count` pictures, every colour another."""
    return [("", (number % 251, number // 251, 7 * number % 256)) for number in range(count)]
