"""An index at a glance: counts, sizes, dates and bounds."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from georclip.geometry import BBox
from georclip.index.background import Background
from georclip.index.catalog import Catalog
from georclip.index.files import Layout
from georclip.index.manifest import FORMAT, Manifest
from georclip.index.records import IndexInfo, as_utc
from georclip.index.view import View


def describe(
    layout: Layout,
    manifest: Manifest,
    catalog: Catalog,
    view: View,
    background: Background | None,
) -> IndexInfo:
    """Gather what is known of an index."""
    scenes = catalog.scenes()
    times = sorted(as_utc(s.scene.acquired) for s in scenes if s.scene.acquired is not None)
    bounds = [s.columns.bounds[view.live_positions(s)] for s in view.segments]
    staged = sorted(path.name for path in layout.staging.glob("*") if path.is_dir())
    return IndexInfo(
        path=layout.root,
        encoder=manifest.encoder,
        plan=manifest.plan,
        format=FORMAT,
        scene_count=len(scenes),
        chip_count=catalog.chip_count(),
        removed_rows=len(view.dead),
        segment_count=len(view.segments),
        background_count=0 if background is None else len(background),
        bytes_on_disk=_bytes_below(layout.root),
        staged=tuple(staged),
        bounds=narrowest_bounds(np.concatenate(bounds)) if bounds else None,
        first_acquired=times[0] if times else None,
        last_acquired=times[-1] if times else None,
        undated_scenes=len(scenes) - len(times),
    )


def _bytes_below(folder: Path) -> int:
    """Size of all files of a folder; a writer may take one away meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                total += path.stat().st_size
    return total


def narrowest_bounds(boxes: npt.NDArray[np.float64]) -> BBox | None:
    """The narrowest box around many, which may cross the date line.

    The widest stretch of longitudes that no box covers is left out.

    Args:
        boxes: (n, 4) west, south, east, north; west > east crosses the date line.

    Returns:
        The same order, or None for no boxes.
    """
    if len(boxes) == 0:
        return None
    south, north = float(boxes[:, 1].min()), float(boxes[:, 3].max())
    order = np.argsort(boxes[:, 0], kind="stable")
    west = boxes[order, 0]
    east = np.where(boxes[order, 2] < west, boxes[order, 2] + 360.0, boxes[order, 2])
    reach = np.maximum.accumulate(east)
    if reach[-1] - 360.0 > west[0]:  # what crosses the date line covers the first boxes too
        reach = np.maximum(reach, reach[-1] - 360.0)
    gaps = np.append(west[1:], west[0] + 360.0) - reach
    widest = int(np.argmax(gaps))
    if gaps[widest] <= 0:
        return -180.0, south, 180.0, north
    first = (widest + 1) % len(west)
    end = float(reach[widest])
    return float(west[first]), south, end - 360.0 if end > 180.0 else end, north
