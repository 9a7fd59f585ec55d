"""Whether there is an index at a place, and whether one can be made."""

from __future__ import annotations

from pathlib import Path

from georclip.errors import GeorclipError, IndexFormatError
from georclip.index.catalog import Catalog
from georclip.index.files import Layout


def is_index(path: Path | str) -> bool:
    """Whether a folder calls itself an index; it may still be damaged."""
    return Layout(Path(path)).manifest.exists()


def check_free(layout: Layout) -> None:
    """See that an index can be made here.

    Raises:
        IndexFormatError: An index or something else is in the way.
    """
    root = layout.root
    if layout.manifest.exists():
        raise IndexFormatError(f"{root} is an index already; open it, or name another folder")
    if root.exists() and not root.is_dir():
        raise IndexFormatError(f"{root} is a file; name a folder for the index")
    if not root.parent.is_dir():
        raise IndexFormatError(
            f"{root.parent} does not exist, so no index can be made at {root}; make it first"
        )
    if root.is_dir():
        if _holds_scenes(layout):
            raise IndexFormatError(
                f"{layout.manifest} is missing, and the catalog beside it holds scenes: restore it "
                "from a copy, or name another folder for a new index"
            )
        strange = sorted({path.name for path in root.iterdir()} - _left_by_a_kill(layout))
        if strange:
            raise IndexFormatError(
                f"{root} is no index and holds other files ({strange[0]}, ...); "
                "name a new or empty folder for the index"
            )


def _left_by_a_kill(layout: Layout) -> frozenset[str]:
    """Names that may lie in a folder that is to be an index; vectors of another one may not."""
    return layout.known_names() - {layout.background.name, layout.references.name}


def _holds_scenes(layout: Layout) -> bool:
    """Whether a catalog is more than what a killed `create` leaves."""
    if not layout.catalog.exists() or layout.catalog.stat().st_size == 0:
        return False
    try:
        catalog = Catalog(layout.catalog, writable=False)
        try:
            return bool(catalog.scenes())
        finally:
            catalog.close()
    except GeorclipError:
        return True
