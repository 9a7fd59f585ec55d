"""How an index is opened and made."""

from __future__ import annotations

import os
from pathlib import Path

from georclip import values
from georclip.api.index import Index
from georclip.api.result import PathLike
from georclip.index.store import IndexStore


def open_index(path: PathLike, *, weights: PathLike | None = None, device: str = "auto") -> Index:
    """Open an index. It is opened for reading; the first change takes the writer's lock.

    Args:
        path: The folder.
        weights: Checkpoint, where the index was made with a local one that has moved; or a folder
            that `georclip models export` made, to ask or add to the index without torch.
        device: "auto", "cpu" or "cuda".

    Raises:
        IndexFormatError: No index there, or one of a newer format.
        IndexCorruptError: Parts are missing or damaged.
    """
    store = IndexStore.open(Path(path), writable=False)
    return Index(store, weights=os.fspath(weights) if weights else None, device=device)


def create_index(
    path: PathLike,
    *,
    model: str = "auto",
    weights: PathLike | None = None,
    activation: str | None = None,
    device: str = "auto",
    plan: values.ChipPlan | None = None,
) -> Index:
    """Make a new, empty index.

    Args:
        path: A folder that does not exist yet, or is empty.
        model: "auto", "starter", or a name that `georclip models` lists.
        weights: A local checkpoint instead of the model's own weights.
        activation: "gelu" or "quickgelu" where the checkpoint's needs stating.
        device: "auto", "cpu" or "cuda".
        plan: How scenes are cut; None lets ground that the encoder knows decide.

    Raises:
        EncoderError: The model cannot be loaded.
        IndexFormatError: Something is in the way at `path`.
    """
    from georclip.encoders.loading import load_encoder

    encoder = load_encoder(
        model,
        weights=os.fspath(weights) if weights else None,
        activation=activation,
        device=device,
    )
    store = IndexStore.create(Path(path), encoder=encoder.spec, plan=plan or values.ChipPlan())
    return Index(store, encoder=encoder)
