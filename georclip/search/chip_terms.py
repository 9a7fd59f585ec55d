"""Chips of the index as terms of a question: the one at a place, or one by its id."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.errors import QueryError
from georclip.values import Chip, Scene

if TYPE_CHECKING:
    from georclip.index.store import IndexStore

_FORM = 'write LON,LAT in degrees, such as "-76.67,34.72"'


def vector_of_hit(store: IndexStore, chip_id: str) -> npt.NDArray[np.float32]:
    """The stored vector of a chip, float32 (dim,).

    Raises:
        QueryError: The index holds no such chip.
    """
    with store.snapshot():
        row = store.row_of(chip_id)
        if row is None:
            raise QueryError(
                f"{store.path} holds no chip {chip_id!r}: take the chip_id of a hit of this index "
                "(a scene that was indexed anew in another way has other chips)"
            )
        vector: npt.NDArray[np.float32] = store.vectors([row])[0]
    return vector


def vector_at_place(store: IndexStore, place: str) -> npt.NDArray[np.float32]:
    """The stored vector of the chip at a place, float32 (dim,).

    Of the chips that cover the place it is one of the plan's own side (scale 1) where there is
    one, else of the nearest side; of those the one whose middle is nearest, the newest first.

    Raises:
        QueryError: It is no place, or none that the index covers.
    """
    lon, lat = parse_place(place)
    from shapely import Point

    point = Point(lon, lat)
    with store.snapshot():
        rows = store.select(aoi=point).rows
        if not len(rows):
            swapped = Point(lat, lon) if abs(lon) <= 90.0 else None
            hint = ""
            if swapped is not None and len(store.select(aoi=swapped)):
                hint = f"; {lat:g},{lon:g} is covered: are longitude and latitude swapped?"
            raise QueryError(f"no chip covers {place}: {_covered(store)}{hint}")
        chips = store.fetch(rows)
        best = min(range(len(rows)), key=lambda at: _farness(chips[at], lon, lat))
        vector: npt.NDArray[np.float32] = store.vectors(rows[best : best + 1])[0]
    return vector


def parse_place(text: str) -> tuple[float, float]:
    """Longitude and latitude of "LON,LAT", degrees.

    Raises:
        QueryError: It is something else, or lies beyond 180 and 90 degrees.
    """
    try:
        lon, lat = (float(number) for number in text.split(","))
    except ValueError:
        raise QueryError(f"{text!r} is no place: {_FORM}") from None
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise QueryError(f"{text!r} is no place: {_FORM}")
    if abs(lon) > 180 or abs(lat) > 90:
        hint = "; are the two swapped?" if abs(lat) <= 180 and abs(lon) <= 90 else f": {_FORM}"
        raise QueryError(f"the place {text} lies beyond 180 degrees east or 90 north{hint}")
    return lon, lat


def _farness(place: tuple[Chip, Scene], lon: float, lat: float) -> tuple[float, float, float, str]:
    """What a chip is chosen by: scale, distance of its middle, age, id."""
    chip, scene = place
    from georclip.geometry import geometry_bounds

    west, south, east, north = geometry_bounds(chip.footprint)
    if west > east:  # over the date line
        east += 360.0
        lon += 360.0 if lon < 0 else 0.0
    across = ((west + east) / 2 - lon) * math.cos(math.radians(lat))
    down = (south + north) / 2 - lat
    age = -scene.acquired.timestamp() if scene.acquired is not None else 0.0
    return abs(math.log(chip.scale)), math.hypot(across, down), age, chip.chip_id


def _covered(store: IndexStore) -> str:
    bounds = store.info().bounds
    if bounds is None:
        return "the index holds no chips; add scenes with georclip index"
    return f"the index covers {','.join(f'{side:.4f}' for side in bounds)} (W,S,E,N)"
