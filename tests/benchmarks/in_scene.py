"""What an encoder finds in one large scene of held-out pictures, at several pixel sizes.

    python -m tests.benchmarks.in_scene ../shared/data/captions [--weights FILE_OR_FOLDER]

A row for each layout (seed), overlap of chips and pixel size; then each class at the scene's own
pixel size. A quarter of an hour for the model in the box on two cores, a layout.
"""

from __future__ import annotations

import argparse
import tempfile
import time
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
    parser.add_argument("-o", "--output", type=Path, help="keep scenes and indexes there")
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
    """A row for each factor, as it comes."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = output or Path(scratch)
        for factor in factors:
            started = time.perf_counter()
            with ChipProgress(f"x{factor:g}") as progress:
                (figures,) = measure_scales(
                    encoder, images, folder=folder, settings=settings, factors=[factor],
                    progress=progress,
                )  # fmt: skip
            print_row(figures, time.perf_counter() - started)
            found.append(figures)
    return found


def print_row(found: InSceneFigures, elapsed_s: float) -> None:
    losses, captions = found.losses, found.by_caption
    sides = ", ".join(f"{side:.0f}" for side in found.chip_sides_m)
    print(
        f"| {found.seed} | {found.overlap:g} | x {found.pixel_size_factor:g} "
        f"({found.pixel_size_m:.2f} m) | {found.chips}: {sides} | {found.precision_at_k:.3f} "
        f"| {losses.straddling:.3f} / {losses.mixed:.3f} / {losses.mistaken:.3f} "
        f"| {found.mean_average_precision:.3f} | {captions.recall_at_1:.1f} / "
        f"{captions.recall_at_5:.1f} / {captions.recall_at_10:.1f} "
        f"| {captions.mean_average_precision:.3f} | {elapsed_s:.0f} |",
        flush=True,
    )


def print_spread(rows: list[InSceneFigures]) -> None:
    """Mean and standard deviation over layouts, and what other pixel sizes lose."""
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
    one = rows[0]
    print(f"\n{one.cells} places of {one.cell_m:.0f} m; by lot {one.by_lot:.3f}; ", end="")
    print(f"places that some chip shows: {', '.join(f'{row.whole:.3f}' for row in rows)}")


def print_classes(rows: list[InSceneFigures]) -> None:
    """Each class at the scene's own pixel size, the worst first."""
    own = [one for one in rows if one.pixel_size_factor == 1]
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
