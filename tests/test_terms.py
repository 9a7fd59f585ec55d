"""Terms as people give them, and as vectors: words, pictures, places, chips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from georclip.api import Index, create_index
from georclip.errors import QueryError
from georclip.index.store import IndexStore
from georclip.search.chip_terms import parse_place
from georclip.search.more_terms import more_terms
from georclip.search.pictures import embed_picture, split_part
from georclip.search.query import build_query
from georclip.testing import COLOURS, FakeEncoder, draw_scene
from georclip.values import ChipPlan, Query, Term, Window
from tests.conftest import MakeRaster

# --- as they are given ---------------------------------------------------------------------------


def test_terms_of_every_kind_with_weights():
    found = more_terms(
        also=["ships", "cranes::0.5"],
        without="clouds::2",
        images=[Path("pier.png"), "a::b.png", "scene.tif#0,0,9,9::3"],
        like=[(-76.5, 34.7), "-76,34::0.5"],
        like_hits="abc",
        unlike_hits=["def::0.25"],
    )
    assert found == (
        Term(kind="text", value="ships"),
        Term(kind="text", value="cranes", weight=0.5),
        Term(kind="text", value="clouds", weight=-2.0),
        Term(kind="image", value="pier.png"),
        Term(kind="image", value="a::b.png"),
        Term(kind="image", value="scene.tif#0,0,9,9", weight=3.0),
        Term(kind="place", value="-76.5,34.7"),
        Term(kind="place", value="-76,34", weight=0.5),
        Term(kind="hit", value="abc"),
        Term(kind="hit", value="def", weight=-0.25),
    )
    assert more_terms(like=(1, 2)) == (Term(kind="place", value="1,2"),)
    assert more_terms() == ()


@pytest.mark.parametrize(
    "given",
    [
        {"also": " "}, {"without": ["clouds::-1"]}, {"images": ""}, {"like_hits": ["x::0"]},
        {"unlike_hits": "x::nan"}, {"like": [(1, 2, 3)]}, {"images": "a\nb.png"},
    ],
)  # fmt: skip
def test_terms_that_make_no_sense(given):
    with pytest.raises(QueryError):
        more_terms(**given)


def test_a_question_needs_something_wanted():
    assert build_query(more=more_terms(like_hits="x")).terms == (Term(kind="hit", value="x"),)
    with pytest.raises(QueryError, match="only says what is not wanted"):
        build_query(more=more_terms(without="clouds"))
    with pytest.raises(QueryError, match="empty"):
        build_query("", more=more_terms(also="ships"))
    with pytest.raises(QueryError, match="empty"):
        build_query()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("here", "no place"), ("1,2,3", "no place"), ("nan,1", "no place"), ("", "no place"),
        ("34.7,-176.5", "swapped"), ("200,100", "beyond"), ("200,10", "beyond"),
    ],
)  # fmt: skip
def test_what_is_no_place(text, message):
    with pytest.raises(QueryError, match=message):
        parse_place(text)


# --- pictures ------------------------------------------------------------------------------------


def colour_of(vector: np.ndarray) -> str:
    return list(COLOURS)[int(vector.argmax())]


def painted(path: Path, *colours: str, side: int = 40) -> Path:
    """Squares of colours from left to right."""
    squares = [np.full((side, side, 3), COLOURS[name], dtype=np.uint8) for name in colours]
    Image.fromarray(np.concatenate(squares, axis=1)).save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_a_picture_is_its_middle_square_or_the_part_asked_for(tmp_path, suffix):
    path = painted(tmp_path / f"three{suffix}", "red", "green", "blue")
    encoder = FakeEncoder()
    assert colour_of(embed_picture(str(path), encoder)) == "green"
    assert colour_of(embed_picture(f"{path}#4,4,32,32", encoder)) == "red"
    assert colour_of(embed_picture(f"{path}#84,4,32,32", encoder)) == "blue"
    with pytest.raises(QueryError, match="reaches beyond"):
        embed_picture(f"{path}#100,0,40,40", encoder)


def test_a_part_of_a_scene_is_shown_as_a_chip_of_it_would_be(make_raster: MakeRaster):
    """16 bits, one stretch for all of it: the dark half stays dark."""
    values = np.random.default_rng(0).integers(200, 260, (3, 120, 240)).astype(np.uint16)
    values[:, :, 120:] += 3_000
    path = make_raster(values=values)
    encoder = FakeEncoder()
    assert colour_of(embed_picture(f"{path}#10,10,100,100", encoder)) == "black"
    assert colour_of(embed_picture(f"{path}#130,10,100,100", encoder)) == "white"


def test_a_name_with_a_number_sign_is_a_name(tmp_path):
    path = tmp_path / "a#1,2,3,4"
    Image.new("RGB", (9, 9)).save(path, format="PNG")
    assert split_part(str(path)) == (path, None)
    assert split_part("b.png#1,2,3,4") == (
        Path("b.png"), Window(col_off=1, row_off=2, width=3, height=4)
    )  # fmt: skip


@pytest.mark.parametrize("part", ["#", "#1,2,3", "#1,2,0,4", "#a,b,c,d", "#1,2,3,4,5", "#-1,0,2,2"])
def test_what_is_no_part_is_said(part):
    with pytest.raises(QueryError, match="is no part of a picture"):
        split_part(f"scene.tif{part}")


def test_what_is_no_picture_is_said_in_one_line(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    for name in (text, tmp_path, tmp_path / "missing.png"):
        with pytest.raises(QueryError) as caught:
            embed_picture(str(name), FakeEncoder())
        assert "\n" not in str(caught.value) and name.name in str(caught.value)


# --- against an index ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    return draw_scene(folder / "coast_20240615.tif", pixel_size_m=6)


@pytest.fixture(scope="module")
def index(drawn):
    encoder = FakeEncoder()
    folder = drawn.path.parent / "index"
    store = IndexStore.create(folder, encoder=encoder.spec, plan=ChipPlan(size=32, unit="px"))
    with Index(store, encoder=encoder) as index:
        index.add(drawn.path)
        yield index


def test_like_a_place_finds_the_chip_there_first(index, drawn):
    point = drawn.place("forest").footprint.centroid
    result = index.search(like=(point.x, point.y), k=3)
    assert result.hits[0].score == pytest.approx(1, abs=1e-5)
    assert result.hits[0].chip.footprint.covers(point)
    centres = [
        chip.footprint.centroid.distance(point)
        for chip, _ in index._store.fetch(index._store.select(aoi=point).rows)
    ]
    assert result.hits[0].chip.footprint.centroid.distance(point) == pytest.approx(min(centres))


def test_like_a_hit_needs_no_encoder(index):
    first = index.search("green", k=1).hits[0]
    with Index(IndexStore.open(index.path, writable=False), weights="/nowhere") as bare:
        result = bare.search(like_hits=first.chip.chip_id, k=2)
        assert result.hits[0].chip.chip_id == first.chip.chip_id
        other = result.hits[1].chip.chip_id
        again = bare.search(like_hits=first.chip.chip_id, unlike_hits=other, k=10_000)
        ranks = {hit.chip.chip_id: hit.rank for hit in again.hits}
        assert ranks[first.chip.chip_id] < ranks.get(other, 10_000)


def test_what_an_index_does_not_hold_is_said(index):
    with pytest.raises(QueryError, match="no chip covers 10,50: the index covers"):
        index.search(like="10,50")
    with pytest.raises(QueryError, match="holds no chip 'nobody'"):
        index.search("green", like_hits="nobody")


def test_a_picture_file_finds_what_looks_alike(index, drawn, tmp_path):
    window = drawn.place("forest").window
    part = f"{drawn.path}#{window.col_off},{window.row_off},{window.width},{window.height}"
    by_picture, by_word = index.search(images=part, k=1), index.search("green", k=1)
    assert drawn.places_in(by_picture.hits[0].chip.footprint)[0].name == "forest"
    path = painted(tmp_path / "green.png", "green")
    found = index.search(images=path, k=1).hits[0]
    (vector,) = index._store.vectors([index._store.row_of(found.chip.chip_id)])
    assert colour_of(vector) == "green" and found.score > by_word.hits[0].score


def test_unwanted_words_and_weights_change_the_answer(index):
    def best(**terms):
        result = index.search("green", k=5, grouping="none", **terms)
        vectors = index._store.vectors(
            [index._store.row_of(hit.chip.chip_id) for hit in result.hits]
        )
        return vectors.mean(axis=0)[list(COLOURS).index("brown")]

    assert best(without="brown") <= best() <= best(also="brown") <= best(also="brown::3")


def test_rank_score_is_the_score_and_falls(index):
    result = index.search("green", also="blue", without="white", k=10)
    scores = [hit.score for hit in result.hits]
    assert scores == [hit.rank_score for hit in result.hits] == sorted(scores, reverse=True)


def test_a_question_is_the_same_alone_and_among_others(index):
    alone = index.search("green", k=3)
    (together, _) = index.search_many(["green", "blue"], k=3)
    assert [hit.chip for hit in alone.hits] == [hit.chip for hit in together.hits]


def test_one_text_keeps_its_cosine_whatever_its_weight(index):
    plain, weighted = (
        index.search(Query(terms=(Term(kind="text", value="green", weight=weight),), k=3))
        for weight in (1.0, 0.25)
    )
    assert [hit.score for hit in plain.hits] == [hit.score for hit in weighted.hits]


def test_a_long_question_is_cut_with_a_warning(tmp_path, caplog):
    with create_index(tmp_path / "index", model="starter") as index:
        index.search(" ".join(["harbor"] * 32))
        assert "longer" not in caplog.text
        index.search(f"{' '.join(['harbor'] * 32)} with ships at a quay")
    assert "leaves out its end: with ships at a quay" in caplog.text
