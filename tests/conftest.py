"""Fixtures that every room shares: rasters made on the spot, and the real data where it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "georclip",
    deadline=None,
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes: do it by hand
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("georclip")


@dataclass(frozen=True)
class Place:
    """A CRS with an upper left corner and a pixel size that suit it."""

    crs: str
    x: float
    y: float
    pixel: float

    def transform(
        self, *, rotation_deg: float = 0.0, south_up: bool = False, stretch_y: float = 1.0
    ) -> Affine:
        down = self.pixel * stretch_y * (1 if south_up else -1)
        placed = Affine.translation(self.x, self.y) @ Affine.rotation(rotation_deg)
        return placed @ Affine.scale(self.pixel, down)


PLACES = {
    "utm": Place("EPSG:32632", 500_000.0, 5_300_000.0, 2.0),
    "lonlat": Place("EPSG:4326", -76.7, 34.7, 2e-5),
    "mercator": Place("EPSG:3857", 1_200_000.0, 6_100_000.0, 3.0),
    "dateline": Place("EPSG:32660", 706_000.0, -1_900_000.0 + 3_900_000.0, 40.0),
    "dateline_east": Place("EPSG:32601", 292_000.0, 2_000_000.0, 40.0),
    "feet": Place("EPSG:2230", 6_280_000.0, 1_850_000.0, 5.0),
    "polar": Place("EPSG:3031", -20_000.0, 1_400_000.0, 30.0),
}

LAYOUTS: dict[str, dict[str, Any]] = {
    "tiled": {"tiled": True, "blockxsize": 64, "blockysize": 64},
    "striped": {"tiled": False, "blockysize": 16},
    "single block": {"tiled": False, "blockysize": 100_000, "compress": "deflate"},
}

MakeRaster = Callable[..., Path]


def write_raster(
    path: Path,
    bands: np.ndarray,
    *,
    place: str | Place = "utm",
    transform: Affine | None = None,
    valid: np.ndarray | None = None,
    validity: str = "none",
    nodata: float | None = None,
    layout: str = "tiled",
    **profile: Any,
) -> Path:
    """Write (band, height, width) as a GeoTIFF.

    `validity` says how `valid` (True = usable) is told: "none", "nodata", "alpha", "mask", "nan".
    """
    where = PLACES[place] if isinstance(place, str) else place
    bands = bands.copy()
    height, width = bands.shape[1:]
    if valid is None:
        valid = np.ones((height, width), dtype=bool)
    if validity == "nodata":
        nodata = 0 if nodata is None else nodata
        bands[:, ~valid] = nodata
    elif validity == "nan":
        bands[:, ~valid] = np.nan
    elif validity == "alpha":
        alpha = np.where(valid, 255, 0).astype(bands.dtype)
        bands = np.concatenate([bands, alpha[None]])
    options: dict[str, Any] = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": len(bands),
        "dtype": bands.dtype,
        "crs": where.crs,
        "transform": where.transform() if transform is None else transform,
        "nodata": nodata,
        **LAYOUTS[layout],
        **profile,
    }
    if "blockysize" in options and not options["tiled"]:
        options["blockysize"] = min(options["blockysize"], height)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **options) as file:
        if validity == "alpha":
            names = {2: ("gray", "alpha"), 4: ("red", "green", "blue", "alpha")}[len(bands)]
            file.colorinterp = [rasterio.enums.ColorInterp[name] for name in names]
        file.write(bands)
        if validity == "mask":
            file.write_mask(valid)
    return path


def textured(
    count: int, height: int, width: int, dtype: str = "uint8", *, seed: int = 0
) -> np.ndarray:
    """Noise that no chip of is blank or saturated: (count, height, width)."""
    noise = np.random.default_rng(seed).uniform(0.1, 0.9, (count, height, width))
    if np.issubdtype(np.dtype(dtype), np.floating):
        return noise.astype(dtype)
    return (noise * min(np.iinfo(dtype).max, 10_000)).astype(dtype)


@pytest.fixture
def make_raster(tmp_path: Path) -> MakeRaster:
    """A factory: `make_raster(bands=..., height=..., width=..., dtype=..., **write_raster's)`."""
    made = iter(range(10_000))

    def make(
        name: str | None = None,
        *,
        values: np.ndarray | None = None,
        bands: int = 3,
        height: int = 150,
        width: int = 200,
        dtype: str = "uint8",
        seed: int = 0,
        **options: Any,
    ) -> Path:
        if values is None:
            values = textured(bands, height, width, dtype, seed=seed)
        return write_raster(tmp_path / (name or f"raster_{next(made)}.tif"), values, **options)

    return make


@pytest.fixture
def coordinate_raster(tmp_path: Path) -> MakeRaster:
    """A factory of 8-bit rasters whose pixels say where they are; `decode_coordinates` reads them.

    Three bands hold column and row, 12 bits each, so that "8-bit is left alone" keeps the truth.
    """
    made = iter(range(100_000))

    def make(*, height: int, width: int, **options: Any) -> Path:
        return write_raster(
            tmp_path / f"coordinates_{next(made)}.tif", encode_coordinates(height, width), **options
        )

    return make


def encode_coordinates(height: int, width: int) -> np.ndarray:
    """(3, height, width) uint8: low bits of the column, low bits of the row, high bits of both."""
    row, col = np.mgrid[:height, :width]
    high = (col >> 8) << 4 | (row >> 8)
    return np.stack([col & 255, row & 255, high]).astype(np.uint8)


def decode_coordinates(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(columns, rows) of pixels (3, ...) made by `encode_coordinates`."""
    low_col, low_row, high = pixels.astype(int)
    return (high >> 4) << 8 | low_col, (high & 15) << 8 | low_row


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scenes and captions, or a skip."""
    named = os.environ.get("GEORCLIP_SHARED_DATA")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(named) if named else beside
    if not (folder / "scenes").is_dir():
        pytest.skip(f"no real data at {folder}: set GEORCLIP_SHARED_DATA to its folder")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Hold torch to one thread, so that tests beside each other do not wait for cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
