"""`georclip search --queries`, and what search says where there is nothing, with the starter."""

from __future__ import annotations

import csv
import io
import json
import logging

import pytest
from click.testing import CliRunner

from georclip.cli.main import cli
from georclip.errors import QueryError
from tests.helpers_rfc7946 import findings
from tests.test_cli import assert_one_line_error, georclip, write_scene


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Three scenes, two of them with a time, and their index."""
    folder = tmp_path_factory.mktemp("world")
    write_scene(folder / "north_20200102.tif", seed=1, side=256)
    write_scene(folder / "west_20210304.tif", seed=3, side=256, origin=(480_000, 4_000_000))
    write_scene(folder / "south.tif", seed=2, side=256, origin=(500_000, 3_990_000))
    done = georclip("index", folder, "-i", folder / "index", "--model", "starter",
                    "--chip-size", "128px")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(autouse=True)
def spoken(monkeypatch):
    monkeypatch.setattr(logging.getLogger("georclip"), "propagate", True)


def call(world, *arguments, stdin=None):
    words = ["search", *map(str, arguments), "-i", str(world / "index")]
    return CliRunner().invoke(cli, words, input=stdin, catch_exceptions=False)


def answers(text):
    """Per question in order: ids of its chips."""
    found = {}
    for item in json.loads(text)["features"]:
        found.setdefault(item["properties"]["query"], []).append(item["properties"]["chip_id"])
    return found


def test_a_file_of_sentences_is_answered_as_each_would_be(world, tmp_path):
    file = tmp_path / "questions.txt"
    file.write_text("# ask\nharbor with ships\n\n  dense houses\nharbor with ships\n", "utf-8")
    done = georclip("search", "--queries", file, "-k", "3", "-i", world / "index")
    assert done.returncode == 0
    told = done.stderr.splitlines()  # noise is no harbor
    assert all(line.startswith("Nothing convincing was found for ") for line in told), told
    assert findings(done.stdout) == []
    document = json.loads(done.stdout)
    asked = [item["properties"]["query"] for item in document["features"]]
    wanted = ["harbor with ships", "dense houses", "harbor with ships"]
    assert asked == [text for text in wanted for _ in range(3)]
    assert [item["properties"]["rank"] for item in document["features"]] == [1, 2, 3] * 3
    for place, text in enumerate(wanted):
        alone = json.loads(call(world, text, "-k", "3").stdout)["features"]
        part = document["features"][3 * place : 3 * place + 3]
        assert [one["properties"]["chip_id"] for one in part] == [one["id"] for one in alone]
        assert [one["properties"]["score"] for one in part] == pytest.approx(
            [one["properties"]["score"] for one in alone], abs=1e-6
        )


def test_a_sentence_that_cannot_be_asked_is_named_by_its_line_and_the_others_answered(world):
    lines = "harbor\nzyxwv\n# fine\nforest::x\ndense zyxwv houses\n"
    done = georclip("search", "--queries", "-", "-i", world / "index", stdin=lines)
    assert done.returncode == 1
    assert list(answers(done.stdout)) == ["harbor", "dense zyxwv houses"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    assert errors[0].startswith("Error: stdin:2: the model knows no word of 'zyxwv'")
    assert errors[1].startswith("Error: stdin:4: in 'forest::x'")
    assert errors[2:] == ["Error: 2 of 4 questions refused, see above; the others are answered"]
    assert "does not know these words, which are left out: zyxwv (in 1 of 2" in done.stderr


def test_a_file_where_nothing_can_be_asked_is_an_error(world, tmp_path):
    done = georclip("search", "--queries", "-", "-i", world / "index", stdin="zyxwv\n")
    assert_one_line_error(done, "stdin:1:", "1 of 1 questions refused")
    (tmp_path / "empty").write_text("# nothing\n")
    (tmp_path / "stdin").write_text("# a file of that name\n")
    for name, message in (
        ("empty", "holds no question"), ("none", "No such file"), (".", "Is a directory"),
        ("stdin", "stdin holds no question"),
    ):  # fmt: skip
        with pytest.raises(QueryError, match=message):
            call(world, "--queries", tmp_path / name)


@pytest.mark.parametrize("suffix", ["geojsonseq", "gpkg", "qgz", "parquet", "csv"])
def test_every_format_carries_the_question(world, tmp_path, suffix):
    target = tmp_path / f"hits.{suffix}"
    done = call(world, "--queries", "-", "-o", target, stdin="harbor\nforest\n")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "20 hits" in done.stderr
    if suffix == "csv":
        rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8"))))
        assert [row["query"] for row in rows] == ["harbor"] * 10 + ["forest"] * 10


def test_the_table_of_many_questions(world):
    done = call(world, "--queries", "-", "-f", "table", "-k", "1", stdin="harbor\nforest\n")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["query", "harbor", "forest"]


# --- usage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name --queries FILE"),
        (("harbor", "--queries", "x"), "not both"),
        (("harbor", "with", "ships"), 'put the question in quotes, georclip search "harbor with'),
        (("harbor", "with", "ships", "--queries", "x"), "put the question in quotes"),
    ],
)
def test_wrong_usage_is_told_with_what_would_be_right(world, arguments, message):
    done = georclip("search", *arguments, "-i", world / "index")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert done.stdout == ""


# --- nothing found -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "said", "unsaid"),
    [
        (("--datetime", "2019-01-01"), ("no scene was taken from 2019-01-01T00:00:00Z to "
                                        "2019-01-01T23:59:59Z; the index's are from 2020-01-02",
                                        "to 2021-03-04", "1 without a known time"),
         ("covers",)),
        (("--datetime", "2022-01-01/.."), ("from 2022-01-01T00:00:00Z on",), ("covers",)),
        (("--datetime", "../2010-01-01"), ("up to 2010-01-01T23:59:59Z",), ("covers",)),
        (("--scene", "nowhere*"), ("no scene is called 'nowhere*'", "georclip list"),
         ("covers", "taken")),
        (("--bbox", "1,2,3,4"), ("index covers -75.",), ("taken", "called")),
        (("--bbox", "1,2,3,4", "--datetime", "2019-01-01"), ("covers", "taken"), ("called",)),
        (("--scene", "south*", "--datetime", "2020-01-02"), ("none passes all",), ("covers",)),
    ],
)  # fmt: skip
def test_the_filter_that_left_nothing_is_named(world, filters, said, unsaid):
    done = call(world, "forest", *filters)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["features"] == []
    for words in said:
        assert words in done.stderr
    for words in unsaid:
        assert words not in done.stderr
    many = call(world, "--queries", "-", *filters, stdin="forest\nharbor\n")
    assert many.stderr == done.stderr
    assert json.loads(many.stdout)["georclip"]["queries"] == ["forest", "harbor"]


def test_an_index_without_times_says_so(tmp_path):
    write_scene(tmp_path / "a.tif", side=256)
    done = georclip("index", tmp_path / "a.tif", "-i", tmp_path / "index", "--model", "starter",
                    "--chip-size", "128px")  # fmt: skip
    assert done.returncode == 0
    done = call(tmp_path, "forest", "--datetime", "../..")
    assert "no scene was taken at a known time; no scene of the index has" in done.stderr
