"""Random variation of pictures and captions, from seeded generators.

There is no up in a picture from above: right-angle turns and flips change nothing that a caption
says (left and right hardly occur). Crops vary the ground size; colour, haze and grey stand for
other sensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

PROMPTS = (
    "{}",
    "{}",
    "a satellite image of a {}",
    "an aerial photo of {}",
    "{} seen from above",
    "there is a {}",
)
"""Sentences around the name of a class; its bare name is what people type most."""

SYNONYMS = (
    ("harbor", "port", "dock", "marina"),
    ("ship", "boat", "vessel"),
    ("plane", "airplane", "aircraft", "jet"),
    ("house", "home", "housing"),
    ("building", "construction"),
    ("pond", "lake", "pool of water"),
    ("sea", "ocean"),
    ("road", "street"),
    ("highway", "freeway", "motorway"),
    ("parking lot", "car park", "parking"),
    ("forest", "wood", "woodland"),
    ("meadow", "grassland", "pasture"),
    ("farmland", "cropland", "agricultural field", "agricultural", "farm"),
    ("factory", "industrial plant", "warehouse"),
    ("viaduct", "overpass", "flyover", "interchange"),
    ("railway", "railroad", "rail"),
    ("railway station", "train station"),
    ("stadium", "arena"),
    ("church", "cathedral"),
    ("car", "vehicle", "automobile"),
    ("residential area", "neighborhood", "housing area"),
    ("dense residential", "dense house", "densely packed house", "dense housing"),
    ("sparse residential", "scattered house", "sparse house"),
    ("football field", "soccer field"),
    ("baseball field", "baseball diamond"),
    ("storage tank", "oil tank", "fuel tank", "tank"),
    ("bare land", "bare soil", "bare ground", "barren land"),
    ("beach", "shore", "sandy beach"),
    ("grass", "lawn"),
    ("intersection", "crossroad", "junction"),
    ("runway", "airstrip"),
    ("swimming pool", "pool"),
    ("mobile home park", "trailer park"),
)
"""Words that mean the same here, in the normalised form of `words.normalise`."""


def synonym_groups() -> dict[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Index SYNONYMS by phrase: phrase in words -> its group, first entry canonical."""
    groups = [tuple(tuple(phrase.split()) for phrase in group) for group in SYNONYMS]
    index: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {}
    for group in groups:
        for phrase in group:
            index.setdefault(phrase, group)
    return index


def replace_phrases(
    words: Sequence[str],
    groups: Mapping[tuple[str, ...], tuple[tuple[str, ...], ...]],
    *,
    rng: np.random.Generator | None,
    probability: float = 1.0,
) -> tuple[str, ...]:
    """Swap phrases for synonyms, longest phrases first.

    Args:
        words: A normalised sentence.
        groups: From `synonym_groups`.
        rng: Picks synonyms; None takes the canonical one, so that equal meanings become equal.
        probability: Of a swap, for each phrase that has synonyms.
    """
    output: list[str] = []
    at = 0
    while at < len(words):
        for length in (3, 2, 1):
            phrase = tuple(words[at : at + length])
            group = groups.get(phrase) if len(phrase) == length else None
            if group is None:
                continue
            if rng is None:
                phrase = group[0]
            elif rng.random() < probability:
                phrase = group[int(rng.integers(len(group)))]
            output.extend(phrase)
            at += length
            break
        else:
            output.append(words[at])
            at += 1
    return tuple(output)


def drop_words(
    words: Sequence[str], rng: np.random.Generator, *, probability: float
) -> tuple[str, ...]:
    """Leave out words at random, never all of them: people type less than annotators."""
    kept = tuple(word for word in words if rng.random() >= probability)
    return kept or tuple(words)


def random_view(
    pixels: npt.NDArray[np.uint8],
    side_px: int,
    rng: np.random.Generator,
    *,
    smallest_crop: float = 0.3,
) -> npt.NDArray[np.uint8]:
    """Cut a random part, turn and flip it, and resize it with antialiasing.

    Args:
        pixels: uint8, (height, width, 3).
        side_px: Side of the result, px.
        rng: Seeded generator.
        smallest_crop: Least share of a picture's area.

    Returns:
        uint8, (3, side_px, side_px), contiguous.
    """
    height, width = pixels.shape[:2]
    part = math.exp(rng.uniform(math.log(smallest_crop), 0.0)) if rng.random() < 0.85 else 1.0
    aspect = math.exp(rng.uniform(-0.25, 0.25))
    crop_width = min(width, math.sqrt(part * width * height * aspect))
    crop_height = min(height, math.sqrt(part * width * height / aspect))
    left = rng.uniform(0.0, width - crop_width)
    top = rng.uniform(0.0, height - crop_height)
    view = np.asarray(
        Image.fromarray(pixels).resize(
            (side_px, side_px),
            Image.Resampling.BILINEAR,
            box=(left, top, left + crop_width, top + crop_height),
        )
    )
    view = np.rot90(view, int(rng.integers(4)))
    if rng.random() < 0.5:
        view = view[:, ::-1]
    return np.ascontiguousarray(view.transpose(2, 0, 1))


def vary_colour(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Vary brightness, contrast, tint, saturation and haze; a few turn grey or soft.

    Args:
        pictures: float in [0, 1], (batch, 3, side, side).
        generator: Seeded.

    Returns:
        The same shape, in [0, 1].
    """
    batch = pictures.shape[0]

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        span = torch.rand(batch, channels, 1, 1, generator=generator)
        return low + (high - low) * span

    grey = pictures.mean(dim=1, keepdim=True)
    saturation = uniform(0.5, 1.4)
    saturation = torch.where(uniform(0.0, 1.0) < 0.06, torch.zeros_like(saturation), saturation)
    pictures = grey + (pictures - grey) * saturation
    level = pictures.mean(dim=(1, 2, 3), keepdim=True)
    pictures = level + (pictures - level) * uniform(0.7, 1.35)
    pictures = pictures * uniform(0.75, 1.3) * uniform(0.92, 1.08, channels=3)
    haze = uniform(-0.6, 0.3).clamp(min=0.0)  # a third of the pictures
    pictures = pictures * (1.0 - haze) + haze * uniform(0.75, 0.95)
    soft = torch.rand(batch, generator=generator) < 0.1
    padded = F.pad(pictures[soft], (1, 1, 1, 1), mode="reflect")
    pictures[soft] = F.avg_pool2d(padded, 3, stride=1)
    return pictures.clamp(0.0, 1.0)


def vary_sensor(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Vary half of the pictures further than one sensor does: tint of light and water, gamma.

    Some get a corner without data.

    Args:
        pictures: float in [0, 1], (batch, 3, side, side).
        generator: Seeded.

    Returns:
        The same shape, in [0, 1].
    """
    batch, _, side, _ = pictures.shape

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(batch, channels, 1, 1, generator=generator)

    half = (uniform(0.0, 1.0) < 0.5).to(pictures.dtype)
    warmth = half * uniform(-0.25, 0.25)  # red against blue: silt, dusk, haze, another sensor
    green = half * uniform(-0.1, 0.1)
    pictures = pictures * torch.cat([1.0 + warmth, 1.0 + green, 1.0 - warmth], dim=1)
    pictures = pictures.clamp(1e-4, 1.0) ** (1.0 + half * uniform(-0.3, 0.4))
    angle = uniform(0.0, 2.0 * math.pi)
    along = torch.linspace(-1.0, 1.0, side)
    away = along[None, None, :, None] * angle.sin() + along[None, None, None, :] * angle.cos()
    cut = (away > uniform(0.3, 1.0)) & (uniform(0.0, 1.0) < 0.15)  # (batch, 1, side, side)
    mean = pictures.mean(dim=(2, 3), keepdim=True)
    fill = torch.where(uniform(0.0, 1.0) < 0.5, mean, torch.zeros_like(mean))
    return torch.where(cut, fill, pictures)
