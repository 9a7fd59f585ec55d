"""The models there are, as a person choosing one wants to see them. No torch, no OpenVINO."""

from __future__ import annotations

from dataclasses import dataclass

from georclip.encoders.bundle import read_bundle
from georclip.encoders.loading import STARTER_FOLDER
from georclip.encoders.preprocessing import Triple
from georclip.encoders.registry import MODELS, ModelEntry
from georclip.encoders.weights import find_weights
from georclip.errors import EncoderError

IN_THE_BOX = "in the box"
HERE = "on this machine"
TO_FETCH = "to fetch"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model.

    Attributes:
        name: What people type.
        architecture: open_clip's name, or georclip's own.
        dim: Length of an embedding.
        image_size_px: Side of the square that the image tower takes, px.
        ground_size_m: (low, typical, high) ground side that it knows, m, or None.
        licence: Terms of the weights, one line.
        place: Where its weights are: "in the box", "on this machine" or "to fetch".
        note: What is unverified, or good to know.
    """

    name: str
    architecture: str
    dim: int
    image_size_px: int
    ground_size_m: Triple | None
    licence: str
    place: str
    note: str


def list_models() -> tuple[ModelRow, ...]:
    """Every model of the registry, the one in the box first."""
    return tuple(_row(entry) for entry in MODELS.values())


def _row(entry: ModelEntry) -> ModelRow:
    if entry.weights is None:
        return _starter_row(entry)
    return ModelRow(
        name=entry.name,
        architecture=entry.architecture,
        dim=entry.dim,
        image_size_px=entry.image_size_px,
        ground_size_m=entry.ground_size_m,
        licence=entry.licence,
        place=TO_FETCH if find_weights(entry) is None else HERE,
        note=entry.note,
    )


def _starter_row(entry: ModelEntry) -> ModelRow:
    """The model in the box says itself what it is."""
    try:
        spec = read_bundle(STARTER_FOLDER).spec
    except EncoderError as error:
        return ModelRow(
            name=entry.name,
            architecture=entry.architecture,
            dim=entry.dim,
            image_size_px=entry.image_size_px,
            ground_size_m=entry.ground_size_m,
            licence=entry.licence,
            place="damaged",
            note=str(error),
        )
    return ModelRow(
        name=entry.name,
        architecture=spec.architecture,
        dim=spec.dim,
        image_size_px=spec.image_size_px,
        ground_size_m=spec.ground_size_m,
        licence=spec.licence,
        place=IN_THE_BOX,
        note=entry.note,
    )
