"""The Python API as the README shows it, with a fake encoder."""

import pytest

import georclip
from georclip.api import Index
from georclip.index.store import IndexStore
from georclip.testing import FakeEncoder, draw_scene
from georclip.values import ChipPlan

PLAN = ChipPlan(size=128, unit="px")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_scene(tmp_path_factory.mktemp("drawn") / "coast.tif", pixel_size_m=4)


@pytest.fixture(scope="module")
def index(drawn, tmp_path_factory):
    encoder = FakeEncoder()
    path = tmp_path_factory.mktemp("api") / "index"
    store = IndexStore.create(path, encoder=encoder.spec, plan=PLAN)
    with Index(store, encoder=encoder) as index:
        index.add(drawn.path)
        yield index


def test_search_returns_hits_and_a_geodataframe(index, drawn):
    result = index.search("blue", k=5)
    assert isinstance(result, georclip.SearchResult)
    assert [hit.rank for hit in result.hits] == [1, 2, 3, 4, 5]
    frame = result.to_geodataframe()
    assert len(frame) == 5
    assert frame.crs == "EPSG:4326"
    assert list(frame["rank"]) == [1, 2, 3, 4, 5]
    assert result.hits[0].scene.uri == str(drawn.path)


def test_a_bbox_holds(index, drawn):
    everything = index.search("green", k=10_000)
    west, south, east, north = drawn.place("forest").footprint.bounds
    result = index.search("green", bbox=(west, south, east, north), k=10_000)
    assert 0 < len(result.hits) < len(everything.hits)
    assert result.rows_considered == sum(1 + len(hit.members) for hit in result.hits)
    each = index.search("green", bbox=(west, south, east, north), k=10_000, grouping="none")
    assert result.rows_considered == len(each.hits) > len(result.hits)


def test_write_names_the_format_by_suffix(index, tmp_path):
    result = index.search("blue")
    path = result.write(tmp_path / "hits.geojson")
    assert path.read_text() == result.to_geojson() or path.stat().st_size > 0
    with pytest.raises(georclip.ExportError, match="overwrite"):
        result.write(path)
    result.write(path, overwrite=True)


def test_the_index_lives(drawn, tmp_path):
    encoder = FakeEncoder()
    store = IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN)
    with Index(store, encoder=encoder) as index:
        report = index.add(drawn.path)
        assert index.chip_count(str(drawn.path)) == report.chips == index.info().chip_count
        assert [scene.name for scene in index.scenes()] == ["coast.tif"]
        assert index.verify(full=True) == ()
        assert index.write_footprints().exists()
        assert [scene.name for scene in index.remove("coast.tif")] == ["coast.tif"]
        index.compact()
        assert index.scenes() == ()
        assert index.search("blue").hits == ()


def test_reading_takes_no_lock_and_the_first_change_does(drawn, tmp_path):
    encoder = FakeEncoder()
    IndexStore.create(tmp_path / "i", encoder=encoder.spec, plan=PLAN).close()
    with georclip.open_index(tmp_path / "i") as reader, georclip.open_index(tmp_path / "i") as too:
        assert reader.scenes() == too.scenes() == ()
        assert reader.remove("*") == ()
        with pytest.raises(georclip.GeorclipError, match="lock"):
            too.remove("*")


def test_wrong_paths(tmp_path):
    with pytest.raises(georclip.IndexFormatError):
        georclip.open_index(tmp_path / "none")
    with pytest.raises(georclip.EncoderError):
        georclip.create_index(tmp_path / "i", model="no-such-model")
    assert not (tmp_path / "i").exists()
