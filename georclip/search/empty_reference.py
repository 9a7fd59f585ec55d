"""The index's own set of vectors of drawn pictures that show nothing: made once, when indexing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.index.store import IndexStore

NAME = "nothing"
"""Of the reference in an index."""


def keep_nothing(store: IndexStore, encoder: Encoder) -> None:
    """Give an index its reference "nothing", where that is missing or of another bank.

    Args:
        store: Opened for writing.
        encoder: The index's own; it embeds a few dozen pictures.
    """
    from georclip.encoders.empty_pictures import BANK, draw_empty_pictures

    side_px = encoder.spec.image_size_px
    made_from = f"{BANK}, {side_px} px"
    kept = store.reference(NAME)
    if kept is not None and kept.made_from == made_from:
        return
    kinds, pictures = draw_empty_pictures(side_px)
    store.keep_reference(NAME, kinds, encoder.encode_images(pictures), made_from=made_from)
