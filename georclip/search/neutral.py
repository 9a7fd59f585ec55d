"""Plain descriptions of what is seen from above: what a question's answer is weighed against.

A chip that fits many of these better than the question does is no answer to it, whatever the
cosine says. They name land cover, things people build, and pictures that show nothing, in common
words, several to each kind, so that most chips of any scene find one that fits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.encoders.prompts import encode_with_templates
from georclip.errors import QueryError

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder

NAME = "neutral"
"""Of the reference that an index keeps of them."""

PROMPTS: tuple[str, ...] = (
    # water
    "open water", "dark blue sea", "calm water without anything on it", "waves on the ocean",
    "a lake", "a small pond", "a winding river", "a canal", "turbid brown water",
    "shallow green water near the shore", "a wetland with reeds", "ripples and sun glint on water",
    # coast and ice
    "a sandy shore with waves", "a rocky coastline", "an island surrounded by water", "white snow",
    "snow on a hillside", "ice on water",
    # bare ground
    "bare soil", "yellow sand", "sand dunes", "dry barren ground", "rocks and stones",
    "a dry river bed", "a dirt road through empty land", "a quarry with bare rock",
    # plants
    "green grass", "withered yellow grass", "dense green trees", "scattered trees on grass",
    "bushes and shrubs", "dark green forest", "trees without leaves", "a ridge covered with trees",
    "steep mountains", "rolling hills", "a green valley",
    # fields
    "ploughed fields", "green crops in rows", "square fields of different colors",
    "round irrigated fields", "paddy fields", "an orchard with rows of trees", "greenhouses",
    "a pasture divided by fences", "a farm house between fields",
    # homes
    "a single house with a yard", "houses with gardens", "houses packed closely together",
    "rows of small houses along streets", "apartment buildings", "tall buildings with shadows",
    "a village surrounded by fields", "huts with tin roofs", "red roofs", "gray roofs",
    "a villa with a swimming pool", "mobile homes in rows",
    # work and public life
    "a large white building", "a factory with chimneys", "warehouses with flat roofs",
    "round tanks", "piles of material", "containers in a yard", "a construction site",
    "a power plant", "solar panels", "a shopping center", "an office building with a courtyard",
    "a building with a dome", "a hospital", "a campus with several buildings", "a tower",
    "a greenhouse beside a house", "a cemetery", "ruins",
    # roads and rails
    "a road", "a crossroad with cars", "a wide highway", "an overpass with several levels",
    "a street lined with trees", "cars parked in rows", "a railway track",
    "trains beside platforms", "a bridge over water", "a runway", "airplanes on the ground",
    "a bus station", "trucks", "a roundabout",
    # boats
    "a ship on the sea", "boats beside a dock", "a pier", "a boat leaving white waves behind",
    # leisure
    "a sports field", "a running track", "tennis courts", "a stadium", "a swimming pool",
    "a golf course", "a garden with paths", "a lawn with trees and a path", "a square with people",
    "an amusement park",
    # mixed ground
    "a road between fields and houses", "buildings beside a river", "trees and buildings",
    "a city seen from above", "a town at the coast", "a field with a small building",
    "land and water", "many different things close together",
    # nothing
    "nothing", "an empty picture of one color", "a white picture", "a black picture",
    "a gray picture", "white clouds", "thin clouds and their shadows", "fog", "noise",
    "a blurred picture", "a regular texture", "stripes", "a pattern of dots", "dark shadow",
    "a picture that is too dark to see anything",
)  # fmt: skip


def digest() -> str:
    """Name the prompts of this version: vectors of others are made anew."""
    return hashlib.sha256("\n".join(PROMPTS).encode()).hexdigest()[:16]


def embed_neutral(
    encoder: Encoder, prompts: Sequence[str] = PROMPTS
) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
    """Embed the prompts that an encoder knows every word of, each averaged over templates.

    Args:
        encoder: Of the index. One with a small vocabulary knows only some of them whole: half
            understood, a prompt would be another one ("solar panels" without "solar").
        prompts: Each a description.

    Returns:
        The prompts kept, and their unit vectors, float32 (kept, dim).
    """
    kept: list[str] = []
    rows = [np.empty((0, encoder.spec.dim), dtype=np.float32)]
    for prompt in prompts:
        if encoder.unknown_words(prompt):
            continue
        try:
            rows.append(encode_with_templates(encoder, prompt)[None])
        except QueryError:  # of function words alone, say
            continue
        kept.append(prompt)
    return tuple(kept), np.concatenate(rows)
