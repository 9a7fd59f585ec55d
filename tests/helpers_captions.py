"""Captioned pictures of plain colours, which `georclip.testing.FakeEncoder` knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from georclip.testing import COLOURS


def coloured(colour: str, *, seed: int = 0, side: int = 24) -> np.ndarray:
    """Noise around a colour: uint8 (side, side, 3)."""
    noise = np.random.default_rng(seed).normal(0, 6, (side, side, 3))
    return (noise + np.array(COLOURS[colour])).clip(0, 255).astype(np.uint8)


def write_coloured(
    file: Path,
    colours: Sequence[str],
    *,
    split: str = "test",
    classes: bool = True,
    captions: Sequence[Sequence[str]] | None = None,
    side: int = 24,
) -> Path:
    """Write a caption file with a picture of each colour beside it; returns the file.

    Every picture is captioned "something <colour>" unless `captions` says otherwise.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    said = captions or [[f"something {colour}"] for colour in colours]
    images = []
    for number, (colour, sentences) in enumerate(zip(colours, said, strict=True)):
        name = f"{file.stem}_{split}_{number}.png"
        Image.fromarray(coloured(colour, seed=number, side=side)).save(file.parent / name)
        entry = {"filename": name, "split": split, "sentences": [{"raw": s} for s in sentences]}
        images.append({**entry, "class": colour} if classes else entry)
    if file.is_file():
        images = json.loads(file.read_text())["images"] + images
    file.write_text(json.dumps({"images": images}))
    return file
