"""The folder in which scenes are laid and indexed, looked at before anything in it is replaced."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from georclip.errors import SceneError
from georclip.index.files import Layout
from georclip.index.making import check_free, is_index
from georclip.index.store import IndexStore

if TYPE_CHECKING:
    from georclip.values import EncoderSpec


def scene_path(folder: Path, factor: float = 1.0) -> Path:
    """Where the scene lies whose pixels are `factor` times as large as they were laid."""
    return folder / ("scene.tif" if factor == 1 else f"scene-x{factor:g}.tif")


def index_path(folder: Path, factor: float = 1.0) -> Path:
    """Where that scene's index lies."""
    return folder / ("index" if factor == 1 else f"index-x{factor:g}")


def prepare_folder(folder: Path, spec: EncoderSpec, factors: Sequence[float]) -> None:
    """Make the folder where it is missing, and see that scenes can be laid and indexed in it.

    Args:
        folder: For one scene, and that scene with pixels of other sizes.
        spec: Of the encoder that is to index.
        factors: Pixel sizes, over that of the scene as it is laid.

    Raises:
        SceneError: It cannot be made or written.
        EncoderMismatchError: It holds an index of another encoder.
        IndexFormatError: An index in it is damaged, or something else is in an index's place.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SceneError(f"{folder}: no scenes can be written there ({error.strerror})") from None
    for index in {index_path(folder, factor) for factor in factors}:
        if is_index(index):
            with IndexStore.open(index, writable=False) as store:
                store.check_encoder(spec)
        else:
            check_free(Layout(index))
