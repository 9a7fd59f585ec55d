"""What an encoder finds in one large scene of held-out pictures, at several pixel sizes.

    python -m tests.benchmarks.in_scene ../shared/data/captions [--weights FILE_OR_FOLDER]

A row for each layout (seed), overlap of chips and pixel size; then each class, where there are
some, at the scene's own pixel size. A quarter of an hour for the model in the box on two cores,
a layout.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

from georclip.captions.reading import read_captions
from georclip.cli.progress import ChipProgress
from georclip.encoders.base import Encoder
from georclip.encoders.loading import load_encoder
from georclip.evaluation.in_scene import (
    FACTORS,
    InSceneFigures,
    InSceneSettings,
    measure_scales,
)
from tests.benchmarks.machine import print_machine

HEAD = (
    "| seed | overlap | pixel size | chips, sides in m | precision at 10 "
    "| lost: straddling / mixed / mistaken | mAP by class | caption R@1 / 5 / 10 "
    "| mAP by caption | s |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--weights", type=Path, help="instead of the model in the box")
    parser.add_argument("--dataset", default="rsicd")
    parser.add_argument("--split", default="val")
    parser.add_argument("--factors", type=float, nargs="+", default=list(FACTORS))
    parser.add_argument("--overlaps", type=float, nargs="+", default=[0.25, 0.5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "-o", "--output", type=Path, help="keep scenes and indexes in folders there"
    )
    asked = parser.parse_args()
    folder = asked.captions / asked.dataset
    file = folder / f"dataset_{asked.dataset}.json"
    images = [one for one in read_captions([file], [folder / "images"]) if one.split == asked.split]
    encoder = load_encoder("starter", weights=asked.weights)
    print_machine()
    spec = encoder.spec
    print(
        f"{spec.name} ({spec.architecture}, {spec.weights_sha256[:12]}), {asked.dataset} ", end=""
    )
    print(f"{asked.split}: {len(images)} pictures\n\n{HEAD}", flush=True)
    rows = []
    for seed in asked.seeds:
        for overlap in asked.overlaps:
            settings = InSceneSettings(seed=seed, overlap=overlap)
            rows += measure(encoder, images, settings, asked.factors, asked.output)
    print_spread(rows)
    print_classes(rows)


def measure(
    encoder: Encoder, images, settings: InSceneSettings, factors: list[float], output: Path | None
) -> list[InSceneFigures]:
    """A row for each factor, of one layout."""
    with tempfile.TemporaryDirectory() as scratch, ChipProgress("chips") as progress:
        clock = Clock()
        found = measure_scales(
            encoder, images, folder=own_folder(output or Path(scratch), encoder, settings),
            settings=settings, factors=factors, progress=progress, asking=clock,
        )  # fmt: skip
    for figures, elapsed_s in zip(found, clock.elapsed_s(), strict=True):
        print_row(figures, elapsed_s)
    return list(found)


def own_folder(output: Path, encoder: Encoder, settings: InSceneSettings) -> Path:
    """Where one layout of one model lies, so that none takes another's place."""
    spec = encoder.spec
    layout = f"seed-{settings.seed}-overlap-{settings.overlap:g}"
    return output / f"{spec.name}-{spec.weights_sha256[:12]}" / layout


class Clock:
    """When each scene's last question was answered."""

    def __init__(self) -> None:
        self._times = [time.perf_counter()]

    def __call__(self, done: int, total: int) -> None:
        if done == total:
            self._times.append(time.perf_counter())

    def elapsed_s(self) -> list[float]:
        """Of each scene; the first with the laying."""
        return [after - before for before, after in pairwise(self._times)]


def print_row(found: InSceneFigures, elapsed_s: float) -> None:
    losses, captions = found.losses, found.by_caption
    sides = ", ".join(f"{side:.0f}" for side in found.chip_sides_m)
    lost = (
        "-"
        if losses is None
        else f"{losses.straddling:.3f} / {losses.mixed:.3f} / {losses.mistaken:.3f}"
    )
    print(
        f"| {found.seed} | {found.overlap:g} | x {found.pixel_size_factor:g} "
        f"({found.pixel_size_m:.2f} m) | {found.chips}: {sides} | {shown(found.precision_at_k)} "
        f"| {lost} | {shown(found.mean_average_precision)} | {captions.recall_at_1:.1f} / "
        f"{captions.recall_at_5:.1f} / {captions.recall_at_10:.1f} "
        f"| {captions.mean_average_precision:.3f} | {elapsed_s:.0f} |",
        flush=True,
    )


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def print_spread(rows: list[InSceneFigures]) -> None:
    """Mean and standard deviation over layouts, and what other pixel sizes lose."""
    one = rows[0]
    print(f"\n{one.cells} places of {one.cell_m:.0f} m; by chance {shown(one.by_chance)}; ", end="")
    print(f"places that some chip shows: {', '.join(f'{row.whole:.3f}' for row in rows)}")
    if not one.by_class:
        return
    settings = sorted({(one.overlap, one.pixel_size_factor) for one in rows})
    precision = {
        setting: [
            one.precision_at_k for one in rows if (one.overlap, one.pixel_size_factor) == setting
        ]
        for setting in settings
    }
    print("\n| overlap | pixel size | precision at 10, mean (s.d. over layouts) | lost to x 1 |")
    print("|---|---|---|---|")
    for (overlap, factor), values in precision.items():
        spread = f" ({stdev(values):.3f})" if len(values) > 1 else ""
        own = precision.get((overlap, 1.0))
        lost = f"{fmean(own) - fmean(values):.3f}" if own else ""
        print(f"| {overlap:g} | x {factor:g} | {fmean(values):.3f}{spread} | {lost} |")


def print_classes(rows: list[InSceneFigures]) -> None:
    """Each class at the scene's own pixel size, the worst first."""
    own = [one for one in rows if one.pixel_size_factor == 1 and one.by_class]
    for overlap in sorted({one.overlap for one in own}):
        here = [one.by_class for one in own if one.overlap == overlap]
        print(f"\n| class, overlap {overlap:g} | places | precision at 10 | average precision |")
        print("|---|---|---|---|")
        for same in sorted(
            zip(*here, strict=True), key=lambda one: fmean(c.precision for c in one)
        ):
            print(
                f"| {same[0].label} | {same[0].cells} | {fmean(c.precision for c in same):.2f} "
                f"| {fmean(c.average_precision for c in same):.2f} |"
            )


if __name__ == "__main__":
    main()
