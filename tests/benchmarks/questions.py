"""Questions of several terms, templates and marks, on captioned pictures and in one scene.

    python -m tests.benchmarks.questions ../shared/data/captions [--split val] [-o FOLDER]

Tables: templates; "wanted, not unwanted"; a picture with an attribute in words; marks on the first
answer. Weights and templates were chosen with --split train. About two minutes on a core for val.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt

from georclip.api import Index
from georclip.captions.pictures import decode_images
from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.encoders.loading import load_encoder
from georclip.encoders.preprocessing import unit_rows
from georclip.encoders.prompts import PLAIN, SCENES, encode_with_templates
from georclip.errors import QueryError
from georclip.evaluation.ground_truth import RIGHT_SHARE, measure_shares
from georclip.evaluation.mosaic import lay_mosaic
from georclip.index.store import IndexStore
from georclip.indexing import index_scene
from georclip.scenes.scene import open_scene
from georclip.search.feedback import with_marks
from georclip.search.question import Part
from georclip.values import ChipPlan, Query, Term
from tests.benchmarks.machine import print_machine
from tests.benchmarks.question_truth import COMPOSITIONS, PAIRS, mentions, shows, vague_words
from tests.benchmarks.question_ways import WAYS, georclip

K, MARKED, MARKS = 10, 20, 3
_FOLD = 1_000
_SAMPLE = 4_096
_PICTURES_PER_COMPOSITION = 5
_CELL_PX = 160
_GAP = 2.0
"""Beside a length of 1."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Pictures that are searched together: embeddings (n, dim), and a sample as an index keeps."""

    images: list[CaptionedImage]
    vectors: Vectors
    background: Vectors

    @property
    def labels(self) -> npt.NDArray[np.str_]:
        return np.array([image.label for image in self.images])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of scenes")
    parser.add_argument("-o", "--output", type=Path, help="keep scenes and indexes there")
    asked = parser.parse_args()
    encoder = load_encoder("starter")
    rsicd, ucm = (read(asked.captions, name) for name in ("rsicd", "ucm"))
    own = {name: [one for one in images if one.split == asked.split]
           for name, images in (("RSICD", rsicd), ("UCM", ucm))}  # fmt: skip
    collections = {name: embed(encoder, images) for name, images in own.items()}
    print_machine()
    print(f"{encoder.spec.name} ({encoder.spec.weights_sha256[:12]}), {asked.split} pictures\n")
    print_templates(encoder, collections)
    folds = folded(collections["RSICD"])
    print_without(encoder, folds)
    print_compositions(encoder, folds)
    words = vague_words([image for image in rsicd if image.split == "train"])
    print_marks(encoder, folds, words)
    with tempfile.TemporaryDirectory() as scratch:
        for seed in asked.seeds:
            folder = (asked.output or Path(scratch)) / f"{asked.split}-{seed}"
            print_marks_in_scene(encoder, folds[0].images, words, folder, seed)


def read(captions: Path, name: str) -> list[CaptionedImage]:
    folder = captions / name
    return list(read_captions([folder / f"dataset_{name}.json"], [folder / "images"]))


def embed(encoder: Encoder, images: list[CaptionedImage]) -> Collection:
    pixels = decode_images(images, max_side_px=512, quiet=True)
    vectors = np.concatenate(
        [encoder.encode_images(np.moveaxis(one, -1, 0)[np.newaxis]) for one in pixels]
        if len({one.shape for one in pixels}) > 1
        else [
            encoder.encode_images(np.moveaxis(np.stack(pixels[start : start + 256]), -1, 1))
            for start in range(0, len(pixels), 256)
        ]
    )
    return collect(images, vectors)


def collect(images: list[CaptionedImage], vectors: Vectors) -> Collection:
    stored = unit_rows(vectors.astype(np.float16))
    drawn = np.random.default_rng(0).permutation(len(stored))[:_SAMPLE]
    return Collection(images=images, vectors=stored, background=stored[drawn])


def folded(whole: Collection) -> list[Collection]:
    """Collections of about a thousand pictures, each with every class."""
    count = max(1, round(len(whole.images) / _FOLD))
    order = np.argsort(whole.labels, kind="stable")
    return [
        collect([whole.images[n] for n in order[fold::count]], whole.vectors[order[fold::count]])
        for fold in range(count)
    ]


# --- templates -----------------------------------------------------------------------------------


def print_templates(encoder: Encoder, collections: dict[str, Collection]) -> None:
    print(
        "| set | asked | precision at 10, class names | mAP, class names | mean recall, captions |"
    )
    print("|---|---|---|---|---|")
    for name, whole in collections.items():
        for title, templates in (("plainly", PLAIN), (f"in {len(SCENES)} templates", SCENES)):
            precision, average = by_class_name(encoder, whole, templates)
            recall = by_caption(encoder, whole, templates)
            print(f"| {name} | {title} | {precision:.3f} | {average:.3f} | {recall:.1f} % |")
    print(flush=True)


def by_class_name(
    encoder: Encoder, whole: Collection, templates: tuple[str, ...]
) -> tuple[float, float]:
    precisions, averages = [], []
    for label in np.unique(whole.labels):
        vector = encode_with_templates(encoder, label, templates)
        right = (whole.labels == label)[ranking(whole.vectors @ vector)]
        precisions.append(right[: min(K, right.sum())].mean())
        averages.append(average_precision(right))
    return fmean(precisions), fmean(averages)


def by_caption(encoder: Encoder, whole: Collection, templates: tuple[str, ...]) -> float:
    """Mean of recall at 1, 5 and 10, percent: equal captions count for all their pictures."""
    owners: dict[str, set[int]] = {}
    for number, image in enumerate(whole.images):
        for sentence in image.sentences:
            owners.setdefault(sentence, set()).add(number)
    ranks = []
    for sentence, own in owners.items():
        try:
            vector = encode_with_templates(encoder, sentence.rstrip(" ."), templates)
        except QueryError:
            continue
        scores = whole.vectors @ vector
        ranks.append(int((scores > max(scores[number] for number in own)).sum()))
    return 100 * fmean(float((np.array(ranks) < k).mean()) for k in (1, 5, 10))


# --- wanted, not unwanted ------------------------------------------------------------------------


def print_without(encoder: Encoder, folds: Sequence[Collection]) -> None:
    print(f"Precision at {K} of pictures that show the wanted and not the unwanted\n")
    print("| wanted | not | such pictures | wanted alone | " + " | ".join(WAYS) + " |")
    print("|---|---|---|---|" + "---|" * len(WAYS))
    rows = []
    for pair in PAIRS:
        wanted, unwanted = encoder.encode_texts([pair.wanted, pair.unwanted])
        parts = [text(pair.wanted, wanted), text(pair.unwanted, unwanted, -1.0)]
        counts, found = [], []
        for fold in folds:
            right = shows(fold.images, pair.word) & ~shows(fold.images, pair.unwanted_word)
            counts.append(int(right.sum()))
            ranked = [fold.vectors @ wanted]
            ranked += [way(parts, fold.background, fold.vectors) for way in WAYS.values()]
            found.append([precision(right, scores, K) for scores in ranked])
        rows.append([fmean(column) for column in zip(*found, strict=True)])
        shown = " | ".join(f"{value:.2f}" for value in rows[-1])
        print(f"| {pair.wanted} | {pair.unwanted} | {fmean(counts):.0f} | {shown} |")
    means = [fmean(column) for column in zip(*rows, strict=True)]
    print("| **mean** | | | " + " | ".join(f"**{value:.3f}**" for value in means) + " |\n")


# --- a picture, and an attribute in words --------------------------------------------------------


def print_compositions(encoder: Encoder, folds: Sequence[Collection]) -> None:
    names = ["the picture alone", "the words alone", *WAYS]
    found: dict[str, list[float]] = {name: [] for name in names}
    apart: dict[str, list[float]] = {name: [] for name in names}
    asked = 0
    for fold in folds:
        for label, words, word in COMPOSITIONS:
            shown, own = mentions(fold.images, word), fold.labels == label
            pictures = np.flatnonzero(own & ~shown)[:_PICTURES_PER_COMPOSITION]
            if (own & shown).sum() < 3 or not len(pictures):
                continue
            (vector,) = encoder.encode_texts([words])
            asked += len(pictures)
            gap = with_gap(fold)
            for name in names:
                beside = np.append(vector, np.float32(0))
                apart[name].append(
                    fmean(composed(gap, name, number, words, beside, own & shown)
                          for number in pictures)
                )  # fmt: skip
                found[name].append(
                    fmean(composed(fold, name, number, words, vector, own & shown)
                          for number in pictures)
                )  # fmt: skip
    count = len(found[names[0]])
    print(f"{asked} questions: a picture of a class, and an attribute that it does not have\n")
    print(
        f"| compared by | mAP, mean over {count} pairs of class and attribute "
        "| with a gap between texts and pictures, made |\n|---|---|---|"
    )
    for name in names:
        print(f"| {name} | {fmean(found[name]):.3f} | {fmean(apart[name]):.3f} |")
    print(flush=True)


def with_gap(fold: Collection) -> Collection:
    """The same in one more dimension, in which all pictures lie far from all texts.

    Cosines of two pictures then spread less than half as much beside those of a text and a
    picture as they did: CLIP's towers have such a gap (Liang et al., Mind the gap, 2022), the
    starter's have none.
    """
    return Collection(
        images=fold.images, vectors=_away(fold.vectors), background=_away(fold.background)
    )


def _away(vectors: Vectors) -> Vectors:
    return unit_rows(np.c_[vectors, np.full(len(vectors), _GAP, dtype=np.float32)])


def composed(
    fold: Collection, name: str, number: int, words: str, vector: Vectors, right: npt.NDArray
) -> float:
    picture = Part(kind="image", label=str(number), vector=fold.vectors[number])
    parts = [picture, text(words, vector)]
    if name not in WAYS:
        parts = [picture] if name == "the picture alone" else parts[1:]
    scores = WAYS.get(name, georclip)(parts, fold.background, fold.vectors)
    order = ranking(scores)
    return average_precision(right[order[order != number]])


# --- marks ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Precision before and after marks, as the answers are and without what was marked."""

    before: float
    after: float
    others_before: float
    others_after: float


def print_marks(encoder: Encoder, folds: Sequence[Collection], words: dict[str, list[str]]) -> None:
    results = {"vague words, pictures": [], "the same, sum of vectors (Rocchio)": []}
    for fold in folds:
        for label, vague in words.items():
            right = fold.labels == label
            question = first_weak(
                vague, lambda word, right=right, fold=fold: answer_of(encoder, word, fold, right)
            )
            if question is None:
                continue
            word, first = question
            good, bad = marks_of(first, right)
            (vector,) = encoder.encode_texts([word])
            own = with_marks(
                Query(terms=(Term(kind="text", value=word),)),
                good=[str(n) for n in good],
                bad=[str(n) for n in bad],
            )
            parts = [text(word, vector)] + [
                Part(kind="hit", label=term.value, vector=fold.vectors[int(term.value)],
                     weight=term.weight)
                for term in own.terms[1:]
            ]  # fmt: skip
            scores = georclip(parts, fold.background, fold.vectors)
            rocchio = (
                vector + fold.vectors[good].mean(axis=0) - 0.5 * fold.vectors[bad].mean(axis=0)
            )
            for title, ranked in zip(results, (scores, fold.vectors @ rocchio), strict=True):
                results[title].append(judge(first, list(ranking(ranked)), right, {*good, *bad}))
    print_rises(results)


def answer_of(
    encoder: Encoder, word: str, fold: Collection, right: npt.NDArray
) -> tuple[list[int], npt.NDArray]:
    (vector,) = encoder.encode_texts([word])
    return list(ranking(fold.vectors @ vector)), right


def first_weak(vague: Sequence[str], answer: Callable) -> tuple[str, list[int]] | None:
    """The first word whose answer holds good and bad ones: three of both, or two, or one."""
    answers = {}
    for word in vague:
        try:
            answers[word] = answer(word)
        except QueryError:
            continue
    for least in range(MARKS, 0, -1):
        for word, (first, right) in answers.items():
            good = int(right[first[:MARKED]].sum())
            if least <= good <= len(first[:MARKED]) - least:
                return word, first
    return None


def marks_of(first: Sequence[int], right: npt.NDArray) -> tuple[list[int], list[int]]:
    """The best three right ones and the best three wrong ones."""
    shown = list(first[:MARKED])
    good = [number for number in shown if right[number]][:MARKS]
    return good, [number for number in shown if not right[number]][:MARKS]


def judge(
    first: Sequence[int], second: Sequence[int], right: npt.NDArray, marked: set[int]
) -> Marked:
    def share(answer: Sequence[int], *, others: bool) -> float:
        kept = [number for number in answer if not (others and number in marked)][:MARKED]
        return float(right[kept].mean())

    return Marked(
        before=share(first, others=False),
        after=share(second, others=False),
        others_before=share(first, others=True),
        others_after=share(second, others=True),
    )


def print_rises(results: dict[str, list[Marked]]) -> None:
    print(
        f"| {MARKS} good and {MARKS} bad marks | questions | precision at {MARKED} "
        "| rises / same / falls | without the marked: precision | rises / same / falls |\n"
        "|---|---|---|---|---|---|"
    )
    for title, found in results.items():
        if not found:
            print(f"| {title} | 0 | | | | |")
            continue
        all_of_them = [(one.before, one.after) for one in found]
        others = [(one.others_before, one.others_after) for one in found]
        print(f"| {title} | {len(found)} | {changes(all_of_them)} | {changes(others)} |")
    print(flush=True)


def changes(pairs: list[tuple[float, float]]) -> str:
    before, after = (fmean(column) for column in zip(*pairs, strict=True))
    rises, falls = sum(b < a for b, a in pairs), sum(b > a for b, a in pairs)
    return f"{before:.3f} -> {after:.3f} | {rises} / {len(pairs) - rises - falls} / {falls}"


def print_marks_in_scene(
    encoder: Encoder,
    images: list[CaptionedImage],
    words: dict[str, list[str]],
    folder: Path,
    seed: int,
) -> None:
    """Marks by way of the index: chips straddle pictures, and hits are objects."""
    folder.mkdir(parents=True, exist_ok=True)
    ground_m = encoder.spec.ground_size_m[1] if encoder.spec.ground_size_m else _CELL_PX
    mosaic = lay_mosaic(
        images, folder / "scene.tif", cell_px=_CELL_PX, pixel_size_m=ground_m / _CELL_PX, seed=seed
    )
    with IndexStore.create(folder / "index", encoder=encoder.spec, plan=ChipPlan()) as store:
        index_scene(
            store, encoder, open_scene(str(mosaic.path)), store.plan, memory_bytes=500_000_000
        )
        rows = store.select().rows
        chips = [chip for chip, _ in store.fetch(rows)]
        shares = measure_shares([chip.footprint for chip in chips], mosaic.boxes(), mosaic.crs)
        number_of = {chip.chip_id: number for number, chip in enumerate(chips)}
        index = Index(store, encoder=encoder)
        labels = np.array([cell.image.label for cell in mosaic.cells])
        results: dict[str, list[Marked]] = {
            f"class names, one scene (seed {seed})": [], f"vague words, one scene (seed {seed})": []
        }  # fmt: skip
        for label, vague in words.items():
            right = shares.covered(labels == label) > RIGHT_SHARE
            for title, questions in zip(results, ([label], vague), strict=True):
                marked = ask_in_scene(index, questions, right, number_of)
                if marked is not None:
                    results[title].append(marked)
    print_rises(results)


def ask_in_scene(
    index: Index, questions: Sequence[str], right: npt.NDArray, number_of: dict[str, int]
) -> Marked | None:
    """Ask, mark, ask again; None where no question's answer holds good and bad hits."""

    def answer(question: str) -> tuple[list[int], npt.NDArray]:
        found = index.search(question, k=MARKED + 2 * MARKS)
        return [number_of[hit.chip.chip_id] for hit in found.hits], right

    question = first_weak(questions, answer)
    if question is None:
        return None
    word, first = question
    good, bad = marks_of(first, right)
    ranks = {number: rank for rank, number in enumerate(first, start=1)}
    result = index.feedback(
        index.search(word, k=MARKED + 2 * MARKS),
        good=[ranks[number] for number in good],
        bad=[ranks[number] for number in bad],
    )
    second = [number_of[hit.chip.chip_id] for hit in result.hits]
    return judge(first, second, right, {*good, *bad})


# --- figures -------------------------------------------------------------------------------------


def text(label: str, vector: Vectors, weight: float = 1.0) -> Part:
    return Part(kind="text", label=label, vector=vector, weight=weight)


def ranking(scores: npt.NDArray) -> npt.NDArray[np.int64]:
    return np.argsort(-scores, kind="stable")


def precision(right: npt.NDArray, scores: npt.NDArray, k: int) -> float:
    return float(right[ranking(scores)[: max(1, min(k, int(right.sum())))]].mean())


def average_precision(right: npt.NDArray) -> float:
    if not right.any():
        return 0.0
    return float((np.cumsum(right) / np.arange(1, len(right) + 1))[right].mean())


if __name__ == "__main__":
    main()
