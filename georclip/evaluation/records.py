"""What is asked of an evaluation, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from georclip.encoders.prompts import SCENES
from georclip.evaluation.in_scene import InSceneFigures, InSceneSettings
from georclip.evaluation.protocols import Protocol

if TYPE_CHECKING:
    from georclip.evaluation.neighbours import NeighbourFigures
    from georclip.evaluation.retrieval import RetrievalFigures
    from georclip.evaluation.zero_shot import ZeroShotFigures
    from georclip.values import EncoderSpec


class Task(StrEnum):
    """Something that can be measured."""

    RETRIEVAL = "retrieval"
    ZERO_SHOT = "zero-shot"
    NEIGHBOURS = "neighbours"
    IN_SCENE = "in-scene"


NEED_CLASSES = frozenset({Task.ZERO_SHOT, Task.NEIGHBOURS})


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """What is measured, and how.

    Attributes:
        split: Whose pictures are measured.
        protocol: Of retrieval.
        prefix: Before every caption instead of the protocol's own; None: its own.
        tasks: What is measured; None: retrieval, and what needs classes where there are some.
        gallery: Split whose pictures neighbours are looked for among; None: the asked one, each
            picture without itself.
        templates: Prompts of zero-shot classification.
        in_scene: How scenes are laid and asked.
        pixel_size_factors: Pixel sizes at which a scene is asked, over its own.
        batch_size: Pictures encoded at once; None chooses.
    """

    split: str = "test"
    protocol: Protocol = Protocol.A
    prefix: str | None = None
    tasks: frozenset[Task] | None = None
    gallery: str | None = None
    templates: tuple[str, ...] = SCENES
    in_scene: InSceneSettings = field(default_factory=InSceneSettings)
    pixel_size_factors: tuple[float, ...] = (1.0,)
    batch_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFigures:
    """What was measured on some pictures; None where it was not.

    Attributes:
        name: The caption file's, or several names.
        images: Pictures.
        unlabelled: Those without a class: left out of what needs one.
        retrieval: Text-image retrieval.
        zero_shot: Classification by class names.
        neighbours: Image-to-image retrieval.
        in_scene: Retrieval of chips on the ground, for each pixel size.
    """

    name: str
    images: int
    unlabelled: int
    retrieval: RetrievalFigures | None = None
    zero_shot: ZeroShotFigures | None = None
    neighbours: NeighbourFigures | None = None
    in_scene: tuple[InSceneFigures, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An encoder's figures.

    Attributes:
        encoder: What was measured.
        device: Where it ran.
        split: Whose pictures.
        protocol: Of retrieval.
        whole: All pictures in one gallery.
        by_set: The pictures of each caption file in a gallery of their own; () where there is
            only one file.
    """

    encoder: EncoderSpec
    device: str
    split: str
    protocol: Protocol
    whole: SetFigures
    by_set: tuple[SetFigures, ...]

    @property
    def sets(self) -> tuple[SetFigures, ...]:
        """Each caption file's figures, then those of all pictures together if that differs."""
        return (*self.by_set, self.whole)
