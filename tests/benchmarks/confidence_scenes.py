"""Ground with known truth for `confidence`: laid pictures, real scenes, and chips of nothing.

Chips are cut, embedded and stored as an index does it, so that they do not line up with the
pictures. A class is taken out of a scene by leaving out every chip that holds any of it, as if
its pictures were not there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image

from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.encoders.empty_pictures import draw_empty_pictures
from georclip.evaluation.ground_truth import measure_shares
from georclip.evaluation.mosaic import Mosaic, lay_mosaic, resample_scene
from georclip.index.store import IndexStore
from georclip.indexing import index_scene
from georclip.scenes.scene import open_scene
from georclip.values import ChipPlan

CELL_PX = 160
MEMORY_BYTES = 500_000_000
PLANS = (ChipPlan(), ChipPlan(size=128, unit="px", scales=(1.0, 3.0)))
"""How real scenes are cut: the index's own way, and small chips that know no ground size."""

_RESIDENTIAL = ("dense residential", "medium residential", "sparse residential")
_COUNTRY = ("farmland", "meadow", "bare land", "forest")
SHOWN = {
    "cape_lookout": (
        *_RESIDENTIAL, *_COUNTRY, "airport", "beach", "bridge", "commercial", "desert",
        "industrial", "park", "parking", "pond", "port", "resort", "river", "storage tank",
    ),
    "manila": (
        "bare land", "bridge", "commercial", "dense residential", "industrial",
        "medium residential", "parking", "port", "river", "viaduct",
    ),
    "kampala": (
        *_RESIDENTIAL, "bare land", "center", "church", "commercial", "industrial", "school",
    ),
    "bali": (*_COUNTRY, "park", "sparse residential"),
    "korea": (*_COUNTRY, "beach", "desert", "mountain", "river", "sparse residential", "viaduct"),
    "netherlands": (
        *_RESIDENTIAL, *_COUNTRY, "bridge", "center", "commercial", "industrial", "park",
        "parking", "pond", "port", "resort", "river", "school", "storage tank", "viaduct",
    ),
    "las_vegas": (
        *_RESIDENTIAL, "bare land", "center", "desert", "park", "parking", "resort", "school",
    ),
    "north_dakota": (*_COUNTRY, "mountain", "park", "pond", "river", "sparse residential"),
}  # fmt: skip
"""Classes that a real scene shows or may be said to show, by looking at it: where one of these
is asked for, the scene is not mixed in, for nobody could say what is right."""

REAL = {
    "train": ("north_dakota_naip_20100629", "netherlands_river_aerial", "las_vegas_uint16"),
    "val": (
        "cape_lookout_s2_20181013", "manila_bridge_oam", "kampala_roofs_oam",
        "bali_plots_drone_rgba", "korea_hills_cog",
    ),
}  # fmt: skip
"""Which real scenes are mixed in where methods are fitted, and where they are judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidChips:
    """Chips of one laid scene.

    Attributes:
        vectors: As stored, float32 (n, dim), unit rows.
        bounds: West, south, east, north of each, degrees, float64 (n, 4).
        kept: Part of each chip that kept pictures of each class cover, float32 (n, classes).
        spare: The same of the class's other pictures.
    """

    vectors: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.float64]
    kept: npt.NDArray[np.float32]
    spare: npt.NDArray[np.float32]


def lay_and_embed(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    labels: Sequence[str],
    folder: Path,
    *,
    each: int,
    kept: int,
    seed: int,
    factor: float = 1.0,
) -> LaidChips:
    """Lay `each` seeded pictures of every class into a scene, cut it, embed it.

    Args:
        encoder: What embeds.
        images: To choose from.
        labels: Classes.
        folder: For scene and index; emptied by its owner.
        each: Pictures of a class; as many as there are, if fewer.
        kept: Of these, how many are kept where the class is to be present.
        seed: Of the choice and the layout.
        factor: Pixel size over that of the scene as it was laid.
    """
    chosen, is_kept = [], {}
    for order in _in_order(images, labels, seed):
        for number, image in enumerate(order[:each]):
            chosen.append(image)
            is_kept[image.path] = number < kept
    mosaic = lay_mosaic(
        chosen, folder / f"laid{seed}.tif", cell_px=CELL_PX, pixel_size_m=_pixel_m(encoder),
        seed=seed,
    )  # fmt: skip
    path = mosaic.path
    if factor != 1:
        path = folder / f"laid{seed}x{factor:g}.tif"
        resample_scene(mosaic.path, path, factor=factor)
    vectors, footprints = _cut(encoder, path, ChipPlan(), folder / f"index{seed}x{factor:g}")
    return LaidChips(
        vectors=vectors,
        bounds=shapely.bounds(np.array(footprints, dtype=np.object_)),
        kept=_cover(mosaic, footprints, labels, {p for p, yes in is_kept.items() if yes}),
        spare=_cover(mosaic, footprints, labels, {p for p, yes in is_kept.items() if not yes}),
    )


def laid_of(
    images: Sequence[CaptionedImage], labels: Sequence[str], split: str, seed: int
) -> list[list[CaptionedImage]]:
    """Pictures of each class in the order that the split's laid scene takes them in."""
    return _in_order(images, labels, _base(split) + seed)


def _in_order(
    images: Sequence[CaptionedImage], labels: Sequence[str], seed: int
) -> list[list[CaptionedImage]]:
    rng = np.random.default_rng(seed)
    found = []
    for label in labels:
        pool = [one for one in images if one.label == label]
        found.append([pool[at] for at in rng.permutation(len(pool)).tolist()])
    return found


def _base(split: str) -> int:
    """Where the seeds of a split's scenes begin."""
    return 0 if split == "train" else 100


def _pixel_m(encoder: Encoder) -> float:
    known = encoder.spec.ground_size_m
    return 1.0 if known is None else known[1] / CELL_PX


def _cut(encoder: Encoder, path: Path, plan: ChipPlan, folder: Path):
    with IndexStore.create(folder, encoder=encoder.spec, plan=plan) as store:
        index_scene(store, encoder, open_scene(str(path)), plan, memory_bytes=MEMORY_BYTES)
        rows = store.select().rows
        return store.vectors(rows), [chip.footprint for chip, _ in store.fetch(rows)]


def _cover(
    mosaic: Mosaic, footprints: Sequence, labels: Sequence[str], paths: set[Path]
) -> npt.NDArray[np.float32]:
    shares = measure_shares(footprints, mosaic.boxes(), mosaic.crs)
    cells = mosaic.cells
    columns = [
        shares.covered(np.array([c.image.label == label and c.image.path in paths for c in cells]))
        for label in labels
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def embed_real(encoder: Encoder, scenes: Path, split: str, folder: Path) -> dict[str, np.ndarray]:
    """Vectors of chips of the split's real scenes, by the scene's key in `SHOWN`."""
    found: dict[str, np.ndarray] = {}
    for name in REAL[split]:
        key = next(known for known in SHOWN if name.startswith(known))
        parts = [
            _cut(encoder, scenes / f"{name}.tif", plan, folder / f"{key}{number}")[0]
            for number, plan in enumerate(PLANS)
        ]
        found[key] = np.concatenate(parts)
    return found


def embed_nothing(encoder: Encoder, *, seed: int, each: int = 50) -> np.ndarray:
    """Vectors of drawn chips that an index would leave out, or wish it could.

    Blank ones of one colour, cloud white, open water, and noise: float32 (5 * each, dim).
    """
    rng = np.random.default_rng(seed)
    side = encoder.spec.image_size_px
    drawn = [
        draw(rng, side)
        for draw in (_blank, _ends, _cloud, _water, _noise)
        for _ in range(each)
    ]  # fmt: skip
    return encoder.encode_images(np.stack(drawn))


def _blank(rng: np.random.Generator, side: int) -> npt.NDArray[np.uint8]:
    colour = rng.integers(0, 256, (3, 1, 1))
    return _pixels(np.broadcast_to(colour, (3, side, side)) + rng.integers(-1, 2, (3, side, side)))


def _ends(rng: np.random.Generator, side: int) -> npt.NDArray[np.uint8]:
    """Black or white fill, over all or from one edge on."""
    level = int(rng.integers(2)) * 255
    picture = np.full((3, side, side), level)
    if rng.integers(2):
        other = rng.integers(30, 226, (3, 1, 1))
        picture[:, : int(rng.uniform(0.1, 0.5) * side)] = other
    return _pixels(np.rot90(picture, int(rng.integers(4)), axes=(1, 2)))


def _cloud(rng: np.random.Generator, side: int) -> npt.NDArray[np.uint8]:
    return _pixels(rng.uniform(215, 245) + 15 * _smooth(rng, side, int(rng.integers(3, 9)))[None])


def _water(rng: np.random.Generator, side: int) -> npt.NDArray[np.uint8]:
    """Open water: a dark colour, slow changes, ripples, some glint."""
    colour = np.array([rng.uniform(5, 70), rng.uniform(30, 110), rng.uniform(50, 140)])
    slow, ripples = _smooth(rng, side, 4), _smooth(rng, side, int(rng.integers(20, 70)))
    picture = colour[:, None, None] + 5 * slow + rng.uniform(1, 8) * ripples
    if rng.integers(2):
        picture = picture + 60 * (rng.random((side, side)) > 0.995)
    return _pixels(picture + rng.normal(0, rng.uniform(0.5, 3), (3, side, side)))


def _noise(rng: np.random.Generator, side: int) -> npt.NDArray[np.uint8]:
    grey = int(rng.integers(2))
    noise = rng.normal(0, 1, (1 if grey else 3, side, side))
    return _pixels(
        rng.uniform(60, 190) + rng.uniform(10, 80) * np.repeat(noise, 3 // len(noise), 0)
    )


def _smooth(rng: np.random.Generator, side: int, knots: int) -> npt.NDArray[np.float64]:
    """Seeded values without steps, about -2 to 2, (side, side)."""
    coarse = Image.fromarray(rng.normal(0, 1, (knots, knots)).astype(np.float32), mode="F")
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64)


def _pixels(values: npt.NDArray) -> npt.NDArray[np.uint8]:
    shape = (3, *values.shape[1:])
    return np.clip(np.broadcast_to(values, shape), 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """All that is asked of one split.

    Attributes:
        labels: The classes.
        laid: Laid scenes, at their own pixel size.
        other_sizes: Laid scenes of other pictures at other pixel sizes, to be mixed in.
        real: Vectors of real scenes' chips, by their key in `SHOWN`.
        nothing: Vectors of chips that show nothing.
        drawn: Kinds and vectors of the drawn pictures by which the engine tells such chips.
    """

    labels: tuple[str, ...]
    laid: tuple[LaidChips, ...]
    other_sizes: tuple[LaidChips, ...]
    real: dict[str, np.ndarray]
    nothing: np.ndarray
    drawn: tuple[tuple[str, ...], np.ndarray]


def make_ground(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    scenes: Path | None,
    split: str,
    folder: Path,
    *,
    seeds: int,
    each: int = 10,
    kept: int = 5,
) -> Ground:
    """Lay and embed what is not yet in the folder.

    Args:
        encoder: What embeds.
        images: Of the split.
        scenes: Folder of real scenes; None mixes none in.
        split: Its name: "train" or "val".
        folder: Where vectors are kept, made where there is none.
        seeds: Laid scenes.
        each: Pictures of a class in each.
        kept: Of these, how many are there where only some are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = tuple(sorted({one.label for one in images} - {""}))
    base = _base(split)

    def laid(seed: int, factor: float) -> LaidChips:
        file = folder / f"{split}_{seed}_{factor:g}.npz"
        if not file.exists():
            with tempfile.TemporaryDirectory() as scratch:
                made = lay_and_embed(
                    encoder, images, labels, Path(scratch), each=each, kept=kept,
                    seed=base + seed, factor=factor,
                )  # fmt: skip
            np.savez(file, **{one.name: getattr(made, one.name) for one in fields(made)})
        with np.load(file) as held:
            return LaidChips(**{name: held[name] for name in held.files})

    file = folder / f"{split}_real.npz"
    if scenes is not None and not file.exists():
        with tempfile.TemporaryDirectory() as scratch:
            np.savez(file, **embed_real(encoder, scenes, split, Path(scratch)))
    kinds, pictures = draw_empty_pictures(encoder.spec.image_size_px)
    return Ground(
        labels=labels,
        laid=tuple(laid(seed, 1.0) for seed in range(seeds)),
        other_sizes=(laid(5, 0.5), laid(6, 2.0)),
        real={} if scenes is None else dict(np.load(file)),
        nothing=embed_nothing(encoder, seed=base),
        drawn=(kinds, encoder.encode_images(pictures)),
    )
