"""Everything that is measured of an encoder on captioned pictures, per caption file and in all."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.captions.naming import some
from georclip.captions.pictures import check_images
from georclip.errors import CaptionError, QueryError
from georclip.evaluation.embedded import Embedded
from georclip.evaluation.embedding import (
    Progress,
    embed_captions,
    embed_files,
    known_sentences,
)
from georclip.evaluation.in_scene import InSceneFigures, measure_scales
from georclip.evaluation.neighbours import Gallery, NeighbourFigures, measure_neighbours
from georclip.evaluation.protocols import pair
from georclip.evaluation.records import (
    NEED_CLASSES,
    Evaluation,
    EvaluationSettings,
    SetFigures,
    Task,
)
from georclip.evaluation.retrieval import RetrievalFigures, measure_retrieval
from georclip.evaluation.scene_folder import prepare_folder
from georclip.evaluation.zero_shot import ZeroShotFigures, measure_zero_shot

if TYPE_CHECKING:
    from georclip.captions.records import CaptionedImage
    from georclip.encoders.base import Encoder

log = logging.getLogger("georclip")

Bars = Callable[[str, str], AbstractContextManager[Progress]]
"""Makes a progress bar from a name and a unit."""


def evaluate(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    settings: EvaluationSettings,
    *,
    bars: Bars,
    scene_folder: Path,
) -> Evaluation:
    """Measure an encoder on one split of captioned pictures.

    Args:
        encoder: Either kind.
        images: Of all splits, from one caption file or several.
        settings: What is measured, and how.
        bars: Makes progress bars.
        scene_folder: Where scenes are laid and indexed, a folder in it for each caption file.

    Raises:
        CaptionError: A file has no pictures of the split, or none with a class where a task needs
            one; or pictures are missing or broken.
        EncoderError: The encoder cannot run, or gives no numbers.
        QueryError: A template is none; or zero-shot is asked for, and the encoder knows no word
            of any class of a file.
        SceneError: A scene cannot be written.
        EncoderMismatchError: `scene_folder` holds an index of another encoder.
        IndexFormatError: An index in it is damaged.
    """
    asked = select_split(images, settings.split)
    tasks = _choose_tasks(asked, settings)
    names = list(dict.fromkeys(image.source for image in asked))
    if Task.IN_SCENE in tasks:  # what is in the way there is said before the long part
        for name in names:
            prepare_folder(scene_folder / name, encoder.spec, settings.pixel_size_factors)
    if settings.tasks is not None and Task.ZERO_SHOT in tasks:
        _check_classes(encoder, asked)
    embedded = (
        _embed(encoder, asked, settings, bars, "pictures")
        if tasks - {Task.IN_SCENE}
        else _unembedded(asked)
    )
    gallery = None
    if settings.gallery not in (None, settings.split) and Task.NEIGHBOURS in tasks:
        among = select_split(images, settings.gallery, option="--gallery")
        gallery = _embed(encoder, among, settings, bars, "gallery").labelled()
    measure = _Measuring(encoder, settings, tasks, bars, gallery)
    by_set = [measure.one(name, embedded.of(name)) for name in names]
    if Task.IN_SCENE in tasks:
        by_set = [
            replace(
                figures,
                in_scene=measure.in_scene(embedded.of(name), scene_folder / name),
            )
            for name, figures in zip(names, by_set, strict=True)
        ]
    several = len(by_set) > 1
    return Evaluation(
        encoder=encoder.spec,
        device=encoder.device,
        split=settings.split,
        protocol=settings.protocol,
        whole=measure.one(" + ".join(names), embedded.joined()) if several else by_set[0],
        by_set=tuple(by_set) if several else (),
    )


def select_split(
    images: Sequence[CaptionedImage], split: str, *, option: str = "--split"
) -> tuple[CaptionedImage, ...]:
    """The pictures of one split.

    Args:
        images: Of all splits.
        split: Whose are wanted.
        option: What it was chosen with, for the error.

    Raises:
        CaptionError: A caption file has none; the splits that it has are named.
    """
    for source in dict.fromkeys(image.source for image in images):
        counts = Counter(image.split for image in images if image.source == source)
        if not counts[split]:
            there = ", ".join(f"{name} ({count})" for name, count in counts.items())
            raise CaptionError(
                f"{source} has no images of the split {split!r}; it has {there}: choose with "
                f"{option}"
            )
    return tuple(image for image in images if image.split == split)


def _choose_tasks(
    images: Sequence[CaptionedImage], settings: EvaluationSettings
) -> frozenset[Task]:
    classes = any(image.label for image in images)
    if settings.tasks is None:
        return frozenset({Task.RETRIEVAL}) | (NEED_CLASSES if classes else frozenset())
    needing = sorted(settings.tasks & NEED_CLASSES)
    if needing and not classes:
        raise CaptionError(
            f"{', '.join(needing)} needs pictures with classes, and no image of the split "
            f"{settings.split!r} has one: leave it out of --tasks"
        )
    return settings.tasks


def _check_classes(encoder: Encoder, images: Sequence[CaptionedImage]) -> None:
    """Refuse caption files of whose classes the encoder knows no word.

    Raises:
        QueryError: There is one.
    """
    for source in dict.fromkeys(image.source for image in images):
        labels = {image.label for image in images if image.source == source} - {""}
        if labels and not known_sentences(encoder, sorted(labels)).any():
            raise QueryError(
                f"{source}: the model knows no word of any class ({some(sorted(labels))}): leave "
                "zero-shot out of --tasks, or name the column of classes with --class-column"
            )


def _unembedded(images: tuple[CaptionedImage, ...]) -> Embedded:
    """Pictures whose vectors nobody asks for."""
    check_images(images, quiet=True)
    return Embedded(images=images, vectors=np.empty((len(images), 0), dtype=np.float32))


def _embed(
    encoder: Encoder,
    images: tuple[CaptionedImage, ...],
    settings: EvaluationSettings,
    bars: Bars,
    name: str,
) -> Embedded:
    with bars(name, "picture") as progress:
        vectors = embed_files(encoder, images, batch_size=settings.batch_size, progress=progress)
    return Embedded(images=images, vectors=vectors)


class _Measuring:
    """One encoder's measuring; captions are embedded once however many sets say them."""

    def __init__(
        self,
        encoder: Encoder,
        settings: EvaluationSettings,
        tasks: frozenset[Task],
        bars: Bars,
        gallery: Embedded | None,
    ) -> None:
        self._encoder = encoder
        self._settings = settings
        self._tasks = tasks
        self._bars = bars
        self._gallery = gallery
        self._captions: dict[str, npt.NDArray[np.float32]] = {}

    def one(self, name: str, embedded: Embedded) -> SetFigures:
        """Everything but scenes, of one set."""
        labelled = embedded.labelled()
        count, asked = len(labelled.images), self._tasks
        zero_shot = count > 0 and Task.ZERO_SHOT in asked
        neighbours = count > 1 and Task.NEIGHBOURS in asked
        return SetFigures(
            name=name,
            images=len(embedded.images),
            unlabelled=len(embedded.images) - count,
            retrieval=self._retrieval(embedded) if Task.RETRIEVAL in asked else None,
            zero_shot=self._zero_shot(name, labelled) if zero_shot else None,
            neighbours=self._neighbours(name, labelled) if neighbours else None,
        )

    def in_scene(self, embedded: Embedded, folder: Path) -> tuple[InSceneFigures, ...]:
        """Pictures laid into a scene, indexed and asked for."""
        with (
            self._bars(folder.name, "chip") as progress,
            self._bars(f"asking {folder.name}", "question") as asking,
        ):
            return measure_scales(
                self._encoder,
                embedded.images,
                folder=folder,
                settings=self._settings.in_scene,
                factors=self._settings.pixel_size_factors,
                progress=progress,
                asking=asking,
            )

    def _retrieval(self, embedded: Embedded) -> RetrievalFigures:
        protocol, prefix = self._settings.protocol, self._settings.prefix
        prefix = protocol.prefix if prefix is None else prefix
        pairing = pair([image.sentences for image in embedded.images], protocol, prefix=prefix)
        new = [caption for caption in pairing.captions if caption not in self._captions]
        if new:
            with self._bars("captions", "caption") as progress:
                vectors = embed_captions(self._encoder, new, prefix=prefix, progress=progress)
            self._captions.update(zip(new, vectors, strict=True))
        return measure_retrieval(
            pairing,
            embedded.vectors,
            np.stack([self._captions[caption] for caption in pairing.captions]),
            protocol=protocol,
            prefix=prefix,
        )

    def _zero_shot(self, name: str, labelled: Embedded) -> ZeroShotFigures | None:
        classes = sorted(set(labelled.labels))
        if not known_sentences(self._encoder, classes).any():
            log.warning(
                "%s: the model knows no word of any class (%s): zero-shot is left out",
                name,
                some(classes),
            )
            return None
        return measure_zero_shot(
            self._encoder,
            labelled.vectors,
            labelled.labels,
            templates=self._settings.templates,
        )

    def _neighbours(self, name: str, labelled: Embedded) -> NeighbourFigures | None:
        gallery = None
        if self._gallery is not None and self._settings.gallery is not None:
            split = self._settings.gallery
            if not self._gallery.images:
                raise CaptionError(
                    f"no image of the split {split!r} has a class: "
                    "there are no neighbours to look for"
                )
            among = self._gallery.gallery_for(labelled)
            if not among.images:
                log.warning(
                    "%s: the split %r has no picture with a class that is not measured itself: "
                    "neighbours are left out",
                    name,
                    split,
                )
                return None
            gallery = Gallery(split=split, vectors=among.vectors, labels=among.labels)
        return measure_neighbours(
            labelled.vectors,
            labelled.labels,
            split=self._settings.split,
            gallery=gallery,
        )
