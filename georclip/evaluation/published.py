"""RemoteCLIP's published retrieval table, measured again.

RemoteCLIP's checkpoints do not say which activation they were trained with, and load without a
word under either; the figures tell. Published ones are mean recalls by protocol A on the test
splits, from Liu et al. 2023 (RemoteCLIP, arXiv 2306.11029, retrieval table). A figure that is
not in `FIGURES` could not be read at a source: what is measured for it is shown alone.

Its authors' script capitalises captions, which the tokenizer undoes, and crops pictures at the
centre, which does nothing to the square pictures of the three data sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.encoders import registry
from georclip.encoders.loading import ACTIVATIONS, load_encoder
from georclip.encoders.weights import find_weights
from georclip.errors import CaptionError, EncoderError
from georclip.evaluation.evaluator import Bars, evaluate, select_split
from georclip.evaluation.records import EvaluationSettings, Task
from georclip.evaluation.retrieval import RetrievalFigures

if TYPE_CHECKING:
    from georclip.captions.records import CaptionedImage

SOURCE = "Liu et al. 2023, RemoteCLIP, arXiv 2306.11029"
DATASETS = ("RSITMD", "RSICD", "UCM")
MODELS = ("remoteclip-rn50", "remoteclip-vit-b-32", "remoteclip-vit-l-14")
SPLIT = "test"
BOTH = "both"
TOLERANCE = 0.5
"""Points of mean recall that a repetition may lie off: other decoders and rounding move a few
queries in a thousand, another activation moves far more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """A figure of the table.

    Attributes:
        model: Name in the registry.
        dataset: One of `DATASETS`.
        mean_recall: Percent.
    """

    model: str
    dataset: str
    mean_recall: float


FIGURES = (
    PublishedFigure(model="remoteclip-vit-b-32", dataset="RSITMD", mean_recall=49.38),
    PublishedFigure(model="remoteclip-vit-b-32", dataset="RSICD", mean_recall=35.26),
    PublishedFigure(model="remoteclip-vit-b-32", dataset="UCM", mean_recall=56.36),
)

TEST_IMAGES: Mapping[str, int] = {"RSITMD": 452, "RSICD": 1093, "UCM": 210}
"""Pictures of the official test splits: on others nothing is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """One figure, measured, beside the published one.

    Attributes:
        model: Name in the registry.
        dataset: One of `DATASETS`.
        activation: That the model was run with.
        figures: Measured.
        published: Mean recall, percent; None where it is not on record here.
        same_images: Whether there are as many pictures as in the official split; never where
            their number is not known.
    """

    model: str
    dataset: str
    activation: str
    figures: RetrievalFigures
    published: float | None
    same_images: bool

    @property
    def measured(self) -> float:
        """Mean recall, percent."""
        return self.figures.recalls.mean

    @property
    def difference(self) -> float | None:
        """Measured minus published; None where they cannot be compared."""
        if self.published is None or not self.same_images:
            return None
        return self.measured - self.published


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which activation the checkpoints need.

    Attributes:
        activation: The only one measured that repeats every published figure, or None.
        reason: For people.
    """

    activation: str | None
    reason: str


def name_dataset(source: str) -> str:
    """The data set that a caption file's name speaks of ("dataset_rsicd" is "RSICD").

    Raises:
        CaptionError: It speaks of none.
    """
    for dataset in DATASETS:
        if dataset.lower() in source.lower():
            return dataset
    raise CaptionError(
        f"cannot tell which data set {source} is: its name must hold one of "
        f"{', '.join(name.lower() for name in DATASETS)}"
    )


def find_checkpoints(model: str | None, weights: Path | None) -> dict[str, Path | None]:
    """Which models of the table to measure, and their checkpoints.

    Args:
        model: One model of the table, or None: all whose weights are here.
        weights: A folder of checkpoints under their published names (RemoteCLIP-RN50.pt, ...),
            one checkpoint of the model named or of such a name, or None: those that were fetched.

    Returns:
        Checkpoint by model; None: the registry's own, fetched when missing.

    Raises:
        EncoderError: No model of the table, or no weights.
    """
    if model is not None and model.lower() not in MODELS:
        raise EncoderError(f"{model} is not in the table; there are: {', '.join(MODELS)}")
    wanted = MODELS if model is None else (model.lower(),)
    if weights is None:
        if model is not None:
            return {wanted[0]: None}
        here = {name: None for name in MODELS if find_weights(registry.get(name)) is not None}
        return _some(here, f"georclip models fetch {MODELS[1]}, or name a folder with --weights")
    if weights.is_dir():
        found = {name: weights / _file_name(name) for name in wanted}
        found = {name: path for name, path in found.items() if path.is_file()}
        names = ", ".join(_file_name(name) for name in wanted)
        return dict(_some(found, f"{weights} should hold {names}"))
    named = [name for name in wanted if _file_name(name) == weights.name]
    if model is not None or named:
        return {(named or wanted)[0]: weights}
    raise EncoderError(f"cannot tell which model {weights} is: name it with --model")


def repeat_table(
    images: Sequence[CaptionedImage],
    checkpoints: Mapping[str, Path | None],
    *,
    activation: str | None,
    device: str,
    batch_size: int | None,
    bars: Bars,
) -> tuple[Repetition, ...]:
    """Measure every model on every data set by protocol A.

    Args:
        images: Of the data sets; a caption file's name says which.
        checkpoints: See `find_checkpoints`.
        activation: "gelu", "quickgelu", "both", or None: what registry or checkpoint say.
        device: "auto", "cpu" or "cuda".
        batch_size: Pictures encoded at once; None chooses.
        bars: Makes progress bars.

    Raises:
        CaptionError: See `evaluate`; or a file's name speaks of no data set.
        EncoderError: A checkpoint cannot be used.
    """
    datasets = {name: name_dataset(name) for name in {image.source for image in images}}
    select_split(images, SPLIT)  # before anything is loaded
    settings = EvaluationSettings(
        split=SPLIT, tasks=frozenset({Task.RETRIEVAL}), batch_size=batch_size
    )
    rows = []
    for model, weights in checkpoints.items():
        for tried in ACTIVATIONS if activation == BOTH else (activation,):
            encoder = load_encoder(
                model, weights=weights, activation=tried, device=device, batch_size=batch_size
            )
            found = evaluate(encoder, images, settings, bars=bars, scene_folder=Path())
            for figures in found.by_set or (found.whole,):
                if figures.retrieval is None:
                    continue
                dataset = datasets[figures.name]
                rows.append(
                    Repetition(
                        model=model,
                        dataset=dataset,
                        activation=encoder.spec.activation,
                        figures=figures.retrieval,
                        published=_published(model, dataset),
                        same_images=TEST_IMAGES.get(dataset) == figures.images,
                    )
                )
    return tuple(rows)


def settle_activation(rows: Sequence[Repetition]) -> Verdict:
    """Say which activation repeats the published figures.

    One is needed if it alone of both repeats every figure that can be compared, within
    `TOLERANCE`.
    """
    compared = [row for row in rows if row.difference is not None]
    if not compared:
        return Verdict(
            activation=None, reason="nothing here can be compared with a published figure"
        )
    off = {
        activation: max(
            abs(row.difference or 0.0) for row in compared if row.activation == activation
        )
        for activation in dict.fromkeys(row.activation for row in compared)
    }
    said = "; ".join(f"{name} is at most {value:.2f} points off" for name, value in off.items())
    repeats = [name for name, value in off.items() if value <= TOLERANCE]
    if len(repeats) == 1 and len(off) > 1:
        return Verdict(activation=repeats[0], reason=f"the checkpoints need {repeats[0]}: {said}")
    if len(repeats) == 1:
        return Verdict(  # of the other nothing is known
            activation=None,
            reason=f"{repeats[0]} repeats the published figures ({said}); "
            "--activation both measures the other as well",
        )
    if not repeats and len(off) == 1:
        return Verdict(
            activation=None,
            reason=f"{next(iter(off))} does not repeat the published figures within {TOLERANCE} "
            f"({said}); --activation both measures the other as well",
        )
    if repeats:
        return Verdict(activation=None, reason=f"both repeat the published figures: {said}")
    return Verdict(
        activation=None,
        reason=f"no activation repeats the published figures within {TOLERANCE}: {said}",
    )


def _published(model: str, dataset: str) -> float | None:
    for figure in FIGURES:
        if (figure.model, figure.dataset) == (model, dataset):
            return figure.mean_recall
    return None


def _file_name(model: str) -> str:
    source = registry.get(model).weights
    return source.file_name if source is not None else ""


def _some(found: Mapping[str, Path | None], hint: str) -> dict[str, Path | None]:
    if not found:
        raise EncoderError(f"no weights of {', '.join(MODELS)} are here: {hint}")
    return dict(found)
