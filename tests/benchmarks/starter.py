"""The model in the box on the val splits, beside random ranking; and how fast it embeds.

python -m tests.benchmarks.starter ../shared/data/captions
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.encoders.loading import load_encoder
from georclip.training.validation import ANSWERS, HeldOut
from tests.benchmarks.machine import print_machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captions", type=Path)
    folder = parser.parse_args().captions
    print_machine()
    encoder = load_encoder("starter")
    print(
        f"| val split | images | precision at min({ANSWERS}, n), class name | by chance "
        "| mean recall, protocol A, % |\n|---|---|---|---|---|"
    )
    for name in ("rsicd", "ucm"):
        file = folder / name / f"dataset_{name}.json"
        images = read_captions([file], [folder / name / "images"])
        held_out = [image for image in images if image.split == "val"]
        (found,) = HeldOut(held_out, encoder.spec.image_size_px).measure(encoder)
        print(
            f"| {name} | {found.images} | {found.precision_at_10:.3f} | {by_chance(held_out):.3f} "
            f"| {found.mean_recall:.1f} |"
        )
    print(f"\n{images_per_s(encoder):.0f} pictures of 512 px a second")


def by_chance(images: list[CaptionedImage]) -> float:
    """Precision expected of a random order: the mean share of a class."""
    counts = Counter(image.label for image in images)
    return float(np.mean([count / len(images) for count in counts.values()]))


def images_per_s(encoder, *, count: int = 512) -> float:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, 512, 512), dtype=np.uint8)
    encoder.encode_images(pixels[:64])
    started = time.perf_counter()
    encoder.encode_images(pixels)
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
