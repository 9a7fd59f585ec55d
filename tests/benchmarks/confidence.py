"""How well each way of telling an answer from none does, on scenes with classes left out.

    python -m tests.benchmarks.confidence CAPTIONS [--scenes FOLDER] [-o FOLDER]

Every class is asked by name of scenes that show it and of the same scenes without it. Settings
and cut-offs are chosen on train pictures (and other real scenes), figures are of val. Vectors are
kept in the folder: ten minutes the first time, on one core, and two after that.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from georclip.captions.reading import read_captions
from georclip.captions.records import CaptionedImage
from georclip.encoders.base import Encoder
from georclip.encoders.loading import load_encoder
from georclip.encoders.preprocessing import unit_rows
from georclip.errors import QueryError
from georclip.evaluation.ground_truth import RIGHT_SHARE
from georclip.search.calibration import CONVINCING, Calibration
from georclip.search.emptiness import learn_emptiness
from georclip.search.neutral import PROMPTS, embed_neutral
from tests.benchmarks.confidence_methods import (
    METHODS,
    Asked,
    Method,
    cosine,
    kept,
    pooled_cosine,
    z_score,
)
from tests.benchmarks.confidence_pictures import (
    alone,
    own_confidences,
    print_pictures,
    questions_of,
)
from tests.benchmarks.confidence_scenes import SHOWN, Ground, LaidChips, make_ground
from tests.benchmarks.machine import print_machine

Key = TypeVar("Key")

BACKGROUND = 2_048
"""Chips of a scene that are its background: of each scene as many, or percentiles would tell the
larger scene."""
HITS = 10
CUTS = np.linspace(0.0, 1.0, 401)
WAYS: dict[str, Method] = {"plain cosine": cosine, "confidence": kept}
_NEAR_M = 250.0
_M_PER_DEG = 111_320.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is in the scenes.

    Attributes:
        name: For people.
        shown: How much there is of the class where it is: "all", "half" or "one" place of it.
        mixed: With real scenes, other pixel sizes, blank chips, open water and noise.
    """

    name: str
    shown: str
    mixed: bool


SETTINGS = (
    Setting(name="all", shown="all", mixed=False),
    Setting(name="half", shown="half", mixed=False),
    Setting(name="one", shown="one", mixed=False),
    Setting(name="mixed, all", shown="all", mixed=True),
    Setting(name="mixed, half", shown="half", mixed=True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions", type=Path)
    parser.add_argument("--scenes", type=Path, help="real scenes to mix in")
    parser.add_argument("--seeds", type=int, default=5, help="laid scenes of each split")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/confidence"))
    asked = parser.parse_args()
    folder = asked.captions / "rsicd"
    images = read_captions([folder / "dataset_rsicd.json"], [folder / "images"])
    measure(load_encoder("starter"), images, asked.scenes, asked.output, seeds=asked.seeds)


def measure(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    scenes: Path | None,
    output: Path,
    *,
    seeds: int,
) -> None:
    """Print all tables."""
    print_machine()
    spec = encoder.spec
    folder = output / f"{spec.name}-{spec.weights_sha256[:12]}"
    known, neutral = embed_neutral(encoder)
    print(f"{spec.name} ({spec.weights_sha256[:12]}), {len(known)} of {len(PROMPTS)} prompts known")
    split = {name: [one for one in images if one.split == name] for name in ("train", "val")}
    ground = {
        name: make_ground(encoder, some, scenes, name, folder, seeds=seeds)
        for name, some in split.items()
    }
    for name, one in ground.items():
        sizes = ", ".join(f"{key} {len(vectors)}" for key, vectors in one.real.items())
        print(f"{name}: {len(one.laid)} scenes of {len(one.laid[0].vectors)} chips, ", end="")
        others = sum(len(laid.vectors) for laid in one.other_sizes)
        print(f"mixed in: other pixel sizes {others}, {sizes}, nothing {len(one.nothing)}")
    names = encoder.encode_texts(ground["val"].labels)
    chosen = choose(ground["train"], names, neutral)
    print_aurocs(ground["val"], names, neutral, chosen)
    print_convincing(ground["val"], names, neutral)
    print_f1(ground, names, neutral)
    print_captions(ground["val"], captions_of(encoder, split["val"], ground["val"]), neutral)
    print_picture_questions(encoder, split["val"], ground["val"])
    print_cost()


def print_picture_questions(
    encoder: Encoder, images: Sequence[CaptionedImage], ground: Ground
) -> None:
    """Present against absent, asked by a picture of the class that the scene does not hold."""
    scenes = [
        (scene, some)
        for number in range(2)
        for scene, some in zip(
            alone(ground),
            questions_of(encoder, images, ground, "val", laid=10, number=number),
            strict=True,
        )
    ]
    print(
        f"\nAsked by pictures: AUROC, and questions with a convincing hit among {HITS}\n\n"
        "| scenes | plain cosine | confidence | class there | class not there |\n"
        "|---|---|---|---|---|"
    )
    for setting in SETTINGS:
        if setting.mixed and not ground.real:
            continue

        def answers(setting: Setting = setting) -> Iterator[Asked]:
            none = np.zeros((0, encoder.spec.dim), dtype=np.float32)
            for scene, some in scenes:
                yield from (one for _, one in ask(scene, some, none, setting))

        print_pictures(setting.name, answers, auroc)
    least = min(own_confidences(ground))
    print(f"\nleast confidence of a chip that is asked for itself: {least:.3f}")


def ask(
    ground: Ground, questions: np.ndarray, neutral: np.ndarray, setting: Setting
) -> Iterator[tuple[int, Asked]]:
    """Ask every class of every laid scene, with it and without it: its number, and the answer.

    Args:
        ground: Of one split.
        questions: One for each class, (classes, dim).
        neutral: Embedded prompts.
        setting: What is in the scenes.
    """
    for seed, laid in enumerate(ground.laid):
        vectors, cover = _gather(ground, laid, setting)
        stored = unit_rows(vectors.astype(np.float16).astype(np.float32))
        scores = stored @ questions.T
        some = np.random.default_rng(seed).permutation(len(stored))[:BACKGROUND]
        empty = learn_emptiness(*ground.drawn, stored[some]).shows_nothing(stored)
        for number in range(len(questions)):
            rng = np.random.default_rng((seed, number))
            absent = cover[:, number] == 0
            shown = np.zeros(len(stored), dtype=np.bool_)
            shown[: len(laid.vectors)] = _shown(laid, number, setting.shown, rng)
            for present in (True, False):
                rows = np.flatnonzero(absent | shown if present else absent)
                best = rows[np.argsort(-scores[rows, number], kind="stable")]
                sample = rng.permutation(rows)[:BACKGROUND]
                yield (
                    number,
                    Asked(
                        present=present,
                        question=questions[number],
                        vectors=stored[best],
                        scores=scores[best, number],
                        right=cover[best, number] * shown[best] > RIGHT_SHARE,
                        background=stored[sample],
                        neutral=neutral,
                        empty=empty[best],
                    ),
                )


def _gather(ground: Ground, laid: LaidChips, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, dim), and how much of each class they show (n, classes); 2: nobody can say."""
    vectors, covers = [laid.vectors], [laid.kept + laid.spare]
    if not setting.mixed:
        return vectors[0], covers[0]
    for other in ground.other_sizes:
        vectors.append(other.vectors)
        covers.append(2 * (other.kept + other.spare))
    for key, found in {**ground.real, "": ground.nothing}.items():
        unsure = [2.0 * (label in SHOWN.get(key, ())) for label in ground.labels]
        vectors.append(found)
        covers.append(np.tile(np.array(unsure, dtype=np.float32), (len(found), 1)))
    return np.concatenate(vectors), np.concatenate(covers)


def _shown(laid: LaidChips, number: int, how_much: str, rng: np.random.Generator) -> np.ndarray:
    """Chips with some of the class that are in the scene, bool (n,)."""
    if how_much == "all":
        return (laid.kept + laid.spare)[:, number] > 0
    shown = (laid.kept[:, number] > 0) & (laid.spare[:, number] == 0)
    whole = np.flatnonzero(laid.kept[:, number] > 0.9)
    if how_much == "half" or len(whole) == 0:
        return shown
    middles = (laid.bounds[:, :2] + laid.bounds[:, 2:]) / 2
    away = (middles - middles[rng.choice(whole)]) * _M_PER_DEG
    away[:, 0] *= np.cos(np.deg2rad(middles[0, 1]))
    return shown & (np.abs(away).max(axis=1) < _NEAR_M)


def choose(ground: Ground, names: np.ndarray, neutral: np.ndarray) -> dict[str, tuple[str, Method]]:
    """The best setting of each way: the mean AUROC of both kinds of scenes, on train."""
    kinds = [SETTINGS[0], SETTINGS[1], SETTINGS[3]] if ground.real else list(SETTINGS[:2])
    options = {(way, name): one for way, some in METHODS.items() for name, one in some.items()}
    options["", ""] = logistic_features  # looked at once with the others
    merits = {option: 0.0 for option in options}
    rows, truth = [], []
    for kind in kinds:
        found, present = numbers_of(ask(ground, names, neutral, kind), options)
        rows.append(found.pop(("", ""))[:, 0])
        truth.append(present)
        for option, values in found.items():
            merits[option] += auroc(values, present)[1]
    chosen = {}
    for way, settings in METHODS.items():
        best = max(settings, key=lambda name: merits[way, name])
        chosen[way] = (best, settings[best])
    fitted = fit_logistic(np.concatenate(rows), np.concatenate(truth))
    chosen["logistic of kept, pooled cosine and z-score"] = ("fitted", fitted)
    return chosen


def numbers_of(
    answers: Iterable[tuple[int, Asked]], methods: Mapping[Key, Method]
) -> tuple[dict[Key, np.ndarray], np.ndarray]:
    """What each way says of the first hits, (answers, hits, ...), and which show the class."""
    found: dict[Key, list[np.ndarray]] = {key: [] for key in methods}
    present = []
    for _, one in answers:  # one at a time: together they would fill the memory
        present.append(one.present)
        for key, method in methods.items():
            found[key].append(method(one, HITS))
    return {key: np.stack(values) for key, values in found.items()}, np.array(present)


def auroc(values: np.ndarray, present: np.ndarray) -> tuple[float, float]:
    """Chance that a scene with the class gets the higher number: by its first hit, by its best.

    All classes together, so that numbers of different questions are compared; ties count half.
    """
    found = []
    for each in (values[:, 0], values.max(axis=1)):
        above = each[present][:, None] - each[~present][None]
        found.append(float((above > 0).mean() + 0.5 * (above == 0).mean()))
    return found[0], found[1]


def logistic_features(asked: Asked, count: int) -> np.ndarray:
    """What the logistic regression looks at, (count, 3)."""
    sure = np.clip(kept(asked, count), 1e-9, 1 - 1e-9)
    return np.stack(
        [np.log(sure / (1 - sure)), pooled_cosine(asked, count), z_score(asked, count)], axis=1
    )


def fit_logistic(rows: np.ndarray, truth: np.ndarray) -> Method:
    """Logistic regression of the first hits' features on whether the class is there."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    design = np.column_stack([(rows - mean) / spread, np.ones(len(rows))])
    weights = np.zeros(design.shape[1])
    for _ in range(30):  # Newton's method, lightly ridged
        chance = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (chance - truth) + 0.1 * weights
        curvature = (design.T * (chance * (1 - chance))) @ design + 0.1 * np.eye(len(weights))
        weights -= np.linalg.solve(curvature, slope)
    return lambda asked, count: (logistic_features(asked, count) - mean) / spread @ weights[:-1]


def print_aurocs(
    ground: Ground, names: np.ndarray, neutral: np.ndarray, chosen: dict[str, tuple[str, Method]]
) -> None:
    """Present against absent, of each way and kind of scene."""
    settings = [one for one in SETTINGS if ground.real or not one.mixed]
    print(
        f"\nAUROC of present against absent, val: first hit / most sure of {HITS} hits\n\n"
        f"| way | chosen on train | {' | '.join(one.name for one in settings)} |\n"
        f"|---|---|{'---|' * len(settings)}"
    )
    cells: dict[str, list[str]] = {way: [] for way in chosen}
    methods = {way: method for way, (_, method) in chosen.items()}
    for setting in settings:
        found, present = numbers_of(ask(ground, names, neutral, setting), methods)
        for way, values in found.items():
            first, best = auroc(values, present)
            cells[way].append(f"{first:.3f} / {best:.3f}")
    for way, (name, _) in chosen.items():
        print(f"| {way} | {name} | {' | '.join(cells[way])} |", flush=True)


def print_f1(ground: dict[str, Ground], names: np.ndarray, neutral: np.ndarray) -> None:
    """Which answers show the class, by one cut-off for all classes, chosen on train."""
    print(
        "\nF1 of what a cut-off keeps, mean over classes, scenes with and without each class; one "
        "cut-off for all classes\n\n"
        "| of | scenes | way | cut-off chosen on train | F1, val | best cut-off on val | its F1 "
        "| a cut-off of its own for each class |\n|---|---|---|---|---|---|---|---|"
    )
    for setting in SETTINGS:
        if setting.shown == "one" or (setting.mixed and not ground["val"].real):
            continue
        train, val = (f1_curves(ground[one], names, neutral, setting) for one in ("train", "val"))
        for of, way in train:
            curves = val[of, way]
            mean = curves.mean(axis=0)
            at, best = int(train[of, way].mean(axis=0).argmax()), int(mean.argmax())
            print(
                f"| {of} | {setting.name} | {way} | {CUTS[at]:.3f} | {mean[at]:.3f} "
                f"| {CUTS[best]:.3f} | {mean[best]:.3f} | {curves.max(axis=1).mean():.3f} |",
                flush=True,
            )


def f1_curves(
    ground: Ground, names: np.ndarray, neutral: np.ndarray, setting: Setting
) -> dict[tuple[str, str], np.ndarray]:
    """F1 of each class at each cut-off, of ten hits and of all chips: (classes, cuts)."""
    kinds = [(of, way) for of in (f"{HITS} hits", "all chips") for way in WAYS]
    counts = {kind: np.zeros((3, len(names), len(CUTS))) for kind in kinds}
    for number, one in ask(ground, names, neutral, setting):
        for of, way in kinds:
            values = WAYS[way](one, len(one.scores) if of == "all chips" else HITS)
            answer = one.as_ranked() if way == "confidence" else one
            right = answer.right[: len(values)]
            counts[of, way][:, number] += [
                _at_least(values[right]), _at_least(values), np.full(len(CUTS), right.sum()),
            ]  # fmt: skip
    return {kind: 2 * c[0] / np.maximum(c[1] + c[2], 1) for kind, c in counts.items()}


def _at_least(values: np.ndarray) -> np.ndarray:
    """How many values reach each cut-off, (cuts,)."""
    return len(values) - np.searchsorted(np.sort(values), CUTS)


def print_convincing(ground: Ground, names: np.ndarray, neutral: np.ndarray) -> None:
    """How often something is called convincing, with the class there and not."""
    print(
        f"\nQuestions with a convincing hit among {HITS} (confidence of {CONVINCING} and more)\n\n"
        "| scenes | class there | class not there |\n|---|---|---|"
    )
    for setting in SETTINGS:
        if setting.mixed and not ground.real:
            continue
        told: dict[bool, list[bool]] = {True: [], False: []}
        for _, one in ask(ground, names, neutral, setting):
            told[one.present].append(bool((kept(one, HITS) >= CONVINCING).any()))
        print(
            f"| {setting.name} | {np.mean(told[True]):.3f} | {np.mean(told[False]):.3f} |",
            flush=True,
        )


def captions_of(
    encoder: Encoder, images: Sequence[CaptionedImage], ground: Ground
) -> list[np.ndarray]:
    """Two seeded captions of each class's pictures as questions: (classes, dim) each."""
    rng = np.random.default_rng(0)
    found: list[list[np.ndarray]] = [[], []]
    for label in ground.labels:
        sentences = [text for one in images if one.label == label for text in one.sentences]
        for number in range(2):
            while True:
                try:
                    question = encoder.encode_texts([sentences[rng.integers(len(sentences))]])[0]
                except QueryError:
                    continue
                break
            found[number].append(question)
    return [np.stack(one) for one in found]


def print_captions(ground: Ground, questions: list[np.ndarray], neutral: np.ndarray) -> None:
    """Present against absent, asked by captions instead of names."""
    print("\nThe same, asked by captions of the class's pictures\n")
    settings = [one for one in SETTINGS if one.shown == "all" and (ground.real or not one.mixed)]
    print(f"| way | {' | '.join(one.name for one in settings)} |\n|---|{'---|' * len(settings)}")
    rows: dict[str, list[str]] = {way: [] for way in WAYS}
    for setting in settings:
        answers = (one for some in questions for one in ask(ground, some, neutral, setting))
        found, present = numbers_of(answers, WAYS)
        for way, values in found.items():
            first, best = auroc(values, present)
            rows[way].append(f"{first:.3f} / {best:.3f}")
    for way, cells in rows.items():
        print(f"| {way} | {' | '.join(cells)} |", flush=True)


def print_cost(*, dim: int = 512, repeats: int = 50) -> None:
    """Milliseconds a question, whatever the index's size."""
    rng = np.random.default_rng(0)

    def unit(count: int) -> np.ndarray:
        return unit_rows(rng.normal(size=(count, dim)).astype(np.float32))

    background, neutral, ranked, question = unit(4_096), unit(len(PROMPTS)), unit(100), unit(1)[0]
    calibration = Calibration.of(background, neutral)
    assert calibration is not None

    def cost_ms(work: Callable[[], object]) -> float:
        costs = []
        for _ in range(repeats):
            started = time.perf_counter()
            work()
            costs.append(time.perf_counter() - started)
        return 1e3 * float(np.median(costs))

    print(
        f"\ncost, {dim} numbers a vector, {len(ranked)} chips: "
        f"{cost_ms(lambda: calibration.text_confidence(question, ranked)):.2f} ms a sentence, "
        f"{cost_ms(lambda: calibration.image_confidence(question, ranked)):.2f} ms a picture; "
        f"{cost_ms(lambda: Calibration.of(background, neutral)):.2f} ms once for an open index"
    )


if __name__ == "__main__":
    main()
