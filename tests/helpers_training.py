"""A small captioned data set with three easy classes, drawn on the fly."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from georclip.training.models.compact_model import CompactModel
from georclip.training.settings import TrainSettings

CLASSES = {
    "StorageTanks": ((200, 60, 60), "some red storage tanks stand near a road ."),
    "farmland": ((60, 190, 60), "this is a piece of green farmland ."),
    "Port": ((50, 70, 200), "many ships are docked in a port of blue water ."),
}
TINY = TrainSettings(
    image_size_px=32,
    view_sizes_px=(32,),
    epochs=4,
    batch_size=8,
    learning_rate=5e-3,
    averaging=0.5,
    smallest_crop=0.3,
)


def tiny_model(images, settings=TINY, *, name="tiny", seed=0):
    """Untrained tiny towers with the words of `images`."""
    torch.manual_seed(seed)
    learnt = [image for image in images if image.split == "train"]
    return CompactModel.from_scratch("starter-tiny", learnt, settings, name=name)


def draw_captioned(folder: Path, *, per_class: int = 10, held_out: int = 3, seed: int = 0):
    """Write pictures and a caption file; returns (caption file, image folder)."""
    rng = np.random.default_rng(seed)
    pictures = folder / "images"
    pictures.mkdir(parents=True, exist_ok=True)
    images = []
    for label, (colour, sentence) in CLASSES.items():
        for number in range(per_class + held_out):
            noise = rng.normal(0, 18, (40, 40, 3)) + np.array(colour)
            name = f"{label}_{number}.png"
            Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(pictures / name)
            split = "train" if number < per_class else "val"
            entry = {"filename": name, "class": label, "split": split}
            images.append({**entry, "sentences": [{"raw": sentence}, {"raw": sentence}]})
    file = folder / "captions.json"
    file.write_text(json.dumps({"dataset": "drawn", "images": images}))
    return file, pictures
