"""What people would search filtered vectors with otherwise, all asked the same question.

Each holds the same stored vectors (fp16, widened to fp32) and the same boxes of chips, and answers
"the ten best whose box shares area with this one". What finding out which those are takes is
counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import faiss
import lancedb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

K = 10

Box = tuple[float, float, float, float]
Ask = Callable[[npt.NDArray[np.float32], Box | None], npt.NDArray[np.int64]]
"""A unit question, (dim,), and a box (None: anywhere) to row numbers, best first."""

_faiss: Any = faiss


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """What is searched.

    Attributes:
        vectors: float32, (n, dim).
        bounds: float64, (n, 4): west, south, east, north.
    """

    vectors: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.float64]

    def mask(self, box: Box) -> npt.NDArray[np.bool_]:
        """Rows whose box shares area with another: four columns compared."""
        west, south, east, north = self.bounds.T
        found = (west < box[2]) & (east > box[0]) & (south < box[3]) & (north > box[1])
        return np.asarray(found)


def flat(rows: Rows, *, by_array: bool) -> Ask:
    """faiss's flat index with a selector: a bitmap over all rows, or a list of numbers."""
    index = _flat(rows)

    def ask(query: npt.NDArray[np.float32], box: Box | None) -> npt.NDArray[np.int64]:
        parameters = None
        if box is not None:
            mask = rows.mask(box)
            if by_array:
                chosen = np.flatnonzero(mask).astype(np.int64)
                parameters = _faiss.SearchParameters(sel=_faiss.IDSelectorArray(chosen))
            else:
                bitmap = np.packbits(mask, bitorder="little")
                parameters = _faiss.SearchParameters(sel=_faiss.IDSelectorBitmap(bitmap))
        return _first(index.search(query[None], K, params=parameters))

    return ask


def inverted(rows: Rows, *, lists: int, probes: int) -> Ask:
    """faiss's inverted file of whole vectors with a selector."""
    index = _faiss.IndexIVFFlat(
        faiss.IndexFlatIP(rows.vectors.shape[1]), rows.vectors.shape[1], lists,
        faiss.METRIC_INNER_PRODUCT,
    )  # fmt: skip
    index.cp.min_points_per_centroid = 1
    sample = np.random.default_rng(0).permutation(len(rows.vectors))[: 64 * lists]
    index.train(rows.vectors[sample])
    index.add(rows.vectors)

    def ask(query: npt.NDArray[np.float32], box: Box | None) -> npt.NDArray[np.int64]:
        bitmap = None if box is None else np.packbits(rows.mask(box), bitorder="little")
        selector = None if bitmap is None else _faiss.IDSelectorBitmap(bitmap)
        parameters = _faiss.SearchParametersIVF(nprobe=probes, sel=selector)
        return _first(index.search(query[None], K, params=parameters))

    return ask


def graph(rows: Rows, *, links: int = 24, effort: int = 256) -> dict[str, Ask]:
    """faiss's HNSW, with a selector while it walks, and filtered behind it."""
    index = _faiss.IndexHNSWFlat(rows.vectors.shape[1], links, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 80
    index.add(rows.vectors)

    def within(query: npt.NDArray[np.float32], box: Box | None) -> npt.NDArray[np.int64]:
        bitmap = None if box is None else np.packbits(rows.mask(box), bitorder="little")
        selector = None if bitmap is None else _faiss.IDSelectorBitmap(bitmap)
        parameters = _faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
        return _first(index.search(query[None], K, params=parameters))

    def behind(query: npt.NDArray[np.float32], box: Box | None) -> npt.NDArray[np.int64]:
        parameters = _faiss.SearchParametersHNSW(efSearch=1000)
        found = _first(index.search(query[None], 1000, params=parameters))
        if box is not None:
            west, south, east, north = rows.bounds[found].T
            kept = (west < box[2]) & (east > box[0]) & (south < box[3]) & (north > box[1])
            found = found[kept]
        return found[:K]

    return {
        f"faiss HNSW{links} + selector, ef {effort}": within,
        f"faiss HNSW{links}, 1,000 filtered behind": behind,
    }


def duck(rows: Rows) -> Ask:
    """DuckDB: columns beside the vector, exact."""
    dim = rows.vectors.shape[1]
    database = duckdb.connect()
    database.register("made", _table(rows))
    database.execute(
        f"CREATE TABLE chips AS SELECT row, west, south, east, north, "
        f"vector::FLOAT[{dim}] AS vector FROM made"
    )
    database.unregister("made")
    distance = f"array_inner_product(vector, ?::FLOAT[{dim}])"

    def ask(query: npt.NDArray[np.float32], box: Box | None) -> npt.NDArray[np.int64]:
        where, values = "", []
        if box is not None:
            where = "WHERE west < ? AND east > ? AND south < ? AND north > ?"
            values = [box[2], box[0], box[3], box[1]]
        sql = f"SELECT row FROM chips {where} ORDER BY {distance} DESC LIMIT {K}"
        found = database.execute(sql, [*values, query.tolist()]).fetchnumpy()
        return np.asarray(found["row"], dtype=np.int64)

    return ask


def lance(rows: Rows, folder: Path) -> Ask:
    """LanceDB: filtered first by indexes over the columns, then exact over what is left."""
    table = lancedb.connect(folder).create_table("chips", _table(rows), mode="overwrite")
    for column in ("west", "south", "east", "north"):
        table.create_scalar_index(column, index_type="BTREE")

    def ask(query: npt.NDArray[np.float32], box: Box | None) -> npt.NDArray[np.int64]:
        search = table.search(query).distance_type("dot").limit(K).select(["row", "_distance"])
        if box is not None:
            inside = (
                f"west < {box[2]} AND east > {box[0]} AND south < {box[3]} AND north > {box[1]}"
            )
            search = search.where(inside, prefilter=True)
        return np.asarray(search.to_arrow()["row"].to_numpy(), dtype=np.int64)

    return ask


def _flat(rows: Rows) -> Any:
    index = faiss.IndexFlatIP(rows.vectors.shape[1])
    index.add(rows.vectors)
    return index


def _first(found: tuple[Any, Any]) -> npt.NDArray[np.int64]:
    numbers = found[1][0]
    return np.asarray(numbers[numbers >= 0])


def _table(rows: Rows) -> pa.Table:
    vectors = pa.FixedSizeListArray.from_arrays(rows.vectors.ravel(), rows.vectors.shape[1])
    sides = zip(("west", "south", "east", "north"), rows.bounds.T, strict=True)
    return pa.table(
        {
            "row": np.arange(len(rows.bounds)),
            **{name: np.ascontiguousarray(values) for name, values in sides},
            "vector": vectors,
        }
    )
