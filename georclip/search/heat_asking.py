"""A sentence asked of one scene: which scene is meant, and its heat map."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from georclip.errors import QueryError, SceneError
from georclip.index.records import absolute, scene_matches
from georclip.scenes.rendering import Stretch
from georclip.scenes.scene import open_scene
from georclip.search.heat import HeatMap, Progress, heat_map
from georclip.search.heat_plan import Length, plan_heat
from georclip.search.terms import embed_sentence

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.scenes.access import Access
    from georclip.values import Scene

log = logging.getLogger("georclip")

_NAMED = 5


def find_scene(
    text: str,
    indexed: Sequence[Scene] = (),
    *,
    bands: tuple[int, int, int] | None = None,
    stretch: Stretch | None = None,
    access: Access | None = None,
) -> Scene:
    """Open the scene that is meant.

    One that is indexed is shown as it was then, unless bands or stretch are given.

    Args:
        text: Path or URL of a raster; or uri or name of an indexed scene, or a glob over these.
        indexed: Scenes of an index.
        bands: 1-based bands shown as red, green and blue; None finds them.
        stretch: See `open_scene`; None is "auto".
        access: What the file may name elsewhere.

    Raises:
        SceneError: It cannot be opened, or several indexed scenes fit.
    """
    known = _indexed(text, indexed)
    uri = text if known is None else known.uri
    scene = open_scene(uri, bands=bands, stretch=stretch or "auto", access=access)
    if known is None:
        known = next((one for one in indexed if one.uri == scene.uri), None)
    if known is None:
        return scene
    if known.scene_id != scene.scene_id:
        log.warning("%s has changed since it was indexed: its map shows what it is now", scene.name)
    elif bands is None and stretch is None:
        scene = replace(scene, rendering=known.rendering)
    return replace(scene, acquired=known.acquired or scene.acquired)


def _indexed(text: str, indexed: Sequence[Scene]) -> Scene | None:
    """The one indexed scene that a text names; None where it is a raster's own path or URL."""
    exact = [scene for scene in indexed if scene.uri == absolute(text)]
    if exact:
        return exact[0]
    if os.path.exists(text) or "://" in text or text.startswith("/vsi"):
        return None
    fitting = [scene for scene in indexed if scene_matches(text, scene)]
    if len(fitting) > 1:
        names = ", ".join(scene.uri for scene in fitting[:_NAMED])
        more = f" and {len(fitting) - _NAMED} more" if len(fitting) > _NAMED else ""
        raise SceneError(
            f"{text!r} fits {len(fitting)} scenes of the index ({names}{more}): name one of them"
        )
    if not fitting and indexed:
        raise SceneError(
            f"{text}: no such file, and no scene of the index is called so: `georclip list` names "
            "them"
        )
    return fitting[0] if fitting else None


def ask_scene(
    scene: Scene,
    encoder: Encoder,
    text: str,
    *,
    side: Length | None = None,
    stride: Length | None = None,
    memory_bytes: int,
    progress: Progress | None = None,
) -> HeatMap:
    """Make the heat map of a sentence; what to beware of goes to the log.

    Args:
        scene: From `find_scene`.
        encoder: Embeds the sentence and the windows.
        text: The sentence.
        side: Of a window: see `plan_heat`, as for `stride`.
        stride: The map's pixel.
        memory_bytes: Bound on the buffers of reading and encoding, bytes.
        progress: Called with (windows done, windows in all).

    Raises:
        QueryError: The sentence cannot be asked, or the stride leaves gaps.
        SceneError: The scene cannot be read, or a window would be too small.
    """
    if not text.strip():
        raise QueryError('the question is empty: say what to look for, such as "harbor with ships"')
    plan = plan_heat(scene, encoder.spec, side=side, stride=stride)
    question = embed_sentence(encoder, text)
    log.info(
        "%s: %s windows of %.4g m, one every %.4g m",
        scene.name, f"{plan.resolved.chip_count:,}", plan.side_m, plan.stride_m,
    )  # fmt: skip
    for note in plan.notes:
        log.info("%s: %s", scene.name, note)
    heat = heat_map(scene, encoder, question, plan, memory_bytes=memory_bytes, progress=progress)
    for note in heat.notes:
        log.info("%s: %s", scene.name, note)
    return heat
