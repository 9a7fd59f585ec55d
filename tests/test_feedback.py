"""Marks on hits: from an answer or its file alone, adding up, and a stranger's file with care."""

from __future__ import annotations

import json
import shutil

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from georclip.api import Index
from georclip.errors import ExportError, QueryError
from georclip.export.asked import question_member, read_question
from georclip.export.reading import read_hits
from georclip.export.reasking import index_of
from georclip.export.records import describe
from georclip.index.store import IndexStore
from georclip.search.feedback import BAD, GOOD, with_marks
from georclip.search.query import build_query
from georclip.testing import FakeEncoder, draw_scene
from georclip.values import ChipPlan, Query, Term
from tests.helpers_hits import some_hits
from tests.test_cli import assert_one_line_error, georclip

ASKED = Query(terms=(Term(kind="text", value="green"),))


def marks(query: Query) -> dict[str, float]:
    return {term.value: term.weight for term in query.terms if term.kind == "hit"}


# --- marks as terms ------------------------------------------------------------------------------


def test_marks_share_their_weight_and_add_up():
    once = with_marks(ASKED, good=["a", "b", "c"], bad=["x"])
    assert once.terms[0] == ASKED.terms[0]
    assert marks(once) == {**dict.fromkeys("abc", GOOD / 3), "x": -BAD}
    twice = with_marks(once, good=["x"], bad=["y", "z"])
    assert marks(twice) == {**dict.fromkeys("abcx", GOOD / 4), **dict.fromkeys("yz", -BAD / 2)}


@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.sets(st.sampled_from("xyz")))))
def test_rounds_of_marks_are_as_good_as_one(rounds):
    rounds = [(good, bad) for good, bad in rounds if good or bad]
    query = ASKED
    for good, bad in rounds:
        query = with_marks(query, good=sorted(good), bad=sorted(bad))
    good = sorted({mark for round_good, _ in rounds for mark in round_good})
    bad = sorted({mark for _, round_bad in rounds for mark in round_bad})
    if rounds:
        assert marks(query) == marks(with_marks(ASKED, good=good, bad=bad))


def test_marks_that_make_no_sense():
    for good, bad, message in ((["a"], ["a"], "good and bad"), ([], [], "no hit is marked")):
        with pytest.raises(QueryError, match=message):
            with_marks(ASKED, good=good, bad=bad)
    lonely = Query(terms=(Term(kind="hit", value="a"),))
    with pytest.raises(QueryError, match="only bad"):
        with_marks(lonely, good=[], bad=["a"])


# --- the question in a file ----------------------------------------------------------------------


def rich_question() -> Query:
    terms = (
        Term(kind="text", value="harbor with ships"),
        Term(kind="text", value="clouds", weight=-0.5),
        Term(kind="place", value="-76.6,34.7"),
        Term(kind="hit", value="chip0001", weight=2.0),
    )
    asked = build_query(
        "x", bbox=(170, -20, -170, -10), dates="2018-01-01/..", scenes="*.tif", k=7,
        min_confidence=0.5, grouping="place",
    )  # fmt: skip
    return Query(
        terms=terms, k=asked.k, aoi=asked.aoi, dates=asked.dates, scenes=asked.scenes,
        min_confidence=asked.min_confidence, grouping=asked.grouping,
    )  # fmt: skip


def test_a_question_survives_a_file():
    query = rich_question()
    text = json.dumps(question_member(query))
    for member in (json.loads(text), text):
        again = read_question(member)
        assert shapely.equals(again.aoi, query.aoi)
        for name in ("terms", "k", "dates", "scenes", "min_confidence", "grouping"):
            assert getattr(again, name) == getattr(query, name)
    assert read_question(question_member(ASKED)) == ASKED


def test_a_question_in_words():
    assert describe(rich_question()) == (
        "harbor with ships, not clouds::0.5, like the place -76.6,34.7, like the hit chip0001::2"
    )
    unlike = Query(
        terms=(Term(kind="image", value="a.png"), Term(kind="hit", value="b", weight=-1))
    )
    assert describe(unlike) == "like a.png, unlike the hit b"


@pytest.mark.parametrize(
    "change",
    [
        {"terms": []}, {"terms": "all"}, {"terms": [{"kind": "file", "value": "x", "weight": 1}]},
        {"terms": [{"kind": "text", "value": 5, "weight": 1}]},
        {"terms": [{"kind": "text", "value": "x" * 10_001, "weight": 1}]},
        {"terms": [{"kind": "text", "value": "a\x1b[2J", "weight": 1}]},
        {"terms": [{"kind": "text", "value": "x", "weight": "1"}]},
        {"terms": [{"kind": "text", "value": "x", "weight": float("inf")}]},
        {"terms": [{"kind": "text", "value": "x", "weight": -1}]},
        {"terms": [{"kind": "text", "value": "x", "weight": 10**400}]},
        {"terms": [{"kind": "text", "value": "x", "weight": 1e308}]},
        {"terms": [{"kind": "text", "value": "a\ud800", "weight": 1}]},
        {"terms": [{"kind": "image", "value": "a\ud800.png", "weight": 1}]},
        {"terms": [{"kind": "hit", "value": "\udfff", "weight": 1}]},
        {"scenes": "\ud800*"}, {"min_confidence": 10**400}, {"min_confidence": -(10**400)},
        {"terms": [{"kind": [], "value": "x", "weight": 1}]},
        {"terms": [{"kind": "text", "value": "x", "weight": 1}] * 1_001},
        {"k": 0}, {"k": True}, {"k": 1e9}, {"k": "3"}, {"grouping": "all"}, {"grouping": ["none"]},
        {"dates": 5}, {"dates": "yesterday"}, {"scenes": ["*"]}, {"min_confidence": 2},
        {"min_confidence": "much"}, {"aoi": 5}, {"aoi": {"type": "Point"}},
        {"aoi": {"type": "Point", "coordinates": [1e9, 0]}},
    ],
)  # fmt: skip
def test_a_strangers_question_is_checked(change):
    with pytest.raises(QueryError) as caught:
        read_question({**question_member(ASKED), **change})
    assert len(str(caught.value)) < 300 and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".parquet"])
def test_files_keep_the_question_and_the_index(tmp_path, suffix):
    from georclip.export.writing import write_hits

    path = tmp_path / f"hits{suffix}"
    write_hits(some_hits(), path)
    kept = read_hits(path).provenance
    assert kept.question == some_hits().query
    write_hits(read_hits(path), tmp_path / "again.gpkg")
    assert read_hits(tmp_path / "again.gpkg").provenance == kept


def test_a_question_that_cannot_be_read_does_not_keep_hits_from_being_read(tmp_path, caplog):
    path = tmp_path / "hits.geojson"
    from georclip.export.writing import write_hits

    write_hits(some_hits(), path)
    document = json.loads(path.read_text())
    document["georclip"]["question"]["k"] = "many"
    path.write_text(json.dumps(document))
    assert read_hits(path).provenance.question is None
    assert "cannot be asked again: k is 'many'" in caplog.text


WRONG = [
    {"width": 10**300}, {"rank": 10**400}, {"rank": 1e300}, {"col_off": -1e19}, {"score": [1]},
    {"acquired": "0001-01-01T00:00:00+23:00"}, {"acquired": 5}, {"chip_id": "\ud800"},
    {"uri": "/a\ud800"}, {"members": ["\ud800"]}, {"query": "\ud800"},
]  # fmt: skip
NOWHERE = [
    [], [[[0, 0], [1e200, 0], [1e200, 1e200], [0, 0]]], [[[0, 0], [1, 0], [1, 91], [0, 0]]],
    [[[0, 0], [1, 1]]], [[[10**400, 0], [1, 0], [1, 1], [10**400, 0]]], "somewhere",
]  # fmt: skip


@pytest.mark.parametrize("wrong", [*WRONG, *NOWHERE], ids=lambda wrong: repr(wrong)[:40])
def test_a_hit_that_no_format_holds_is_named(tmp_path, wrong):
    path = changed(tmp_path)
    document = json.loads(path.read_text())
    feature = document["features"][1]
    if isinstance(wrong, dict):
        feature["properties"].update(wrong)
    else:
        feature["geometry"] = {"type": "Polygon", "coordinates": wrong}
    path.write_text(json.dumps(document))
    with pytest.raises(ExportError, match=r"hits\.geojson: 2") as caught:
        read_hits(path)
    assert len(str(caught.value)) < 400 and str(caught.value).isprintable()


def changed(tmp_path, **member):
    """A file of hits, with other members of its provenance."""
    from georclip.export.writing import write_hits

    path = tmp_path / "hits.geojson"
    write_hits(some_hits(), path, overwrite=True)
    document = json.loads(path.read_text())
    document["georclip"].update(member)
    path.write_text(json.dumps(document))
    return path


def test_a_number_too_large_for_a_question_leaves_the_hits(tmp_path, caplog):
    question = question_member(ASKED)
    question["terms"][0]["weight"] = 10**400
    path = changed(tmp_path, question=question)
    assert len(read_hits(path).records) == len(some_hits().hits)
    assert "cannot be asked again: a weight is 1000" in caplog.text


@pytest.mark.parametrize("name", ["a\0b", "a\nError: b", "a\ud800", "a" * 10_001, 5, ["a"]])
def test_an_index_that_has_no_such_name_is_not_opened(tmp_path, caplog, name):
    hits = read_hits(changed(tmp_path, index=name))
    assert hits.provenance.index == ""
    assert (
        "names no index that can be asked again" in caplog.text and "\n" not in caplog.messages[0]
    )


def test_names_in_errors_cannot_steer_a_terminal(tmp_path):
    path = changed(tmp_path, index="/a\u202eb")
    with pytest.raises(QueryError, match=r"index /a\?b, which"):
        index_of(read_hits(path), path, tmp_path / "georclip-index")


def test_heights_of_footprints_are_left_out(tmp_path):
    path = changed(tmp_path)
    document = json.loads(path.read_text())
    ring = [[0, 0, 9], [1, 0, 9], [1, 1, 9], [0, 0, 9]]
    document["features"][0]["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    path.write_text(json.dumps(document))
    assert not read_hits(path).records[0].footprint.has_z


# --- an index ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a scene, its index of a fake encoder, and an index of the model in the box."""
    folder = tmp_path_factory.mktemp("session")
    drawn = draw_scene(folder / "coast.tif", pixel_size_m=6)
    encoder = FakeEncoder()
    plan = ChipPlan(size=40, unit="px")
    with Index(IndexStore.create(folder / "fake", encoder=encoder.spec, plan=plan)) as index:
        index._encoder = encoder
        index.add(drawn.path)
    done = georclip("index", drawn.path, "-i", folder / "index", "--model", "starter",
                    "--chip-size", "60px")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def index(folder):
    with Index(IndexStore.open(folder / "fake", writable=False), encoder=FakeEncoder()) as index:
        yield index


def test_good_hits_come_first_and_bad_ones_go(index):
    first = index.search("green", k=10)
    second = index.feedback(first, good=[8, 9], bad=[1, 2])
    before = [hit.chip.chip_id for hit in first.hits]
    after = [hit.chip.chip_id for hit in second.hits]
    assert marks(second.query) == {
        before[7]: GOOD / 2, before[8]: GOOD / 2, before[0]: -BAD / 2, before[1]: -BAD / 2
    }  # fmt: skip
    place = {chip_id: after.index(chip_id) if chip_id in after else 99 for chip_id in before}
    assert place[before[0]] > 1 and place[before[1]] > 1
    assert place[before[7]] + place[before[8]] < place[before[0]] + place[before[1]]


def test_a_file_is_as_good_as_the_answer_and_marks_add_up(index, tmp_path):
    first = index.search("green", k=8, bbox=(-8.92, 39.99, -8.87, 40.03))
    path = first.write(tmp_path / "hits.geojson")
    again = index.feedback(first, good=[2], bad=[1])
    from_file = index.feedback(path, good=[2], bad=[1])
    assert [hit.chip for hit in from_file.hits] == [hit.chip for hit in again.hits]
    assert shapely.equals(from_file.query.aoi, first.query.aoi)
    second = index.feedback(from_file.write(tmp_path / "more.gpkg"), good=[3], k=4)
    assert len(marks(second.query)) == 3 and second.query.k == 4


@pytest.mark.parametrize(("good", "bad"), [([0], []), ([], [9]), ([1], [1]), ([], [])])
def test_marks_on_no_hit_are_refused(index, good, bad):
    with pytest.raises(QueryError):
        index.feedback(index.search("green", k=8), good=good, bad=bad)


def test_a_file_may_name_a_picture_beside_it_only(index, folder, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    picture = shutil.copy(folder / "coast.tif", mine / "coast.tif")
    hits = index.search(images=f"{picture}#10,10,40,40", k=5).write(mine / "hits.geojson")
    assert index.feedback(hits, good=[2]).query.terms[0].value == f"{picture}#10,10,40,40"
    elsewhere = tmp_path / "theirs"
    elsewhere.mkdir()
    moved = shutil.copy(hits, elsewhere / "hits.geojson")
    with pytest.raises(QueryError, match="lies outside"):
        index.feedback(moved, good=[2])
    (elsewhere / "mine").symlink_to(mine)
    document = json.loads((elsewhere / "hits.geojson").read_text())
    document["georclip"]["question"]["terms"][0]["value"] = str(elsewhere / "mine" / "coast.tif")
    (elsewhere / "hits.geojson").write_text(json.dumps(document))
    with pytest.raises(QueryError, match="lies outside"):
        index.feedback(moved, good=[2])


# --- the command ---------------------------------------------------------------------------------


def test_a_session_on_the_command_line(folder):
    done = georclip("search", "trees", "--not", "buildings::0.5", "-k", "6", "-o", "hits.geojson",
                    "-i", "index", "--overwrite", cwd=folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = georclip("feedback", "hits.geojson", "--good", "1,3-4", "--bad", "2",
                    "-o", "better.gpkg", "--overwrite", cwd=folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = georclip("feedback", folder / "better.gpkg", "--bad", "1", "-k", "3")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    kinds = [(term["kind"], term["weight"] > 0) for term in answer["georclip"]["question"]["terms"]]
    assert kinds[:2] == [("text", True), ("text", False)]
    assert 4 <= len(kinds[2:]) <= 5 and {kind for kind, _ in kinds[2:]} == {"hit"}
    assert len(answer["features"]) == 3
    assert answer["georclip"]["query"].startswith("trees, not buildings::0.5, like the hit ")


def test_an_index_elsewhere_is_used_only_where_a_person_says_so(folder, tmp_path):
    done = georclip("search", "trees", "-i", folder / "index", "-o", tmp_path / "hits.geojson")
    assert done.returncode == 0, done.stderr
    done = georclip("feedback", tmp_path / "hits.geojson", "--good", "1")
    assert_one_line_error(done, "lies outside", f"-i {folder / 'index'}")
    done = georclip("feedback", tmp_path / "hits.geojson", "--good", "1", "-i", folder / "index")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("ranks", ["0", "a", "3-1", "1,,2", "-1", "1-999999999"])
def test_what_is_no_rank_is_wrong_usage(folder, ranks):
    done = georclip("feedback", folder / "hits.geojson", f"--good={ranks}")
    assert_one_line_error(done, code=2)


def test_questions_of_many_terms_on_the_command_line(folder, tmp_path):
    def ask(*arguments):
        done = georclip("search", *arguments, "-i", folder / "index", "-k", "3")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    plain = ask("houses", "--and", "trees", "--not", "water")
    assert plain["georclip"]["query"] == "houses, trees, not water"
    chip_id = plain["features"][0]["id"]
    lon, lat = shapely.from_geojson(json.dumps(plain["features"][0]["geometry"])).centroid.coords[0]
    here = ask("--like", f"{lon:.6f},{lat:.6f}")
    assert lon < 0 and here["features"][0]["properties"]["score"] > 0.999
    alike = ask("--like-hit", chip_id, "--unlike-hit", plain["features"][1]["id"])
    assert alike["features"][0]["id"] == chip_id
    part = ask("--image", f"{folder / 'coast.tif'}#100,100,60,60", "--and", "houses::0.5")
    kinds = [term["kind"] for term in part["georclip"]["question"]["terms"]]
    assert kinds == ["text", "image"] and len(part["features"]) == 3
    many = tmp_path / "many.txt"
    many.write_text("houses\n")
    for wrong in (["--not", "water"], ["--queries", str(many), "--and", "trees"], []):
        done = georclip("search", *wrong, "-i", folder / "index")
        assert_one_line_error(done, code=2)
