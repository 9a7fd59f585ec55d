"""The command line end to end, through real processes, with the model in the box."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from tests.helpers_rfc7946 import findings

GEORCLIP = [sys.executable, "-m", "georclip.cli.main"]


def georclip(*arguments, cwd=None, stdin=None, **env):
    return subprocess.run(
        [*GEORCLIP, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        input=stdin,
        env={**os.environ, "PYTHONWARNINGS": "error::DeprecationWarning:georclip", **env},
    )


def write_scene(path, *, seed=0, side=512, origin=(500_000, 4_000_000), crs="EPSG:32618", **more):
    """A scene of 1 m pixels with enough texture to be indexed."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(30, 220, (3, side, side), dtype=np.uint8)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8",
               "crs": crs, "transform": from_origin(*origin, 1, 1), **more}  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(pixels)
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two scenes and their index."""
    folder = tmp_path_factory.mktemp("world")
    write_scene(folder / "north_20200102.tif", seed=1)
    write_scene(folder / "south.tif", seed=2, origin=(500_000, 3_990_000))
    done = georclip("index", folder / "north_20200102.tif", folder / "south.tif",
                    "-i", folder / "index", "--model", "starter",
                    "--chip-size", "128px")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    told = r"chips/s; the limit was \w+ \(.*reading [\d,]+, encoding [\d,]+, writing [\d,]+\)"
    assert re.search(told, done.stderr)
    return folder


def search(world, *arguments):
    done = georclip("search", *arguments, "-i", world / "index")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_one_line_error(done, *needles, code=1):
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    assert errors, done.stderr
    for needle in needles:
        assert needle in done.stderr, (needle, done.stderr)


def test_search_answers_with_valid_geojson(world):
    answer = search(world, "harbor with ships", "-k", "7")
    assert findings(json.dumps(answer)) == []
    assert [f["properties"]["rank"] for f in answer["features"]] == list(range(1, 8))
    ranked_by = [f["properties"]["rank_score"] for f in answer["features"]]
    assert ranked_by == sorted(ranked_by, reverse=True)
    assert set(answer["features"][0]["properties"]) == {
        "rank", "score", "rank_score", "confidence", "scene", "uri", "scene_id", "acquired",
        "col_off", "row_off", "width", "height", "scale", "gsd_m", "valid_fraction", "chip_id",
        "convincing", "members",
    }  # fmt: skip


def test_a_hit_stands_for_an_object_unless_overlaps_are_kept(world):
    objects = search(world, "forest", "-k", "1000")["features"]
    chips = search(world, "forest", "-k", "1000", "--keep-overlaps")["features"]
    places = search(world, "forest", "-k", "1000", "--one-per-place")["features"]
    joined = [name for f in objects for name in (f["id"], *f["properties"]["members"])]
    assert sorted(joined) == sorted(f["id"] for f in chips)
    assert len(places) <= len(objects) < len(chips)
    both = georclip(
        "search", "forest", "--keep-overlaps", "--one-per-place", "-i", world / "index"
    )  # fmt: skip
    assert both.returncode == 2
    assert "not both" in both.stderr


def test_answers_repeat(world):
    first, second = (georclip("search", "farmland", "-i", world / "index").stdout for _ in range(2))
    assert json.loads(first)["features"] == json.loads(second)["features"]


def test_bbox_filters_first(world):
    everything = search(world, "forest", "-k", "1000")["features"]
    south = [f for f in everything if f["properties"]["scene"] == "south.tif"]
    box = [min(p[0] for f in south for p in f["geometry"]["coordinates"][0]),
           min(p[1] for f in south for p in f["geometry"]["coordinates"][0]),
           max(p[0] for f in south for p in f["geometry"]["coordinates"][0]),
           max(p[1] for f in south for p in f["geometry"]["coordinates"][0])]  # fmt: skip
    inside = search(world, "forest", "-k", "1000", "--bbox", *map(str, box))["features"]
    assert [f["id"] for f in inside] == [f["id"] for f in south]
    assert 0 < len(south) < len(everything)


def test_dates_and_scenes_filter(world):
    dated = search(world, "forest", "--datetime", "2020-01-02")["features"]
    assert {f["properties"]["scene"] for f in dated} == {"north_20200102.tif"}
    assert dated[0]["properties"]["acquired"].startswith("2020-01-02")
    done = georclip("search", "forest", "--datetime", "2020-01-02", "-i", world / "index")
    assert "1 scene" in done.stderr
    named = search(world, "forest", "--scene", "south*", "-k", "1000")["features"]
    assert {f["properties"]["scene"] for f in named} == {"south.tif"}


def test_no_hit_is_done_and_says_where_to_look(world, tmp_path):
    done = georclip("search", "forest", "--bbox", "2,0,1,1", "-i", world / "index")
    assert done.returncode == 0
    assert "covers -75." in done.stderr
    assert "date line" in done.stderr
    named = georclip("search", "forest", "--scene", "nowhere", "-i", world / "index")
    assert "georclip list" in named.stderr
    answer = json.loads(done.stdout)
    assert answer["features"] == []
    assert findings(json.dumps(answer)) == []


def test_unknown_words_are_named_and_near_ones_offered(world):
    done = georclip("search", "harbor with zyxwv", "-i", world / "index")
    assert done.returncode == 0
    assert "zyxwv" in done.stderr
    done = georclip("search", "harbbor", "-i", world / "index")
    assert_one_line_error(done, "harbbor", "harbor")


def test_indexing_again_costs_nothing_and_changes_are_seen(world, tmp_path):
    scene = write_scene(tmp_path / "a.tif", seed=5)
    arguments = ("index", scene, "-i", tmp_path / "i", "--model", "starter", "--chip-size", "128px")
    assert "added" in georclip(*arguments).stderr
    assert "unchanged" in georclip(*arguments).stderr
    write_scene(scene, seed=6)
    done = georclip(*arguments)
    assert "replaced by" in done.stderr and "the same pixels" not in done.stderr
    done = georclip(*arguments[:-1], "112px")
    assert "the same pixels, cut or shown otherwise: replaced by" in done.stderr
    georclip(*arguments)
    scene.rename(tmp_path / "b.tif")
    done = georclip("index", tmp_path / "b.tif", *arguments[2:])
    assert "moved" in done.stderr
    listed = georclip("list", "-i", tmp_path / "i").stdout.splitlines()
    assert len(listed) == 1
    assert listed[0].endswith("b.tif")


def test_other_commands(world, tmp_path):
    index = tmp_path / "i"
    scene = write_scene(tmp_path / "a.tif", seed=5)
    write_scene(tmp_path / "b.tif", seed=6)
    assert georclip("index", tmp_path, "-i", index, "--model", "starter").returncode == 0
    info = georclip("info", "-i", index, "--footprints")
    assert "scenes:" in info.stdout
    assert re.search(r"background: +[1-9]\d* chips, by which", info.stdout)
    assert (index / "footprints.gpkg").exists()
    assert georclip("verify", "-i", index).returncode == 0
    assert georclip("verify", "--full", "-i", index).returncode == 0
    assert georclip("remove", "a.tif", "-i", index).returncode == 0
    assert scene.exists()
    assert georclip("compact", "-i", index).returncode == 0
    (tmp_path / "moved").mkdir()
    (tmp_path / "b.tif").rename(tmp_path / "moved" / "b.tif")
    assert georclip("relocate", tmp_path, tmp_path / "moved", "-i", index).returncode == 0
    assert georclip("list", "-i", index).stdout.strip().endswith("moved/b.tif")
    assert georclip("verify", "--full", "-i", index).returncode == 0
    (index / "background.npy").write_bytes(b"no longer")
    assert georclip("search", "a harbor", "-i", index).returncode == 0
    damaged = georclip("verify", "-i", index)
    assert damaged.returncode == 1
    assert "background.npy" in damaged.stdout + damaged.stderr
    assert georclip("compact", "-i", index).returncode == 0
    assert georclip("verify", "--full", "-i", index).returncode == 0
    vectors = next(index.glob("segments/*/vectors.faiss"))
    damaged = bytearray(vectors.read_bytes())
    damaged[-5] ^= 0xFF
    vectors.write_bytes(damaged)
    done = georclip("verify", "--full", "-i", index)
    assert done.returncode == 1
    assert "vectors.faiss" in done.stdout


@pytest.mark.parametrize("suffix", ["geojson", "geojsonseq", "gpkg", "qgz", "parquet", "csv"])
def test_output_files_refuse_to_overwrite(world, tmp_path, suffix):
    target = tmp_path / f"hits.{suffix}"
    arguments = ("search", "forest", "-i", world / "index", "-o", target)
    done = georclip(*arguments)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    before = target.read_bytes()
    assert_one_line_error(georclip(*arguments), str(target), "--overwrite")
    assert target.read_bytes() == before
    assert georclip(*arguments, "--overwrite").returncode == 0


def test_a_suffix_of_another_format_is_refused(world, tmp_path):
    done = georclip(
        "search", "forest", "-i", world / "index", "-f", "csv", "-o", tmp_path / "x.gpkg"
    )
    assert_one_line_error(done, "csv", "x.gpkg")
    assert not (tmp_path / "x.gpkg").exists()


def test_export_from_a_hits_file(world, tmp_path):
    hits = tmp_path / "hits.geojson"
    assert georclip("search", "forest", "-i", world / "index", "-o", hits).returncode == 0
    for suffix in ("gpkg", "qgz", "parquet", "csv"):
        done = georclip("export", hits, "-o", tmp_path / f"{suffix}.{suffix}")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"{suffix}.{suffix}").stat().st_size > 0


def test_table_for_the_terminal(world):
    done = georclip("search", "forest", "-i", world / "index", "-f", "table", "-k", "3")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) >= 4


def test_a_stac_item_gives_the_time(tmp_path):
    write_scene(tmp_path / "asset.tif", side=256)
    item = {"type": "Feature", "stac_version": "1.0.0", "id": "x", "geometry": None,
            "properties": {"datetime": "2019-05-06T07:08:09Z"}, "links": [],
            "assets": {"data": {"href": "asset.tif", "roles": ["data"]}}}  # fmt: skip
    (tmp_path / "item.json").write_text(json.dumps(item))
    done = georclip("index", tmp_path / "item.json", "-i", tmp_path / "i", "--model", "starter",
                    "--chip-size", "128px")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2019-05-06T07:08:09Z" in georclip("list", "-i", tmp_path / "i").stdout


def test_dry_run_writes_nothing(world, tmp_path):
    done = georclip("index", world / "south.tif", "-i", tmp_path / "i", "--dry-run",
                    "--model", "starter", "--chip-size", "128px")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "25 chips" in done.stdout
    assert not (tmp_path / "i").exists()


def test_a_dry_run_knows_what_is_there_already(world):
    again = ("index", world / "south.tif", "-i", world / "index", "--dry-run")
    done = georclip(*again)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "south.tif\tunchanged"
    assert done.stdout.splitlines()[1].startswith("0 scenes\t0 chips\t0 B\t")
    assert "unchanged" not in georclip(*again, "--chip-size", "112px").stdout


def test_a_dash_is_stdout(world, tmp_path):
    done = georclip("search", "harbor", "-i", world / "index", "-o", "-", "-f", "csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("rank,")
    assert not Path("-").exists()


# --- bad input -----------------------------------------------------------------------------------


def no_raster(folder):
    path = folder / "notes.tif"
    path.write_text("these are words")
    return path


def empty_file(folder):
    path = folder / "empty.tif"
    path.touch()
    return path


def truncated(folder):
    path = write_scene(folder / "cut.tif", compress="deflate", tiled=True)
    path.write_bytes(path.read_bytes()[:30_000])
    return path


def no_georeference(folder):
    path = folder / "plain.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=64, height=64, count=3, dtype="uint8"
    ) as target:
        target.write(np.full((3, 64, 64), 7, dtype=np.uint8))
    return path


def unknown_crs(folder):
    local = 'LOCAL_CS["someplace",UNIT["metre",1]]'
    return write_scene(folder / "local.tif", crs=local)


def complex_numbers(folder):
    path = folder / "complex.tif"
    with rasterio.open(path, "w", driver="GTiff", width=64, height=64, count=1, dtype="complex64",
                       crs="EPSG:32618", transform=from_origin(0, 0, 1, 1)) as target:  # fmt: skip
        target.write(np.ones((1, 64, 64), dtype=np.complex64))
    return path


def all_nodata(folder):
    path = folder / "void.tif"
    with rasterio.open(path, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint16",
                       nodata=0, crs="EPSG:32618",
                       transform=from_origin(500_000, 4_000_000, 1, 1)) as target:  # fmt: skip
        target.write(np.zeros((1, 64, 64), dtype=np.uint16))
    return path


def missing(folder):
    return folder / "nowhere.tif"


@pytest.mark.parametrize(
    "bad",
    [no_raster, empty_file, truncated, no_georeference, unknown_crs, complex_numbers, all_nodata,
     missing],
)  # fmt: skip
def test_a_bad_scene_is_refused_and_the_others_are_indexed(tmp_path, bad):
    path = bad(tmp_path)
    good = write_scene(tmp_path / "good.tif", side=256)
    done = georclip("index", path, good, "-i", tmp_path / "i", "--model", "starter",
                    "--chip-size", "128px")  # fmt: skip
    assert_one_line_error(done, path.name)
    listed = georclip("list", "-i", tmp_path / "i").stdout.splitlines()
    assert [line.rsplit("/", 1)[1] for line in listed] == ["good.tif"]
    assert georclip("verify", "--full", "-i", tmp_path / "i").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "needle"),
    [
        (("ships", "--bbox", "1,60,2,50"), "south"),
        (("ships", "--bbox", "1,2,3"), "3 values, not 4"),
        (("ships", "--bbox", "1 2 3"), "not 4"),
        (("ships", "--bbox", "a,b,c,d"), "number"),
        (("ships", "--bbox", "-200,0,10,10"), "180"),
        (("ships", "--bbox", "0,-100,10,10"), "90"),
        (("ships", "--bbox", "0,0,nan,10"), "nan"),
        (("ships", "-k", "0"), "-k"),
        (("ships", "--datetime", "yesterday"), "yesterday"),
        (("ships", "--datetime", "2021-01-02/2020-01-01"), "2021-01-02"),
        (("   ",), "empty"),
    ],
)
def test_a_bad_question_is_one_clear_line(world, arguments, needle):
    done = georclip("search", *arguments, "-i", world / "index")
    assert_one_line_error(done, needle)


def test_bad_areas_are_one_clear_line(world, tmp_path):
    for name, text, needle in (
        ("empty.geojson", '{"type": "FeatureCollection", "features": []}', "empty"),
        ("words.geojson", "not geojson", "words.geojson"),
        ("absent.gpkg", None, "absent.gpkg"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        done = georclip("search", "ships", "--aoi", tmp_path / name, "-i", world / "index")
        assert_one_line_error(done, needle)


def test_wrong_indexes_are_one_clear_line(world, tmp_path):
    assert_one_line_error(georclip("search", "ships", "-i", tmp_path / "none"), "georclip index")
    (tmp_path / "folder").mkdir()
    assert_one_line_error(georclip("search", "ships", "-i", tmp_path / "folder"), "folder")
    (tmp_path / "file").write_text("x")
    assert_one_line_error(georclip("search", "ships", "-i", tmp_path / "file"), "file")
    index = tmp_path / "newer"
    index.mkdir()
    manifest = json.loads((world / "index" / "index.json").read_text())
    (index / "index.json").write_text(json.dumps({**manifest, "format": 99}))
    assert_one_line_error(georclip("search", "ships", "-i", index), "99")


def test_another_encoder_is_refused_by_name(world):
    done = georclip("index", world / "south.tif", "-i", world / "index",
                    "--model", "remoteclip-vit-b-32")  # fmt: skip
    assert_one_line_error(done, "remoteclip-vit-b-32", "starter")


def test_output_folders_that_cannot_be_written(world, tmp_path):
    done = georclip(
        "search", "ships", "-i", world / "index", "-o", tmp_path / "no" / "hits.geojson"
    )
    assert_one_line_error(done, str(tmp_path / "no"))
    done = georclip("search", "ships", "-i", world / "index", "-o", tmp_path / "hits.xyz")
    assert_one_line_error(done, "hits.xyz")
    done = georclip(
        "index", world / "south.tif", "-i", "/proc/georclip-index", "--model", "starter"
    )
    assert_one_line_error(done, "/proc/georclip-index")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders all the same")
def test_a_read_only_folder_is_one_clear_line(world, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    done = georclip("search", "ships", "-i", world / "index", "-o", locked / "hits.geojson")
    assert_one_line_error(done, "locked")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("search",),
        ("index",),
        ("search", "x", "--nonsense"),
        ("index", "x.tif", "--memory", "1"),
    ],
)
def test_wrong_usage_exits_with_2(arguments):
    done = georclip(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(world):
    done = subprocess.run(
        f"{' '.join(GEORCLIP)} search forest -k 1000 -i {world / 'index'} | head -c 1",
        shell=True, capture_output=True, text=True, cwd=Path.cwd(),
    )  # fmt: skip
    assert done.stdout == "{"
    assert "Traceback" not in done.stderr
