"""What can be asked of an index: rows that pass filters, the best of them, its state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from georclip.errors import GeorclipError, IndexCorruptError, QueryError
from georclip.index.batch import top_rows_of_many
from georclip.index.catalog import Catalog
from georclip.index.chiptable import shapes_of
from georclip.index.contents import IndexContents
from georclip.index.files import Layout, missing, saying_where
from georclip.index.info import describe
from georclip.index.manifest import Manifest
from georclip.index.outlines import Outlines, read_outlines
from georclip.index.ranking import as_runs, top_rows, unit_query
from georclip.index.records import IndexInfo, Selection
from georclip.index.runs import RowRuns
from georclip.index.scanning import Scanner
from georclip.index.scores import unit_fp32
from georclip.index.selecting import select_rows
from georclip.index.sqlite_errors import MEND
from georclip.index.verification import Finding, verify_index
from georclip.index.view import open_view
from georclip.values import Chip, DateRange, Scene

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


class IndexReader(IndexContents):
    """An open index, to be asked; one thread at a time.

    A reader follows what a writer does: every question is answered from the newest state, and
    `snapshot` holds several to one state.
    """

    def __init__(self, layout: Layout, manifest: Manifest, catalog: Catalog) -> None:
        """Not for callers: `IndexStore.create` and `IndexStore.open` make one."""
        super().__init__(layout, manifest, catalog)
        self._view = open_view(layout, catalog, manifest.encoder.dim)
        self._scanner = Scanner()

    # Questions

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Hold several questions to one state of the index; a writer's commit waits meanwhile."""
        with self._catalog.snapshot():
            self._follow()
            yield

    def select(
        self,
        *,
        aoi: BaseGeometry | None = None,
        dates: DateRange | None = None,
        scenes: str | None = None,
    ) -> Selection:
        """Rows that pass every filter; without any, all rows.

        Args:
            aoi: EPSG:4326, split at the date line: footprints that share area with it pass,
                or touch it where it has none.
            dates: Closed interval; scenes without a time fail.
            scenes: Glob over uris and names.
        """
        with self.snapshot(), self._files_there():
            needed = dates is not None or scenes is not None
            return select_rows(
                self._view,
                self._catalog.scenes() if needed else (),
                self._catalog.footprints,
                aoi=aoi,
                dates=dates,
                pattern=scenes,
            )

    def top(
        self,
        query: npt.NDArray[np.float32],
        rows: npt.NDArray[np.int64] | RowRuns | None,
        k: int,
        *,
        exact: bool = False,
        sure: int | None = None,
    ) -> list[tuple[int, float]]:
        """The k best rows, best first; equal scores in order of chip_id.

        Args:
            query: float32, (dim,), any length but zero.
            rows: Rows to choose from; None is all.
            k: Most rows wanted; fewer come back where there are not as many.
            exact: Compare every vector. Else selections of 250,000 rows and more are answered by
                way of inverted files where `compact` has made some: several times faster, and a
                row may be missed (README, "Design"). Scores are exact either way.
            sure: Of the k, how many inverted files are to be searched for as usual; those behind
                them come at no cost, and are missed a little more often. None is all.

        Returns:
            (row, score): cosine with the stored vector, in [-1, 1].

        Raises:
            QueryError: k is below 1, or the query is zero or not finite.
            EncoderMismatchError: The query has another length than the vectors.
        """
        if k < 1:
            raise QueryError(f"k must be at least 1, not {k}")
        unit = unit_query(np.asarray(query), self.encoder.dim)
        with self._catalog.snapshot(), self._files_there():
            runs = self._runs(rows)
            return top_rows(
                self._view,
                unit,
                runs,
                k,
                exact=exact,
                sure=k if sure is None else sure,
                scanner=self._scanner,
                chip_ids=self._catalog.chip_ids,
            )

    def top_many(
        self, queries: npt.NDArray[np.float32], rows: npt.NDArray[np.int64] | RowRuns | None, k: int
    ) -> list[list[tuple[int, float]]]:
        """`top` for many questions, exact, in one pass over the vectors for each thousand of them.

        Args:
            queries: float32, (n, dim), any length but zero.
            rows: Rows to choose from; None is all.
            k: Most rows wanted.

        Returns:
            What `top` returns, for each question in order.

        Raises:
            QueryError: k is below 1, or a query is zero or not finite.
            EncoderMismatchError: The queries have another length than the vectors.
        """
        if k < 1:
            raise QueryError(f"k must be at least 1, not {k}")
        if len(queries) == 0:
            return []
        units = np.stack([unit_query(np.asarray(query), self.encoder.dim) for query in queries])
        with self._catalog.snapshot(), self._files_there():
            runs = self._runs(rows)
            return top_rows_of_many(
                self._view,
                units,
                runs,
                k,
                scanner=self._scanner,
                chip_ids=self._catalog.chip_ids,
            )

    def _runs(self, rows: npt.NDArray[np.int64] | RowRuns | None) -> RowRuns:
        """Rows as a caller names them; None is all of the newest state."""
        self._follow()
        if rows is None:
            return self._view.live
        return rows if isinstance(rows, RowRuns) else as_runs(rows)

    def fetch(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> list[tuple[Chip, Scene]]:
        """Chips and scenes of rows, in their order.

        Raises:
            GeorclipError: A row is not in the index any more.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        with self._catalog.snapshot():
            table, numbers = self._catalog.chips(wanted)
            known = self._catalog.scenes_by_number(set(numbers))
        if not known.keys() >= set(numbers):
            raise IndexCorruptError(f"{self._layout.catalog} has chips without a scene; {MEND}")
        scenes = [known[number].scene for number in numbers]
        return list(zip(table.chips(scene.scene_id for scene in scenes), scenes, strict=True))

    def outlines(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> Outlines:
        """Where chips of rows lie and when they were taken, in their order: `fetch`, but quick.

        Raises:
            GeorclipError: A row is not in the index any more.
        """
        return read_outlines(self._catalog, np.asarray(rows, dtype=np.int64))

    def footprints(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
        """Footprints of rows in their order, (n,): EPSG:4326, split at the date line.

        Raises:
            GeorclipError: A row is not in the index any more.
        """
        with self._catalog.snapshot():
            return shapes_of(self._catalog.footprints(rows))

    def scene_numbers(self, ascending: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Numbers of the scenes (`IndexedScene.number`) of ascending rows, int64, (n,)."""
        with self._catalog.snapshot(), self._files_there():
            parts = [
                segment.columns.scenes[positions.rows()]
                for segment, positions in self._view.split(RowRuns.of(ascending))
            ]
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    def row_of(self, chip_id: str) -> int | None:
        """The row of a chip; None where the index does not hold it."""
        return self._catalog.row_of(chip_id)

    def vectors(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Embeddings of rows in their order, as scores see them: float32, (n, dim), unit length."""
        wanted = np.asarray(rows, dtype=np.int64)
        ascending, back = np.unique(wanted, return_inverse=True)
        with self._catalog.snapshot(), self._files_there():
            parts = [
                unit_fp32(segment.vectors.take(positions))
                for segment, positions in self._view.split(RowRuns.of(ascending))
            ]
        parts.append(np.empty((0, self.encoder.dim), dtype=np.float32))
        return np.concatenate(parts)[back]

    # State

    def info(self) -> IndexInfo:
        """Counts, sizes, dates and bounds."""
        with saying_where(self.path, "read"), self.snapshot(), self._files_there():
            return describe(
                self._layout, self._manifest, self._catalog, self._view, self.background()
            )

    def verify(self, *, full: bool = False) -> tuple[Finding, ...]:
        """What is wrong with the index; () when nothing is. `full` reads every byte."""
        return verify_index(self.path, full=full)

    @contextmanager
    def _files_there(self) -> Iterator[None]:
        """Files are opened when they are first read; say so where one is gone by then.

        Raises:
            GeorclipError: A writer has replaced it since.
            IndexCorruptError: It is missing.
        """
        try:
            with saying_where(self.path, "read", but=FileNotFoundError):
                yield
        except FileNotFoundError as error:
            if self._catalog.generation() != self._view.generation:
                raise GeorclipError(
                    f"{self.path} was changed meanwhile, and the rows asked for are others now: "
                    "ask again"
                ) from error
            raise missing(error.filename) from error

    def _let_go(self) -> None:
        """Let threads and mapped files go."""
        self._scanner.close()
        self._view = replace(self._view, segments=())

    def _follow(self) -> None:
        """Open the newest state where it is not the one at hand."""
        if self._catalog.generation() != self._view.generation:
            self._view = open_view(self._layout, self._catalog, self.encoder.dim, self._view)
