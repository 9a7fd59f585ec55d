"""Scenes, chips, segments and tombstones in SQLite: every statement about them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from georclip.errors import GeorclipError, IndexCorruptError
from georclip.index.catalog_rows import read_chips, read_scene, scene_row, seal_of
from georclip.index.chiptable import ChipTable
from georclip.index.database import Database
from georclip.index.files import FileRecord
from georclip.index.records import IndexedScene, SegmentRecord
from georclip.index.sqlite_errors import MEND

_SCHEMA = Path(__file__).with_name("schema.sql")
_ROWS_PER_QUERY = 20_000

_OUTLINE = "scene, chip_id, scale, footprint"
_SCENE_COLUMNS = (
    "number, scene_id, uri, plan_fingerprint, chip_count, digest, skipped, indexed_at, record"
)
_CHIP_COLUMNS = "chip_id, col_off, row_off, width, height, gsd_m, scale, valid_fraction, footprint"


class Catalog(Database):
    """The database of one index. One thread at a time."""

    @classmethod
    def create(cls, path: Path) -> Catalog:
        """Make an empty catalog and open it for writing."""
        db = sqlite3.connect(path)
        try:
            db.executescript(_SCHEMA.read_text(encoding="utf-8"))
        finally:
            db.close()
        return cls(path, writable=True)

    # Scenes

    def scenes(self) -> tuple[IndexedScene, ...]:
        """Every scene, by uri."""
        return self._scenes("ORDER BY uri", ())

    def scene_by(
        self, *, uri: str | None = None, scene_id: str | None = None
    ) -> IndexedScene | None:
        """The scene with this uri, or else with this scene_id."""
        found = self._scenes("WHERE uri = ?", (uri,)) if uri is not None else ()
        if not found and scene_id is not None:
            found = self._scenes("WHERE scene_id = ?", (scene_id,))
        return found[0] if found else None

    def scene_numbers(self) -> npt.NDArray[np.int64]:
        """Numbers of all scenes, ascending."""
        found = self._all("SELECT number FROM scenes")
        return np.array(sorted(entry[0] for entry in found), dtype=np.int64)

    def scenes_by_number(self, numbers: Iterable[int]) -> dict[int, IndexedScene]:
        """Scenes by their numbers; unknown ones are left out."""
        where = "WHERE number IN (SELECT value FROM json_each(?))"
        return {found.number: found for found in self._scenes(where, (_as_list(numbers),))}

    def times(self, numbers: Iterable[int]) -> dict[int, str | None]:
        """When scenes were taken, as ISO 8601 in UTC, by their numbers; unknown ones left out."""
        found = self._all(
            "SELECT number, json_extract(record, '$.acquired') FROM scenes "
            "WHERE number IN (SELECT value FROM json_each(?))",
            (_as_list(numbers),),
        )
        return dict(found)

    def _scenes(self, where: str, values: tuple[object, ...]) -> tuple[IndexedScene, ...]:
        found = self._all(f"SELECT {_SCENE_COLUMNS} FROM scenes {where}", values)
        try:
            return tuple(read_scene(entry) for entry in found)
        except (ValueError, KeyError, TypeError) as error:
            raise IndexCorruptError(f"{self._path} holds a damaged scene; {MEND}") from error

    def add_scene(self, indexed: IndexedScene) -> None:
        """Enter a scene; its chips follow."""
        row = scene_row(indexed)
        self._all(f"INSERT INTO scenes VALUES ({_places(10)})", (*row, seal_of(row)))

    def update_scene(self, indexed: IndexedScene) -> None:
        """Record a scene's uri, name and time anew; its chips stay."""
        row = scene_row(indexed)
        self._all(
            "UPDATE scenes SET uri = ?, record = ?, seal = ? WHERE number = ?",
            (indexed.scene.uri, row[-1], seal_of(row), indexed.number),
        )

    def remove_scene(self, number: int) -> None:
        """Take out a scene and its chips; their rows become tombstones."""
        self._all('INSERT INTO tombstones SELECT "row" FROM chips WHERE scene = ?', (number,))
        self._all("DELETE FROM chips WHERE scene = ?", (number,))
        self._all("DELETE FROM scenes WHERE number = ?", (number,))

    # Chips

    def add_chips(self, scene: int, first_row: int, chips: ChipTable) -> None:
        """Enter chips at rows from `first_row` on, in their order."""
        rows = zip(
            range(first_row, first_row + len(chips)),
            chips.chip_ids,
            repeat(scene),
            *chips.windows.T.tolist(),
            *chips.measures.T.tolist(),
            chips.footprints,
            strict=False,
        )
        with self._explained():
            self._db.executemany(f"INSERT INTO chips VALUES ({_places(11)})", rows)

    def chip_count(self) -> int:
        """Chips of all scenes."""
        return self._number("SELECT count(*) FROM chips")

    def footprints(self, rows: npt.NDArray[np.int64]) -> list[bytes]:
        """WKB of the footprints of rows, in their order.

        Raises:
            GeorclipError: A row is no longer there.
        """
        return [entry[0] for entry in self._of_rows("footprint", rows)]

    def outlines(self, rows: npt.NDArray[np.int64]) -> list[tuple[int, str, float, bytes]]:
        """Scene number, id, scale and footprint (WKB) of the chips of rows, in their order.

        Raises:
            GeorclipError: A row is no longer there.
        """
        found = self._of_rows(_OUTLINE, rows)
        return [(scene, chip_id, scale, wkb) for scene, chip_id, scale, wkb in found]

    def chip_ids(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """Ids of the chips of rows, in their order."""
        return [entry[0] for entry in self._of_rows("chip_id", rows)]

    def chips(self, rows: npt.NDArray[np.int64]) -> tuple[ChipTable, list[int]]:
        """Chips of rows in their order, and the numbers of their scenes."""
        found = self._of_rows(f"scene, {_CHIP_COLUMNS}", rows)
        return read_chips([entry[1:] for entry in found]), [entry[0] for entry in found]

    def row_of(self, chip_id: str) -> int | None:
        """The row of a chip."""
        found = self._all('SELECT "row" FROM chips WHERE chip_id = ?', (chip_id,))
        return int(found[0][0]) if found else None

    def chips_in_scenes(self, numbers: npt.NDArray[np.int64]) -> int:
        """How many chips some scenes have together."""
        return self._number(
            "SELECT coalesce(sum(chip_count), 0) FROM scenes "
            "WHERE number IN (SELECT value FROM json_each(?))",
            (_as_list(numbers.tolist()),),
        )

    def chip_ids_of_scene(self, number: int) -> list[str]:
        """Ids of a scene's chips, in no order."""
        found = self._all("SELECT chip_id FROM chips WHERE scene = ?", (number,))
        return [str(entry[0]) for entry in found]

    def rows_and_scales(
        self, chip_ids: Sequence[str]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Rows of chips, int64, and the scales that they were cut at, float32, in their order.

        Raises:
            IndexCorruptError: There is no such chip.
        """
        found = self._all(
            'SELECT chip_id, "row", scale FROM chips '
            "WHERE chip_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(chip_ids)),),
        )
        known = {chip_id: (row, scale) for chip_id, row, scale in found}
        if not known.keys() >= set(chip_ids):
            raise IndexCorruptError(f"{self._path} lacks chips that it had; {MEND}")
        rows = np.array([known[chip_id][0] for chip_id in chip_ids], dtype=np.int64)
        try:
            return rows, np.array([known[chip_id][1] for chip_id in chip_ids], dtype=np.float32)
        except (ValueError, TypeError) as error:
            raise IndexCorruptError(f"{self._path} holds a damaged chip; {MEND}") from error

    def chips_between(
        self, first: int, end: int
    ) -> tuple[npt.NDArray[np.int64], list[int], ChipTable]:
        """Chips with rows in [first, end): rows ascending, scene numbers, chips."""
        found = self._all(
            f'SELECT "row", scene, {_CHIP_COLUMNS} FROM chips '
            'WHERE "row" >= ? AND "row" < ? ORDER BY "row"',
            (first, end),
        )
        rows = np.array([entry[0] for entry in found], dtype=np.int64)
        return rows, [entry[1] for entry in found], read_chips([entry[2:] for entry in found])

    def _of_rows(self, columns: str, rows: npt.NDArray[np.int64]) -> list[tuple[Any, ...]]:
        """Columns of chips in the order of `rows`."""
        wanted = rows.tolist()
        found: dict[int, tuple[Any, ...]] = {}
        for start in range(0, len(wanted), _ROWS_PER_QUERY):
            some = _as_list(wanted[start : start + _ROWS_PER_QUERY])
            for entry in self._all(
                f'SELECT "row", {columns} FROM chips '
                'WHERE "row" IN (SELECT value FROM json_each(?))',
                (some,),
            ):
                found[entry[0]] = entry[1:]
        try:
            return [found[row] for row in wanted]
        except KeyError as error:
            raise GeorclipError(
                f"row {error} is no longer in {self._path.parent}: "
                "the index was changed meanwhile; ask again"
            ) from error

    def renumber(self, old_rows: npt.NDArray[np.int64], first_row: int) -> None:
        """Give every chip a new row: `old_rows` in their order, from `first_row` on."""
        self._all("CREATE TEMP TABLE renumbered (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)")
        new_rows = range(first_row, first_row + len(old_rows))
        with self._explained():
            self._db.executemany(
                "INSERT INTO renumbered VALUES (?, ?)",
                zip(old_rows.tolist(), new_rows, strict=True),
            )
        self._all('UPDATE chips SET "row" = (SELECT new FROM renumbered WHERE old = chips."row")')
        self._all("DROP TABLE renumbered")
        self._all("DELETE FROM tombstones")

    # Segments and tombstones

    def segments(self) -> tuple[SegmentRecord, ...]:
        """Segments in order of their rows."""
        files: dict[int, list[FileRecord]] = {}
        for number, name, size, sha256 in self._all(
            "SELECT segment, name, bytes, sha256 FROM segment_files ORDER BY name"
        ):
            record = FileRecord(name=name, bytes=size, sha256=sha256)
            files.setdefault(number, []).append(record)
        found = self._all("SELECT number, first_row, row_count FROM segments ORDER BY first_row")
        return tuple(
            SegmentRecord(
                number=number,
                first_row=first,
                row_count=count,
                files=tuple(files.get(number, ())),
            )
            for number, first, count in found
        )

    def add_segment(self, segment: SegmentRecord) -> None:
        """Enter a segment whose files are on disk and synced."""
        self._all(
            "INSERT INTO segments VALUES (?, ?, ?)",
            (segment.number, segment.first_row, segment.row_count),
        )
        for file in segment.files:
            self._all(
                "INSERT INTO segment_files VALUES (?, ?, ?, ?)",
                (segment.number, file.name, file.bytes, file.sha256),
            )

    def drop_segments(self, segments: Iterable[SegmentRecord], *, with_tombstones: bool) -> None:
        """Take segments out; their tombstones too where no other segment takes over their rows."""
        for segment in segments:
            self._all("DELETE FROM segments WHERE number = ?", (segment.number,))
            if with_tombstones:
                self._all(
                    'DELETE FROM tombstones WHERE "row" >= ? AND "row" < ?',
                    (segment.first_row, segment.end_row),
                )

    def tombstones(self) -> npt.NDArray[np.int64]:
        """Rows of chips that were removed, ascending."""
        found = self._all('SELECT "row" FROM tombstones ORDER BY "row"')
        return np.fromiter((entry[0] for entry in found), dtype=np.int64, count=len(found))

    def integrity_problems(self, *, full: bool) -> list[str]:
        """What SQLite finds wrong with its own file; [] when nothing is."""
        check = "integrity_check" if full else "quick_check"
        problems = [str(entry[0]) for entry in self._all(f"PRAGMA {check}")]
        problems += [
            f"chips of scene {entry[0]} are counted wrongly"
            for entry in self._all(
                "SELECT number FROM scenes WHERE chip_count != "
                "(SELECT count(*) FROM chips WHERE scene = number)"
            )
        ]
        problems += [
            f"broken reference in {entry[0]}" for entry in self._all("PRAGMA foreign_key_check")
        ]
        problems += [
            f"scene number {row[0]} is not as it was written"
            for *row, seal in self._all(f"SELECT {_SCENE_COLUMNS}, seal FROM scenes")
            if seal_of(tuple(row)) != seal
        ]
        return [problem for problem in problems if problem != "ok"]

    def vacuum(self) -> None:
        """Give unused pages back to the file system."""
        self._all("VACUUM")


def _places(count: int) -> str:
    return ", ".join("?" * count)


def _as_list(numbers: Iterable[int]) -> str:
    return json.dumps(list(numbers))
