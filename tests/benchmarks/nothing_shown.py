"""Chips that show nothing among the first ten answers: before and after they are put last.

    python -m tests.benchmarks.nothing_shown ../shared/data/captions --scenes ../shared/data/scenes

Held-out pictures are laid into one scene and cut into chips. Drawn pictures of nothing are added
(those that indexing drops anyway, as blank or saturated, are not counted), each kind by itself,
and questions are asked for ten chips: class names, and what might bring them up. False alarms are
chips and pictures of the ground that would be put last.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from georclip.captions.pictures import decode_images
from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.encoders.empty_pictures import draw_empty_pictures
from georclip.encoders.loading import load_encoder
from georclip.encoders.preprocessing import resize
from georclip.errors import QueryError, SceneError
from georclip.evaluation.mosaic import lay_mosaic
from georclip.scenes.chips import resolve_plan
from georclip.scenes.quality import is_blank, is_saturated
from georclip.scenes.reader import read_chips
from georclip.scenes.scene import open_scene
from georclip.search.emptiness import Emptiness, asks_for_nothing, learn_emptiness
from georclip.values import ChipPlan
from tests.benchmarks.machine import print_machine
from tests.benchmarks.nothing_pictures import SIDE, Pixels, draw_kinds

QUESTIONS = (
    "white", "cloud", "clouds", "nothing", "snow", "black", "ice",
    "beach and sea", "sea", "open water", "calm water", "dark water", "blue sea with waves",
    "white waves on the beach", "sand", "empty land", "gray land", "a piece of desert",
    "yellow desert", "grass", "green trees", "dark green forest", "a white area",
    "a large white building", "many buildings", "dense houses", "snow covered mountains",
    "airport with planes", "harbor with ships", "boats on a river", "farmland with lakes",
    "small vegetable fields", "storage tanks", "a bridge over a river", "parking lot", "road",
    "a road between hills", "stadium", "tennis court", "swimming pool",
    "a playground with red track", "a church", "railway", "factories beside a river",
)  # fmt: skip
"""Asked besides class names; those with words unknown to an encoder are left out."""
FIRST = 10
_MEMORY_BYTES = 200_000_000
_CELL_PX = 160
_BATCH = 64

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A kind of nothing.

    Attributes:
        kind: In words.
        added: Pictures that indexing keeps.
        recognised: Share of them.
        before: Of them among first ten answers, all questions together.
        after: The same once what is recognised is put last.
        questions: Questions that had any, before and after.
    """

    kind: str
    added: int
    recognised: float
    before: int
    after: int
    questions: tuple[int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions", type=Path)
    parser.add_argument("--scenes", type=Path)
    parser.add_argument("--weights", type=Path, help="instead of the model in the box")
    parser.add_argument("--split", default="val")
    parser.add_argument("--count", type=int, default=20, help="pictures of each kind")
    parser.add_argument("--pictures", type=int, default=1_000, help="laid, at most")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    encoder = load_encoder("starter", weights=asked.weights)
    print_machine()
    folders = {name: asked.captions / name for name in ("rsicd", "ucm")}
    images = {
        name: [
            one
            for one in read_captions([folder / f"dataset_{name}.json"], [folder / "images"])
            if one.split == asked.split
        ]
        for name, folder in folders.items()
    }
    laid = images["rsicd"][:: -(-len(images["rsicd"]) // asked.pictures)]
    chips = laid_chips(encoder, laid, seed=asked.seed)
    print(f"{encoder.spec.name}: {len(laid)} pictures of RSICD {asked.split} laid into a scene,")
    print(f"{len(chips)} chips; {asked.count} pictures of each kind added\n")
    emptiness = learn(encoder, chips, seed=asked.seed)
    measure(encoder, laid, chips, emptiness, count=asked.count, seed=asked.seed)
    print("\n| ground | pictures or chips | put last |\n|---|---|---|")
    print_alarms("chips of the laid scene", emptiness.shows_nothing(chips))
    for name, some in images.items():
        found = emptiness.shows_nothing(embed_images(encoder, some))
        labels = sorted({one.label for one, shown in zip(some, found, strict=True) if shown})
        print_alarms(f"{name} {asked.split}", found, labels)
    for path in sorted(asked.scenes.rglob("*.tif")) if asked.scenes else ():
        vectors = scene_chips(encoder, path)
        if len(vectors):
            own = learn(encoder, vectors, seed=asked.seed)
            print_alarms(path.name, own.shows_nothing(vectors))


def learn(encoder: Encoder, chips: Vectors, *, seed: int) -> Emptiness:
    """As an index of these chips would have it."""
    kinds, pictures = draw_empty_pictures(encoder.spec.image_size_px)
    background = np.random.default_rng(seed).permutation(chips)[:4_096]
    return learn_emptiness(kinds, encoder.encode_images(pictures), background)


def measure(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    chips: Vectors,
    emptiness: Emptiness,
    *,
    count: int,
    seed: int,
) -> list[Row]:
    """Add each kind to the chips, ask, and print a table."""
    rng = np.random.default_rng(seed)
    some = [images[place] for place in rng.permutation(len(images))[:150]]
    grounds = [resized(one) for one in decode_images(some, max_side_px=SIDE, quiet=True)]
    labels = sorted({one.label for one in images} - {""})
    texts, vectors = embed_questions(encoder, [*labels, *QUESTIONS])
    scores = vectors @ chips.T
    empty = emptiness.shows_nothing(chips)
    exempt = np.array([asks_for_nothing(text) for text in texts])
    tenth = np.sort(scores, axis=1)[:, -FIRST]
    after = np.where(empty & ~exempt[:, None], -2.0, scores)
    tenth_after = np.sort(after, axis=1)[:, -FIRST]
    print("| nothing | kept | recognised | in first tens before | after | of questions |")
    print("|---|---|---|---|---|---|")
    rows = []
    for kind, drawn in draw_kinds(grounds, count, seed + 1).items():
        kept = [one for one in drawn if not dropped(one)]
        if not kept:
            print(f"| {kind} | 0 | | 0 | 0 | |")
            continue
        added = embed(encoder, np.stack(kept))
        found = emptiness.shows_nothing(added)
        near = vectors @ added.T
        there = near > tenth[:, None]
        still = (near > tenth_after[:, None]) & ~found & ~exempt[:, None]
        row = Row(
            kind=kind,
            added=len(kept),
            recognised=float(found.mean()),
            before=int(there[~exempt].sum()),
            after=int(still.sum()),
            questions=(int(there[~exempt].any(axis=1).sum()), int(still.any(axis=1).sum())),
        )
        asked = [text for text, one in zip(texts, still.any(axis=1), strict=True) if one]
        print(
            f"| {kind} | {row.added} | {row.recognised:.2f} | {row.before} | {row.after} "
            f"| {row.questions[0]}, then {row.questions[1]} {', '.join(asked)} |",
            flush=True,
        )
        rows.append(row)
    lost = (scores >= tenth[:, None]) & empty & ~exempt[:, None]
    others = int((~exempt).sum())
    print(
        f"\n{others} questions ({exempt.sum()} more ask for what looks like nothing and are "
        f"answered as they were); likeness from {emptiness.least:.3f} on; of "
        f"{FIRST * others} first answers of the ground {int(lost.sum())} are put last"
    )
    print_costs(emptiness, chips)
    return rows


def print_costs(emptiness: Emptiness, chips: Vectors) -> None:
    """Time of what each question pays, and of what an index pays when it is opened."""
    names = [str(kind) for kind in emptiness.kinds.tolist()]
    costs = {
        "200 candidates": lambda: emptiness.shows_nothing(chips[:200]),
        "learning, once an index": lambda: learn_emptiness(names, emptiness.vectors, chips[:4_096]),
    }
    for name, work in costs.items():
        times = []
        for _ in range(15):
            started = time.perf_counter()
            work()
            times.append(1000 * (time.perf_counter() - started))
        print(f"{name}: {statistics.median(times):.2f} ms ({min(times):.2f} to {max(times):.2f})")


def print_alarms(name: str, found: npt.NDArray[np.bool_], labels: Sequence[str] = ()) -> None:
    """A line on ground that is taken for nothing."""
    what = f" ({', '.join(labels)})" if labels else ""
    print(f"| {name} | {len(found)} | {int(found.sum())}{what} |", flush=True)


def dropped(pixels: Pixels) -> bool:
    """What indexing leaves out of an 8-bit scene."""
    return is_saturated(pixels, None, stretched=False) or is_blank(pixels, None)


def laid_chips(encoder: Encoder, images: Sequence[CaptionedImage], *, seed: int) -> Vectors:
    """Chips of a scene of all pictures, cut as an index cuts it."""
    known = encoder.spec.ground_size_m
    pixel_m = 1.0 if known is None else known[1] / _CELL_PX
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "laid.tif"
        lay_mosaic(images, path, cell_px=_CELL_PX, pixel_size_m=pixel_m, seed=seed)
        return scene_chips(encoder, path)


def scene_chips(encoder: Encoder, path: Path) -> Vectors:
    """Embedded chips of a scene; none where it cannot be indexed."""
    spec = encoder.spec
    try:
        scene = open_scene(str(path))
        resolved = resolve_plan(scene, ChipPlan(), spec.ground_size_m, spec.image_size_px)
        chips = read_chips(
            scene, resolved, memory_bytes=_MEMORY_BYTES, max_side_px=4 * spec.image_size_px
        )
        side = spec.image_size_px
        small = np.stack([resize(one.pixels[None], side)[0] for one in chips])
    except (SceneError, ValueError):  # nothing to stack: every chip was left out
        return np.empty((0, spec.dim), dtype=np.float32)
    return embed(encoder, small)


def embed_images(encoder: Encoder, images: Sequence[CaptionedImage]) -> Vectors:
    """Pictures of captions, in squares."""
    found = []
    for start in range(0, len(images), _BATCH):
        pictures = decode_images(images[start : start + _BATCH], max_side_px=SIDE, quiet=True)
        found.append(encoder.encode_images(np.stack([resized(one) for one in pictures])))
    return np.concatenate(found)


def embed(encoder: Encoder, pixels: Pixels) -> Vectors:
    """Batches of pictures (n, 3, side, side)."""
    parts = range(0, len(pixels), _BATCH)
    return np.concatenate([encoder.encode_images(pixels[at : at + _BATCH]) for at in parts])


def embed_questions(encoder: Encoder, texts: Sequence[str]) -> tuple[list[str], Vectors]:
    """Different questions that the encoder can read."""
    known: dict[str, Vectors] = {}
    for text in dict.fromkeys(texts):
        try:
            known[text] = encoder.encode_texts([text])[0]
        except QueryError:
            continue
    return list(known), np.stack(list(known.values()))


def resized(picture: npt.NDArray[np.uint8]) -> Pixels:
    """(height, width, 3) to (3, 192, 192)."""
    square = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(square, dtype=np.uint8).transpose(2, 0, 1))


if __name__ == "__main__":
    main()
