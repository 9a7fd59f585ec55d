"""A drawn scene with known truth and a fake encoder, for your tests and for the demo.

    from georclip.testing import FakeEncoder, draw_scene
    scene = draw_scene("coast.tif", pixel_size_m=4)
    scene.place("harbor").footprint          # where the harbor is, lon/lat
    FakeEncoder().encode_texts(["green"])    # no weights, no torch

Knows nothing of any test runner. The picture is a fiction: no such coast exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.errors import QueryError
from georclip.values import EncoderSpec, Transform, Window

if TYPE_CHECKING:
    from shapely import MultiPolygon, Polygon

    from georclip._drawing.canvas import Box, Thing

SCENE_CRS = "EPSG:32629"
"""UTM zone 29 north: the drawn coast lies off Portugal's, at about 8.9° W, 40.0° N."""

SCENE_ORIGIN_M = (508_000.0, 4_430_400.0)
"""Easting and northing of the drawn scene's upper left corner, m."""

ACQUIRED = "2024:06:15 10:42:00"
"""When the drawn scene says it was taken, as TIFF writes it, UTC."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (20, 20, 20),
    "white": (240, 240, 240),
    "gray": (128, 128, 128),
    "red": (200, 40, 40),
    "green": (50, 120, 50),
    "blue": (40, 70, 160),
    "yellow": (220, 200, 60),
    "brown": (130, 95, 65),
}
"""The words that a `FakeEncoder` knows, and the colour (RGB, 0 to 255) that each stands for."""

_FILLERS = frozenset(("a", "an", "and", "in", "of", "on", "the", "with"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Something drawn on purpose, and where.

    Attributes:
        name: "harbor", "storage tanks", "airport", "dense houses", "stadium", "bridge",
            "farmland", "forest" or "beach"; of small things "ship", "plane" or "storage tank".
        window: The box around it, px of the scene.
        footprint: The same box on the ground, EPSG:4326, (lon, lat).
    """

    name: str
    window: Window
    footprint: Polygon | MultiPolygon


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnScene:
    """A scene on disk whose content is known.

    Attributes:
        path: The GeoTIFF, absolute.
        crs: Its coordinate reference system.
        transform: Pixel to CRS units, m.
        width: Columns, px.
        height: Rows, px.
        places: What was drawn where; the places do not overlap.
        things: Each ship, plane and storage tank, without its shadow: 30 to 200 m long.
    """

    path: Path
    crs: str
    transform: Transform
    width: int
    height: int
    places: tuple[Place, ...]
    things: tuple[Place, ...] = ()

    def place(self, name: str) -> Place:
        """The place of this name.

        Raises:
            KeyError: There is none; the message names those there are.
        """
        for candidate in self.places:
            if candidate.name == name:
                return candidate
        raise KeyError(f"no place {name!r}; there are {', '.join(p.name for p in self.places)}")

    def places_in(
        self, footprint: Polygon | MultiPolygon, *, least_share: float = 0.5
    ) -> tuple[Place, ...]:
        """Places that a footprint shows.

        Args:
            footprint: In EPSG:4326, (lon, lat).
            least_share: Of the footprint's area, or of the place's, that both must share.
        """
        shown = []
        for place in self.places:
            shared = footprint.intersection(place.footprint).area
            if shared >= least_share * min(footprint.area, place.footprint.area):
                shown.append(place)
        return tuple(shown)

    def place_at(self, lon: float, lat: float) -> Place | None:
        """The place that holds this point (degrees, EPSG:4326), or None between places."""
        from shapely import Point

        point = Point(lon, lat)
        return next((place for place in self.places if place.footprint.covers(point)), None)


def draw_scene(path: str | Path, *, seed: int = 0, pixel_size_m: float = 1.0) -> DrawnScene:
    """Draw a fictional coast of 3.0 x 2.4 km as a georeferenced RGB GeoTIFF.

    Harbor with ships, airport, farmland, forest, dense houses, storage tanks, stadium, river with
    a bridge, and a beach. The same seed and pixel size give the same pixels.

    Args:
        path: Where to write; replaced when it exists. Its folder must exist.
        seed: Source of all chance: which ships, roofs, crops.
        pixel_size_m: Ground side of a pixel, m, from 0.5 to 10. At 1 m the scene has
            3000 x 2400 px and takes about ten seconds; time falls with the square of the size.

    Returns:
        The scene and what lies where in it.

    Raises:
        ValueError: pixel_size_m is out of range.
    """
    from georclip._drawing.scene import PLACES, paint_scene

    if not 0.5 <= pixel_size_m <= 10:
        raise ValueError(f"pixel_size_m must lie in [0.5, 10], not {pixel_size_m}")
    pixels, things = paint_scene(pixel_size_m, seed)
    return write_drawing(Path(path), pixels, pixel_size_m, things=things, places=PLACES)


def write_drawing(
    path: Path,
    pixels: npt.NDArray[np.uint8],
    pixel_size_m: float,
    *,
    things: Iterable[Thing],
    places: Mapping[str, Box] | None = None,
) -> DrawnScene:
    """Write a picture where the drawn coast lies, with what is drawn in it.

    Args:
        path: Where to write.
        pixels: uint8 RGB, (height, width, 3).
        pixel_size_m: Ground side of a pixel, m.
        things: Small things, noted by the canvas.
        places: Boxes by name, m from the upper left corner.
    """
    height, width = pixels.shape[:2]
    left, top = SCENE_ORIGIN_M
    transform = (pixel_size_m, 0.0, left, 0.0, -pixel_size_m, top)
    _write_geotiff(path, pixels, transform)
    return DrawnScene(
        path=path.absolute(),
        crs=SCENE_CRS,
        transform=transform,
        width=width,
        height=height,
        places=_locate((places or {}).items(), transform, pixel_size_m),
        things=_locate([(thing.name, thing.box) for thing in things], transform, pixel_size_m),
    )


def _locate(
    boxes: Iterable[tuple[str, Box]],
    transform: Transform,
    pixel_size_m: float,
) -> tuple[Place, ...]:
    """Places of named boxes, m from the upper left corner: left, top, right, bottom."""
    from georclip.georeference import Georeference

    georeference = Georeference(crs=SCENE_CRS, transform=transform)
    places = []
    for name, box in boxes:
        left, top, right, bottom = (round(value / pixel_size_m) for value in box)
        window = Window(col_off=left, row_off=top, width=right - left, height=bottom - top)
        corners = (window.col_off, window.row_off, window.width, window.height)
        places.append(Place(name=name, window=window, footprint=georeference.footprint(corners)))
    return tuple(places)


def _write_geotiff(path: Path, pixels: npt.NDArray[np.uint8], transform: Transform) -> None:
    import rasterio
    from affine import Affine

    height, width, bands = pixels.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=bands,
        dtype="uint8",
        crs=SCENE_CRS,
        transform=Affine(*transform),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="deflate",
        predictor=2,
        photometric="RGB",
    ) as dataset:
        dataset.write(np.moveaxis(pixels, -1, 0))
        dataset.update_tags(TIFFTAG_DATETIME=ACQUIRED)


class FakeEncoder:
    """An encoder without weights: pictures are their mean colour, texts their colour words.

    Dimension i of an embedding is how near the mean colour is to the i-th of `COLOURS` (a Gaussian
    of 45 levels, Euclidean in RGB), or how often a text names it; both scaled to unit length. So
    "green" ranks the greenest chip first. Satisfies `georclip.encoders.base.Encoder`.
    """

    device = "cpu (fake)"

    def __init__(
        self,
        *,
        image_size_px: int = 32,
        ground_size_m: tuple[float, float, float] | None = (100.0, 400.0, 1600.0),
        name: str = "fake",
    ) -> None:
        self.spec = EncoderSpec(
            name=name,
            architecture="fake-colours",
            activation="relu",
            weights_sha256="0" * 64,
            dim=len(COLOURS),
            image_size_px=image_size_px,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            ground_size_m=ground_size_m,
            licence="Apache-2.0",
        )

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed pictures by their mean colour.

        Args:
            pixels: uint8 RGB, (n, 3, height, width).

        Returns:
            float32, (n, dim), rows of unit length.
        """
        means = np.asarray(pixels, np.float32).mean(axis=(2, 3))  # (n, 3)
        anchors = np.array(list(COLOURS.values()), np.float32)  # (dim, 3)
        squared = ((means[:, None, :] - anchors) ** 2).sum(axis=2)
        # The nearest colour counts as distance 0, so that no row underflows to nothing.
        closeness = np.exp(-(squared - squared.min(axis=1, keepdims=True)) / (2 * 45.0**2))
        return _unit_rows(closeness)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts by the colour words in them.

        Returns:
            float32, (n, dim), rows of unit length.

        Raises:
            QueryError: A text names none of `COLOURS`.
        """
        rows = np.zeros((len(texts), len(COLOURS)), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in _words(text):
                if word in COLOURS:
                    row[list(COLOURS).index(word)] += 1
            if not row.any():
                raise QueryError(f"no known word in {text!r}: try one of {', '.join(COLOURS)}")
        return _unit_rows(rows)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of `text` that are neither colours nor fillers such as "of"."""
        return tuple(w for w in _words(text) if w not in COLOURS and w not in _FILLERS)

    def unread(self, text: str) -> str:
        """Nothing: a text of any length is read whole."""
        return ""


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _unit_rows(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
