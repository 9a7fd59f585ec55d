"""Peak memory of indexing a large scene against a small one: it must not grow with the scene.

python -m tests.benchmarks.memory [--large 20000] [--small 5000]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from tests.benchmarks.machine import georclip, print_machine, run

LAYOUTS = {
    "512 px tiles": {"tiled": True, "blockxsize": 512, "blockysize": 512},
    "strips of 16 rows": {"tiled": False, "blockysize": 16},
}


def draw(path: Path, side_px: int, layout: dict[str, object]) -> None:
    """Write a textured RGB scene of 1 m pixels, a band of rows at a time."""
    rng = np.random.default_rng(7)
    texture = rng.integers(0, 256, (3, 512, 4096), dtype=np.uint8)
    profile = {
        "driver": "GTiff", "width": side_px, "height": side_px, "count": 3, "dtype": "uint8",
        "crs": "EPSG:32631", "transform": from_origin(400_000, 5_000_000, 1, 1),
        "compress": "lzw", "photometric": "rgb", "bigtiff": "if_safer", **layout,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        for row in range(0, side_px, 512):
            height = min(512, side_px - row)
            repeats = -(-side_px // texture.shape[2])
            shade = np.uint8(40 + (row // 512) % 64)
            band = np.tile(texture // 4 + shade, (1, 1, repeats))[:, :height, :side_px]
            target.write(band, window=Window(0, row, side_px, height))


def main() -> None:
    """Draw, index and measure; prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", type=int, default=20_000)
    parser.add_argument("--small", type=int, default=5_000)
    parser.add_argument("--memory", default="1GB")
    sides = parser.parse_args()
    print_machine()
    print("| layout | scene, px | chips | wall s | peak memory, MB |\n|---|---|---|---|---|")
    for name, layout in LAYOUTS.items():
        peaks = {}
        for side in (sides.small, sides.large):
            with tempfile.TemporaryDirectory() as folder:
                scene, index = Path(folder) / "scene.tif", Path(folder) / "index"
                draw(scene, side, layout)
                done = run(
                    georclip(
                        "index", str(scene), "-i", str(index), "--model", "starter",
                        "--chip-size", "512px", "--scales", "1", "--memory", sides.memory,
                        "--quiet",
                    )
                )  # fmt: skip
                if done.code:
                    raise SystemExit(f"indexing failed with exit code {done.code}")
                chips = run(georclip("info", "-i", str(index))).stdout.split("chips:")[1].split()[0]
                peaks[side] = done.peak_bytes
                print(
                    f"| {name} | {side} x {side} | {chips} | {done.wall_s:.0f} "
                    f"| {done.peak_bytes / 1e6:.0f} |",
                    flush=True,
                )
        print(f"| {name} | ratio | | | {peaks[sides.large] / peaks[sides.small]:.3f} |")


if __name__ == "__main__":
    main()
