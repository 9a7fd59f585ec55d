"""The public Index: joins indexing, search and export."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from georclip import values
from georclip.errors import QueryError
from georclip.index.files import Layout
from georclip.index.store import IndexStore

if TYPE_CHECKING:
    from datetime import datetime

    import geopandas

    from georclip.encoders.base import Encoder
    from georclip.export.change_answer import ChangeResult
    from georclip.export.records import Hits
    from georclip.index.store import IndexInfo
    from georclip.index.verification import Finding
    from georclip.indexing import Progress
    from georclip.scene_report import SceneReport
    from georclip.scenes.access import Access
    from georclip.search.change_values import Direction
    from georclip.search.heat import HeatMap

log = logging.getLogger("georclip")

PathLike = str | os.PathLike[str]
Place = str | tuple[float, float]
DEFAULT_MEMORY_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult(values.SearchResult):
    """The answer to a question, with ways to carry it elsewhere."""

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """Hits as a GeoDataFrame: footprints in EPSG:4326, one column per property of a hit."""
        from georclip.export.geodataframe import to_geodataframe

        return to_geodataframe(self)

    def to_geojson(self) -> str:
        """Hits as an RFC 7946 FeatureCollection."""
        from georclip.export import geojson

        return geojson.dumps(self)

    def write(
        self, path: PathLike, *, overwrite: bool = False, access: Access | None = None
    ) -> Path:
        """Write the hits; the suffix names the format.

        Args:
            path: FILE.geojson, .geojsonseq, .gpkg, .qgz, .parquet, .csv or .html.
            overwrite: Replace a file that is there.
            access: What a page may read beside local scenes: servers, and what VRTs name.

        Raises:
            ExportError: Unknown suffix, a file in the way, or a folder that cannot be written.
        """
        from georclip.export.writing import write_hits

        write_hits(self, Path(path), overwrite=overwrite, access=access)
        return Path(path)


class Index:
    """An index on disk, with the encoder that made it. Use it as a context manager, or close it.

    The encoder is loaded when it is first needed.
    """

    def __init__(self, store: IndexStore, *, encoder: Encoder | None = None, **load: Any) -> None:  # noqa: ANN401
        self._store = store
        self._encoder = encoder
        self._asker: Encoder | None = None
        self._indexer: Encoder | None = None
        self._text_kept = False
        self._load = load

    def _writer(self) -> IndexStore:
        """The store, opened for writing on the first change: readers take no lock."""
        if not self._store.writable:
            reading = self._store
            self._store = IndexStore.open(reading.path, writable=True)
            reading.close()
        return self._store

    @property
    def path(self) -> Path:
        """The folder."""
        return self._store.path

    @property
    def encoder_spec(self) -> values.EncoderSpec:
        """What made its vectors."""
        return self._store.encoder

    @property
    def plan(self) -> values.ChipPlan:
        """How its scenes are cut unless `add` is told otherwise."""
        return self._store.plan

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use.

        Raises:
            EncoderError: It cannot be loaded here; the message says what is missing.
        """
        if self._encoder is None:
            from georclip.encoders.loading import load_for_index

            self._encoder = load_for_index(self._store.encoder, **self._load)
        return self._encoder

    @property
    def asker(self) -> Encoder:
        """What reads questions: the encoder, or its exported text tower, which needs no torch.

        Raises:
            EncoderError: Neither is here; the message says what to do.
        """
        if self._encoder is not None:
            return self._encoder
        if self._asker is None:
            from georclip.encoders.questions import load_for_questions

            self._asker = load_for_questions(
                self._store.encoder, beside=self._store.encoder_folder, **self._load
            )
        return self._asker

    @property
    def indexer(self) -> Encoder:
        """What embeds chips: the encoder, but on a CPU with its image tower exported, not in torch.

        Raises:
            EncoderError: The encoder cannot be loaded here.
        """
        if self._indexer is None:
            from georclip.encoders.for_indexing import for_indexing

            self._indexer = for_indexing(self.encoder)
        return self._indexer

    def make_portable(self) -> None:
        """Keep the text tower inside the index, so that it is searched without torch anywhere.

        The starter's is in every installation, and not copied.

        Raises:
            EncoderError: The encoder cannot be loaded here, or its text tower not be exported.
        """
        from georclip.encoders.cache import text_folder
        from georclip.encoders.registry import STARTER
        from georclip.encoders.text_store import find_text_tower, write_text_tower

        store = self._writer()
        spec, folder = store.encoder, store.encoder_folder
        if spec.name == STARTER or find_text_tower(spec, folder) is not None:
            return
        write_text_tower(find_text_tower(spec, text_folder(spec)) or self.encoder, folder)

    def _keep_text(self) -> None:
        """Export the encoder's text tower to the user's cache, once, for quick questions."""
        if self._text_kept:
            return
        from georclip.encoders.registry import STARTER
        from georclip.encoders.text_store import find_text_tower, keep_text_tower

        self._text_kept = True
        spec = self._store.encoder
        if spec.name != STARTER and find_text_tower(spec, self._store.encoder_folder) is None:
            keep_text_tower(self.encoder)

    def add(
        self,
        scene: PathLike,
        *,
        plan: values.ChipPlan | None = None,
        bands: tuple[int, int, int] | None = None,
        stretch: Literal["auto", "none"] | tuple[float, float] = "auto",
        acquired: datetime | None = None,
        full_hash: bool = False,
        access: Access | None = None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> SceneReport:
        """Index one scene, or bring it up to date; nothing is done where nothing changed.

        Args:
            scene: Path or URL of a raster.
            plan: How to cut it; None for the index's own plan.
            bands: 1-based bands shown as red, green and blue; None finds them.
            stretch: "auto" (percentiles; 8-bit is left alone), "none", or (low, high) in
                sensor values.
            acquired: When it was taken; None reads tags and the file name.
            full_hash: Identify the scene by every block, not by a sample of them.
            access: What the file may name elsewhere; None: only its own folder.
            memory_bytes: Bound on buffers, bytes.
            batch_size: Most chips encoded at once; None chooses.
            progress: Called with (planned chips done, planned chips in all).

        Raises:
            SceneError: The raster cannot be used; the index is as it was.
        """
        from georclip.indexing import index_scene
        from georclip.scenes.access import Access
        from georclip.scenes.scene import open_scene
        from georclip.search.judging import keep_references

        opened = open_scene(
            os.fspath(scene),
            bands=bands,
            stretch=stretch,
            acquired=acquired,
            full_hash=full_hash,
            access=access or Access(),
        )
        self._keep_text()
        report = index_scene(
            self._writer(),
            self.indexer,
            opened,
            plan or self.plan,
            memory_bytes=memory_bytes,
            batch_size=batch_size,
            progress=progress,
        )
        keep_references(self._writer(), self.indexer)
        return report

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
        return _public(search(self._store, self._needed_for(query), query, exact=exact))

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

    def _needed_for(self, query: values.Query) -> Encoder | None:
        """What embeds a question's terms; chips of the index need nothing."""
        kinds = {term.kind for term in query.terms}
        if "image" in kinds:
            return self.indexer
        return self.asker if "text" in kinds else None

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
            min_confidence=min_confidence, grouping=grouping,
        )  # fmt: skip
        for place, answer in enumerate(answers):
            if isinstance(answer, QueryError):
                if refused is None:
                    raise QueryError(f"question {place + 1} of {len(texts)}: {answer}") from answer
                refused(place, answer)
        return tuple(_public(one) for one in answers if not isinstance(one, QueryError))

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
        return _public(replace(result, hits=hits))

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

    def why_nothing(self, query: values.Query) -> str:
        """Say which filters of a question no chip passes: a sentence or two, for people."""
        from georclip.search.nothing import why_nothing

        return why_nothing(self._store, query)

    def scenes(self) -> tuple[values.Scene, ...]:
        """The scenes in the index, by uri."""
        return tuple(self._store.scenes())

    def chip_count(self, uri: str) -> int:
        """Chips of one scene."""
        return self._store.chip_count(uri)

    def write_footprints(self) -> Path:
        """Write footprints.gpkg into the index: a view of scenes and chips for QGIS."""
        from georclip.export.footprints import write_footprints

        return write_footprints(self._store)

    def info(self) -> IndexInfo:
        """Counts, sizes, dates and bounds."""
        return self._store.info()

    def remove(self, scene: str) -> tuple[values.Scene, ...]:
        """Take out every scene whose uri or name matches the glob; returns them."""
        return tuple(self._writer().remove(scene))

    def relocate(self, old: str, new: str) -> int:
        """Rewrite uris that are `old` or lie below it, after files were moved; returns how many."""
        return self._writer().relocate(old, new)

    def compact(self, *, progress: Progress | None = None) -> None:
        """Drop removed rows from disk, order chips by place, and make a large index quick to ask.

        Args:
            progress: Called with (chips written, chips in all).
        """
        self._writer().compact(progress)

    def verify(self, *, full: bool = False) -> tuple[Finding, ...]:
        """What is wrong with the files; () when nothing is. `full` reads every byte."""
        return (*self._store.verify(full=full), *_check_text_tower(self.path, full=full))

    def close(self) -> None:
        """Release the lock and the files."""
        self._store.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _public(result: values.SearchResult) -> SearchResult:
    return SearchResult(**{part.name: getattr(result, part.name) for part in fields(result)})


def verify_index(path: PathLike, *, full: bool = False) -> tuple[Finding, ...]:
    """What is wrong with an index, also with one that is too damaged to be opened.

    Args:
        path: The folder.
        full: Read every byte; else counts and sizes.

    Raises:
        IndexFormatError: There is no index here, or one of a newer format.
        IndexCorruptError: Manifest or catalog cannot be read at all.
    """
    from georclip.index import store

    folder = Path(path)
    return (*store.verify_index(folder, full=full), *_check_text_tower(folder, full=full))


def _check_text_tower(index: Path, *, full: bool) -> Iterator[Finding]:
    """Check the text tower that a portable index keeps."""
    from georclip.encoders.bundle import read_bundle
    from georclip.errors import EncoderError
    from georclip.index.verification import Finding

    folder = Layout(index).encoder
    if not folder.exists():
        return
    try:
        bundle = read_bundle(folder)
        bundle.check_whole() if full else bundle.check_sizes()
    except EncoderError as error:
        advice = "remove the folder, and say georclip index --portable again"
        yield Finding(file=folder.name, problem=str(error), advice=advice)


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
