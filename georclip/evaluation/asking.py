"""Questions to a scene whose truth is known: every class by name, every picture by a caption.

They go through `search`, as a person's do. Class names ask for every chip there is, so that
average precision is taken over the whole ranking. The many captions ask for the best 1,000 chips,
hundreds of places: what comes later adds 0.0001 to their mean (measured: 8,271 chips).
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.encoders.words import normalise
from georclip.evaluation.embedding import Progress, known_sentences
from georclip.evaluation.ground_truth import RIGHT_SHARE, Answers, Losses, Shares, judge
from georclip.search.engine import search
from georclip.values import EncoderSpec, Query, Term

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.evaluation.mosaic import Cell
    from georclip.index.store import IndexStore
    from georclip.values import Hit

log = logging.getLogger("georclip")

_CAPTION_CHIPS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedMosaic:
    """A laid scene in an index of its own, with the truth about its chips.

    Attributes:
        store: The index.
        uri: The scene's, in the index.
        encoder: What made its vectors.
        cells: What was laid.
        shares: How its chips and cells overlap.
        number_of: Number of each chip in `shares`, by chip_id.
    """

    store: IndexStore
    uri: str
    encoder: Encoder
    cells: tuple[Cell, ...]
    shares: Shares
    number_of: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """What one class name found; every share in [0, 1].

    Attributes:
        label: The class in words: the question.
        cells: Places that show it.
        precision: At min(k, cells).
        losses: Why the others of those answers are wrong.
        average_precision: Over the whole ranking.
        by_chance: Share of all chips that are right.
    """

    label: str
    cells: int
    precision: float
    losses: Losses
    average_precision: float
    by_chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionFigures:
    """What one caption of each picture found.

    Right are all cells whose picture has an equal caption, whatever its spelling and case.

    Attributes:
        captions: Questions asked, one for each picture.
        unknown: Of those, the ones without a word that the encoder knows: they find nothing.
        recall_at_1: Captions whose first place is right, percent.
        recall_at_5: Captions with a right place among the first 5, percent.
        recall_at_10: Captions with a right place among the first 10, percent.
        mean_average_precision: Over the best 1,000 chips of each, in [0, 1].
    """

    captions: int
    unknown: int
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    mean_average_precision: float


def ask(
    asked: IndexedMosaic, *, k: int, seed: int, progress: Progress | None = None
) -> tuple[tuple[ClassFigures, ...], CaptionFigures]:
    """Ask for every class by its name, and for every picture by one of its captions.

    Args:
        asked: The scene.
        k: Places looked at when a class is asked for.
        seed: Of which caption is taken.
        progress: Told questions answered and questions in all; equal captions are asked once.

    Returns:
        Of each class, in alphabetical order, () where pictures have none; and of all captions.

    Raises:
        QueryError: A question cannot be asked, though the encoder knows a word of it.
    """
    labels = sorted({cell.image.label for cell in asked.cells} - {""})
    rng = np.random.default_rng(seed)
    pictures = {cell.image.path: cell.image for cell in asked.cells}
    chosen = [image.sentences[rng.integers(len(image.sentences))] for image in pictures.values()]
    captions = {_words(caption): caption for caption in reversed(chosen)}
    tell = _teller(progress, len(labels) + len(captions))
    by_class = tuple(_ask_class(asked, label, k, tell) for label in labels)
    known = known_sentences(asked.encoder, list(captions.values()))
    quiet, holders = _Tacit(asked.encoder), _holders(asked.cells)
    found = {}
    for (words, caption), knows in zip(captions.items(), known.tolist(), strict=True):
        right = np.zeros(len(asked.cells), dtype=np.bool_)
        right[holders[words]] = True
        found[words] = _ask(asked, quiet if knows else None, caption, right, _CAPTION_CHIPS)
        tell()
    return by_class, _caption_figures([found[_words(caption)] for caption in chosen])


def _ask_class(asked: IndexedMosaic, label: str, k: int, tell: Callable[[], None]) -> ClassFigures:
    right = np.array([cell.image.label == label for cell in asked.cells])
    knows = bool(known_sentences(asked.encoder, [label])[0])
    if not knows:
        log.warning("the encoder does not know a word of %r: the class finds nothing", label)
    answers = _ask(asked, asked.encoder if knows else None, label, right, len(asked.number_of))
    tell()
    return ClassFigures(
        label=label,
        cells=answers.wanted,
        precision=answers.precision(k),
        losses=answers.losses(k),
        average_precision=answers.average_precision(),
        by_chance=float((asked.shares.covered(right) > RIGHT_SHARE).mean()),
    )


def _caption_figures(answers: Sequence[Answers]) -> CaptionFigures:
    recalls = [100.0 * float(np.mean([one.found_by(k) for one in answers])) for k in (1, 5, 10)]
    return CaptionFigures(
        captions=len(answers),
        unknown=sum(not len(one.right) for one in answers),
        recall_at_1=recalls[0],
        recall_at_5=recalls[1],
        recall_at_10=recalls[2],
        mean_average_precision=float(np.mean([one.average_precision() for one in answers])),
    )


def _ask(
    asked: IndexedMosaic, encoder: Encoder | None, text: str, right: npt.NDArray[np.bool_], k: int
) -> Answers:
    """Ask for the k best chips and judge them; without an encoder that knows a word, for none."""
    hits: tuple[Hit, ...] = ()
    if encoder is not None:
        query = Query(
            terms=(Term(kind="text", value=text),), k=k, scenes=asked.uri, grouping="none"
        )
        hits = search(asked.store, encoder, query).hits
    ranked = np.array([asked.number_of[hit.chip.chip_id] for hit in hits], dtype=np.int64)
    return judge(asked.shares, ranked, right)


def _teller(progress: Progress | None, total: int) -> Callable[[], None]:
    """To be called after each question."""
    done = itertools.count(1)

    def tell() -> None:
        if progress is not None:
            progress(next(done), total)

    return tell


def _holders(cells: Sequence[Cell]) -> dict[str, list[int]]:
    """Numbers of the cells whose picture has a caption, by the caption's words."""
    holders: dict[str, list[int]] = {}
    for number, cell in enumerate(cells):
        for words in {_words(sentence) for sentence in cell.image.sentences}:
            holders.setdefault(words, []).append(number)
    return holders


def _words(caption: str) -> str:
    """A caption without what does not change its meaning: case, points, spelling."""
    return " ".join(normalise(caption))


@dataclass(frozen=True, slots=True)
class _Tacit:
    """An encoder that owns up to no unknown words: a line for each of many captions is noise."""

    encoder: Encoder

    @property
    def spec(self) -> EncoderSpec:
        return self.encoder.spec

    @property
    def device(self) -> str:
        return self.encoder.device

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return self.encoder.encode_images(pixels)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.encoder.encode_texts(texts)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        return ()

    def unread(self, text: str) -> str:
        return self.encoder.unread(text)
