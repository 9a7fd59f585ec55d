"""The public Index: joins indexing, search and export."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from georclip import values
from georclip.api.keeping import DEFAULT_MEMORY_BYTES, Keeping
from georclip.api.result import PathLike, SearchResult, public
from georclip.errors import QueryError
from georclip.index.store import IndexStore

if TYPE_CHECKING:
    from georclip.encoders.base import Encoder
    from georclip.export.change_answer import ChangeResult
    from georclip.export.records import Hits
    from georclip.indexing import Progress
    from georclip.scenes.access import Access
    from georclip.search.change_values import Direction
    from georclip.search.heat import HeatMap
    from georclip.search.judging import Judges

Place = str | tuple[float, float]


class Index(Keeping):
    """An index on disk, with the encoder that made it. Use it as a context manager, or close it.

    The encoder is loaded when it is first needed.
    """

    def __init__(self, store: IndexStore, *, encoder: Encoder | None = None, **load: Any) -> None:  # noqa: ANN401
        super().__init__(store, encoder=encoder, **load)
        self._made_judges: Judges | None = None

    @property
    def _judges(self) -> Judges:
        """What judges hits of this index, made once, when it is first needed."""
        from georclip.search.judging import Judges

        if self._made_judges is None:
            self._made_judges = Judges()
        return self._made_judges

    def search(
        self,
        text: str | values.Query | None = None,
        *,
        also: str | Sequence[str] = (),
        without: str | Sequence[str] = (),
        images: PathLike | Sequence[PathLike] = (),
        like: Place | Sequence[Place] = (),
        like_hits: str | Sequence[str] = (),
        unlike_hits: str | Sequence[str] = (),
        bbox: Sequence[float] | str | None = None,
        aoi: PathLike | None = None,
        dates: str | None = None,
        scene: str | None = None,
        k: int = 10,
        exact: bool = False,
        min_confidence: float | None = None,
        grouping: values.Grouping = "object",
    ) -> SearchResult:
        """Places that answer a question, best first.

        Any term may end in a weight, "ships::0.5". At least one must be wanted.

        Args:
            text: The sentence, or a whole `Query` (then nothing else is given); None where
                another term says what is wanted.
            also: Further sentences that are wanted.
            without: Sentences that are not wanted.
            images: Picture files to look alike: FILE, or FILE#col_off,row_off,width,height.
            like: Places to look alike, (lon, lat) or "lon,lat": the chip there.
            like_hits: chip_ids of hits to look alike.
            unlike_hits: chip_ids of hits not to look alike.
            bbox: (west, south, east, north) in lon/lat; west > east crosses the date line.
            aoi: A vector file, any CRS: chips that share area with it pass.
            dates: "A/B", closed; a bare date is the whole UTC day; ".." is open.
            scene: Glob over scene uris and names.
            k: Most hits.
            exact: Compare every vector, where a large index would look at the likely ones only.
            min_confidence: Hits below are left out, in [0, 1].
            grouping: What one hit stands for: "object", overlapping chips of one acquisition;
                "place", of any acquisition; "none", each chip for itself.

        Raises:
            QueryError: The question cannot be asked as it stands.
        """
        from georclip.search.engine import search
        from georclip.search.more_terms import more_terms
        from georclip.search.query import build_query

        query = (
            text
            if isinstance(text, values.Query)
            else build_query(
                text,
                more=more_terms(
                    also=also, without=without, images=images,
                    like=like, like_hits=like_hits, unlike_hits=unlike_hits,
                ),
                bbox=bbox, aoi=aoi, dates=dates, scenes=scene, k=k,
                min_confidence=min_confidence, grouping=grouping,
            )
        )  # fmt: skip
        return public(
            search(self._store, self._needed_for(query), query, exact=exact, judges=self._judges)
        )

    def feedback(
        self,
        hits: values.SearchResult | Hits | PathLike,
        *,
        good: Sequence[int] = (),
        bad: Sequence[int] = (),
        k: int | None = None,
        exact: bool = False,
    ) -> SearchResult:
        """Ask a question again, with marks on the hits of its answer; marks add up.

        Args:
            hits: The answer: of `search`, of this, or a file of either.
            good: Ranks of hits that were wanted.
            bad: Ranks of hits that were not.
            k: Most hits; None for as many as before.
            exact: As in `search`.

        Raises:
            QueryError: There is no hit of a rank, one is marked twice, or the index does not hold
                it; or a file's question names a picture outside the file's folder.
            ExportError: The file cannot be read.
        """
        from georclip.export.reasking import marked_question, read_own_hits
        from georclip.export.records import Hits, as_hits

        if isinstance(hits, values.SearchResult | Hits):
            answered = as_hits(hits)
        else:
            answered = read_own_hits(Path(hits))
        query = marked_question(answered, good=good, bad=bad)
        return self.search(query if k is None else replace(query, k=k), exact=exact)

    def search_many(
        self,
        texts: Sequence[str],
        *,
        bbox: Sequence[float] | str | None = None,
        aoi: PathLike | None = None,
        dates: str | None = None,
        scene: str | None = None,
        k: int = 10,
        exact: bool = False,
        min_confidence: float | None = None,
        grouping: values.Grouping = "object",
        refused: Callable[[int, QueryError], None] | None = None,
    ) -> tuple[SearchResult, ...]:
        """Places that answer each of many sentences: filters are resolved once for all.

        Args:
            texts: The sentences; repeats are answered as often.
            bbox: As in `search`, as are `aoi`, `dates` and `scene`.
            aoi: A vector file.
            dates: An interval.
            scene: A glob.
            k: Most hits of each sentence.
            exact: As in `search`; 16 sentences and more are always answered so.
            min_confidence: As in `search`.
            grouping: As in `search`.
            refused: Called with the position in `texts` (from 0) of a sentence that cannot be
                asked, and why; it is then left out. None raises the first of these errors.

        Returns:
            The answers, in the order of `texts`.

        Raises:
            QueryError: The filters make no sense, or a sentence cannot be asked.
        """
        from georclip.search.batch import search_sentences

        answers = search_sentences(
            self._store, lambda: self.asker, texts,
            bbox=bbox, aoi=aoi, dates=dates, scenes=scene, k=k, exact=exact,
            min_confidence=min_confidence, grouping=grouping, judges=self._judges,
        )  # fmt: skip
        for place, answer in enumerate(answers):
            if isinstance(answer, QueryError):
                if refused is None:
                    raise QueryError(f"question {place + 1} of {len(texts)}: {answer}") from answer
                refused(place, answer)
        return tuple(public(one) for one in answers if not isinstance(one, QueryError))

    def zoom_in(
        self,
        result: values.SearchResult,
        *,
        access: Access | None = None,
        progress: Progress | None = None,
    ) -> SearchResult:
        """Shrink each hit's window and footprint to the part of its chip that answers.

        Everything else of a hit stays the whole chip's. Needs the scenes, and the image tower.

        Args:
            result: The answer to a question of this index.
            access: What scenes may name elsewhere, and whether remote ones are read.
            progress: Called with (hits done, hits in all).
        """
        from georclip.search.terms import resolve
        from georclip.search.zooming import zoom_in

        question = resolve(self._store, self._needed_for(result.query), result.query)
        hits = zoom_in(result.hits, question.direction, self.indexer, access, progress=progress)
        return public(replace(result, hits=hits))

    def changes(
        self,
        text: str,
        *,
        from_: str,
        to: str,
        direction: Direction = "both",
        bbox: Sequence[float] | str | None = None,
        aoi: PathLike | None = None,
        scene: str | None = None,
        k: int = 10,
    ) -> ChangeResult:
        """Places where a sentence's score rose or fell between two times, the most changed first.

        Args:
            text: The sentence.
            from_: Acquisition times to compare from, as `dates` in `search`.
            to: Acquisition times to compare to.
            direction: "rose", "fell" or "both".
            bbox: As in `search`, as are `aoi` and `scene`.
            aoi: A vector file.
            scene: A glob.
            k: Most places.

        Raises:
            QueryError: The question cannot be asked as it stands, or a scene lies in both times.
        """
        from georclip.export.change_answer import ChangeResult
        from georclip.search.change_query import build_change_query
        from georclip.search.changes import find_changes

        asked = build_change_query(
            text, from_=from_, to=to, direction=direction, bbox=bbox, aoi=aoi, scenes=scene, k=k
        )
        found = find_changes(self._store, self.asker, asked)
        return ChangeResult(**{part.name: getattr(found, part.name) for part in fields(found)})

    def why_no_changes(self, result: ChangeResult) -> str:
        """Say why an answer of `changes` holds no place, for people; "" where it holds some."""
        from georclip.search.change_query import why_no_changes

        return why_no_changes(self._store, result)

    def heatmap(
        self,
        text: str,
        scene: PathLike,
        path: PathLike,
        *,
        stride: str = "auto",
        chip_size: str = "auto",
        access: Access | None = None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> HeatMap:
        """Write a raster of scores that lies over a scene, and a style for QGIS beside it.

        Args:
            text: The sentence.
            scene: A raster, in the index or not; or name or glob of one scene of the index.
            path: FILE.tif; FILE.qml goes beside it.
            stride: Pixel of the map: "auto" (a quarter of a window), "64px" or "50m".
            chip_size: Side of the windows, likewise; "auto": the least ground of an index's chips.
            access: What the raster may name elsewhere; None: only its own folder.
            memory_bytes: Bound on buffers, bytes.
            overwrite: Replace files that are there.
            progress: Called with (windows done, windows in all).

        Returns:
            What was written, with its scores as an array.

        Raises:
            SceneError: The raster cannot be used, or the text fits several scenes.
            QueryError: The sentence or a length cannot be understood.
            ExportError: A file in the way, or a folder that cannot be written.
        """
        from georclip.export.heat import check_heat_target, write_heat
        from georclip.search.heat_asking import ask_scene, find_scene
        from georclip.search.heat_plan import Length

        check_heat_target(Path(path), overwrite=overwrite)
        side, step = Length.parse(chip_size), Length.parse(stride)
        heat = ask_scene(
            find_scene(os.fspath(scene), self.scenes(), access=access),
            self.indexer, text,
            side=side, stride=step, memory_bytes=memory_bytes, progress=progress,
        )  # fmt: skip
        write_heat(heat, Path(path), question=text, encoder=self.encoder_spec, overwrite=overwrite)
        return heat

    def why_nothing(self, query: values.Query) -> str:
        """Say which filters of a question no chip passes: a sentence or two, for people."""
        from georclip.search.nothing import why_nothing

        return why_nothing(self._store, query)
