"""The starter's own vectors for `scale`: crops of captioned pictures, and sentences about them.

    python -m tests.benchmarks.embedded_pictures CAPTIONS -o FILE.npz [--crops 125000]

CAPTIONS holds rsicd/ and ucm/, each with images/ and a dataset_*.json. A crop is a seeded square
of 0.35 to 1 of the picture's side, turned by quarters: about ten minutes for 125,000.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from georclip.encoders.loading import load_encoder
from georclip.errors import QueryError

_BATCH = 1_024
_QUESTIONS = 1_000


def main() -> None:
    """Embed crops and sentences, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--crops", type=int, default=125_000)
    asked = parser.parse_args()
    encoder = load_encoder("starter")
    files = sorted(asked.captions.glob("*/images/*"))
    each = -(-asked.crops // len(files))
    parts, batch = [], []
    for crop in tqdm(crops(files, each, encoder.spec.image_size_px), total=each * len(files)):
        batch.append(crop)
        if len(batch) == _BATCH:
            parts.append(encoder.encode_images(np.stack(batch)))
            batch = []
    if batch:
        parts.append(encoder.encode_images(np.stack(batch)))
    questions = []
    for sentence in sentences(asked.captions):
        try:
            questions.append(encoder.encode_texts([sentence])[0])
        except QueryError:  # no word that the starter knows
            continue
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez(asked.output, vectors=np.concatenate(parts), questions=np.stack(questions))


def crops(files: list[Path], each: int, side: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Seeded crops of pictures: uint8, (3, side, side)."""
    rng = np.random.default_rng(0)
    for file in files:
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        for _ in range(each):
            size = int(min(picture.size) * rng.uniform(0.35, 1.0))
            left = int(rng.integers(0, picture.width - size + 1))
            top = int(rng.integers(0, picture.height - size + 1))
            crop = picture.crop((left, top, left + size, top + size))
            pixels = np.asarray(crop.resize((side, side), Image.Resampling.BILINEAR))
            yield np.rot90(pixels, int(rng.integers(0, 4))).transpose(2, 0, 1)


def sentences(captions: Path) -> list[str]:
    """Seeded captions of RSICD, each once."""
    (file,) = captions.glob("rsicd/dataset_*.json")
    images = json.loads(file.read_text(encoding="utf-8"))["images"]
    found = sorted({one["raw"] for image in images for one in image["sentences"]})
    order = np.random.default_rng(1).permutation(len(found))[:_QUESTIONS]
    return [found[number] for number in order]


if __name__ == "__main__":
    main()
