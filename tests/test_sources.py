from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio

from georclip.errors import SceneError
from georclip.scenes.access import Access, check_sources, is_remote
from georclip.scenes.chips import resolve_plan
from georclip.scenes.reader import ChipReader
from georclip.scenes.scene import open_scene
from georclip.scenes.sources import find_scenes
from georclip.values import ChipPlan


class RangeHandler(SimpleHTTPRequestHandler):
    """Serves files and parts of files, and remembers what was asked for."""

    asked: list[str]  # "GET /scene.tif bytes=0-16383"

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(f"{self.command} {self.path} {wanted or 'whole'}")
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        data = path.read_bytes()
        if not wanted:
            return super().do_GET()
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        end = min(int(last) if last else len(data) - 1, len(data) - 1)
        body = data[int(first) : end + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{end}/{len(data)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def send_head(self):
        self.asked.append(f"{self.command} {self.path}")
        return super().send_head()

    def end_headers(self) -> None:
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a server of tmp_path with range requests, and the list of what was asked."""
    asked: list[str] = []
    handler = type("Handler", (RangeHandler,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}", asked
        http.shutdown()


def item(href: str, **properties) -> str:
    return json.dumps(
        {
            "type": "Feature",
            "stac_version": "1.0.0",
            "properties": {"datetime": "2020-05-06T07:08:09Z", **properties},
            "assets": {
                "thumbnail": {"href": "thumb.png", "roles": ["thumbnail"]},
                "scene": {"href": href, "type": "image/tiff; application=geotiff"},
            },
        }
    )


def vrt(source: str, *, relative: bool = True, extra: str = "") -> str:
    return f"""<VRTDataset rasterXSize="200" rasterYSize="150">
      <SRS>EPSG:32632</SRS><GeoTransform>500000, 2, 0, 5300000, 0, -2</GeoTransform>
      <VRTRasterBand dataType="Byte" band="1"><ColorInterp>Gray</ColorInterp><SimpleSource>
      <SourceFilename relativeToVRT="{int(relative)}">{source}</SourceFilename>
      <SourceBand>1</SourceBand></SimpleSource>{extra}</VRTRasterBand></VRTDataset>"""


def tag_overviews(path: Path, name: str) -> None:
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=name)


def test_paths_globs_and_folders_come_in_order_and_once(make_raster, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / ".hidden").mkdir()
    for name in ("b.tif", "a.tif", "deep/er/c.TIF", "deep/.hidden/d.tif"):
        make_raster(name)
    (tmp_path / "deep" / "notes.txt").write_text("no raster")
    found = find_scenes([str(tmp_path / "b.tif"), str(tmp_path / "*.tif"), str(tmp_path / "deep")])
    names = [str(Path(uri).relative_to(tmp_path)) for uri in found.uris]
    assert names == ["b.tif", "a.tif", "deep/er/c.TIF"]
    assert found.problems == ()


def test_relative_paths_become_absolute(make_raster, tmp_path: Path, monkeypatch) -> None:
    make_raster("a.tif")
    monkeypatch.chdir(tmp_path)
    assert find_scenes(["a.tif", "./a.tif"]).uris == (str(tmp_path / "a.tif"),)


def test_urls_stay_as_they_are() -> None:
    urls = ["https://example.com/a%20b.tif?x=1", "s3://bucket/key.tif"]
    assert find_scenes(urls).uris == tuple(urls)


@pytest.mark.parametrize("argument", ["missing.tif", "*.nothing", "", "empty_folder"])
def test_what_leads_nowhere_is_a_problem_and_no_error(
    make_raster, tmp_path: Path, monkeypatch, argument: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty_folder").mkdir()
    make_raster("a.tif")
    found = find_scenes([argument, "a.tif"])
    assert found.uris == (str(tmp_path / "a.tif"),)
    ((named, message),) = found.problems
    assert named == argument
    assert "\n" not in message


def test_a_stac_item_leads_to_its_raster(make_raster, tmp_path: Path) -> None:
    make_raster("scene.tif")
    (tmp_path / "item.json").write_text(item("./scene.tif"))
    found = find_scenes([str(tmp_path / "item.json")])
    uri = str(tmp_path / "scene.tif")
    taken = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert found.uris == (uri,)
    assert found.acquired == {uri: taken}
    scene = open_scene(str(tmp_path / "item.json"))
    assert (scene.uri, scene.acquired) == (uri, taken)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[1, 2]", "no STAC item"),
        ("{nonsense", "no JSON"),
        ('{"type": "FeatureCollection", "features": []}', "no STAC item"),
        ("[" * 200_000, "no JSON"),
        ('{"type": "Feature", "assets": {}}', "without a single raster"),
        (
            '{"type": "Feature", "assets": {"B1": {"href": "1.tif"}, "B2": {"href": "2.tif"}}}',
            "rasters: B1, B2",
        ),
        ('{"type": "Feature", "assets": {"a": {"href": "http://x.org/a.tif"}}}', "--allow-remote"),
        ('{"type": "Feature", "assets": {"a": {"href": "../a.tif"}}}', "--allow-outside"),
        ('{"type": "Feature", "assets": {"a": {"href": "/etc/a.tif"}}}', "--allow-outside"),
    ],
)
def test_items_that_will_not_do_say_why(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "item.json").write_text(text)
    found = find_scenes([str(tmp_path / "item.json")])
    assert found.uris == ()
    assert complaint in found.problems[0][1]


def test_an_item_may_name_what_was_allowed(make_raster, tmp_path: Path) -> None:
    (tmp_path / "items").mkdir()
    make_raster("scene.tif")
    (tmp_path / "items" / "item.json").write_text(item("../scene.tif"))
    access = Access(allow_outside=(tmp_path,))
    found = find_scenes([str(tmp_path / "items" / "item.json")], access=access)
    assert found.uris == (str(tmp_path / "scene.tif"),)
    remote = json.loads(item("https://example.com/scene.tif"))
    (tmp_path / "items" / "item.json").write_text(json.dumps(remote))
    found = find_scenes([str(tmp_path / "items" / "item.json")], access=Access(allow_remote=True))
    assert found.uris == ("https://example.com/scene.tif",)


def test_a_vrt_reads_its_own_folder(make_raster, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    make_raster("below/scene.tif", bands=1)
    (tmp_path / "inner.vrt").write_text(vrt("below/scene.tif"))
    (tmp_path / "outer.vrt").write_text(vrt("inner.vrt"))
    assert open_scene(str(tmp_path / "outer.vrt")).width == 200


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (vrt("../secret.tif"), "--allow-outside"),
        (vrt("/secret.tif", relative=False), "--allow-outside"),
        (vrt("http://127.0.0.1:9/x.tif", relative=False), "--allow-remote"),
        (vrt("/vsicurl/http://127.0.0.1:9/x.tif", relative=False), "--allow-remote"),
        (vrt("vrt://scene.tif", relative=False), "--allow-remote"),
        (vrt("NETCDF:scene.nc:band", relative=False), "--allow-remote"),
        (vrt("&lt;VRTDataset/&gt;"), "inline"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>" + vrt("scene.tif"), "entities"),
        (vrt("scene.tif")[:-5], "damaged XML"),
        (vrt("nested.vrt"), "--allow-outside"),
        (vrt("link.tif"), "--allow-outside"),
        (vrt("self.vrt"), "nested"),
        (vrt("wms.xml"), "description of other data"),
        (vrt("with_side.tif"), "description of other data"),
        (vrt("tagged.tif"), "--allow-remote"),
        (
            vrt("scene.tif").replace(
                "</VRTDataset>", "<DEMPath>/vsicurl/http://127.0.0.1:9/x.tif</DEMPath></VRTDataset>"
            ),
            "--allow-remote",
        ),
    ],
)
def test_a_vrt_reads_nothing_else(
    make_raster, tmp_path: Path, content: str, complaint: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make_raster("secret.tif", bands=1)
    make_raster("folder/scene.tif", bands=1)
    (folder / "nested.vrt").write_text(vrt("../secret.tif"))
    (folder / "self.vrt").write_text(vrt("self.vrt"))
    (folder / "wms.xml").write_text("<GDAL_WMS><Service/></GDAL_WMS>")
    make_raster("folder/with_side.tif", bands=1)
    (folder / "with_side.tif.ovr").write_text("<GDAL_WMS><Service/></GDAL_WMS>")
    tag_overviews(make_raster("folder/tagged.tif", bands=1), "/vsicurl/http://127.0.0.1:9/x.ovr")
    (folder / "link.tif").symlink_to(tmp_path / "secret.tif")
    (folder / "scene.vrt").write_text(content)
    with pytest.raises(SceneError, match=complaint) as caught:
        open_scene(str(folder / "scene.vrt"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side", ["scene.tif.ovr", "scene.tif.msk", "scene.TIF.Ovr"])
def test_what_lies_beside_a_raster_reads_nothing_else(
    make_raster, tmp_path: Path, side: str
) -> None:
    path = make_raster("scene.tif", bands=1)
    (tmp_path / side).write_text(vrt("http://127.0.0.1:9/x.tif", relative=False))
    with pytest.raises(SceneError, match="--allow-remote"):
        open_scene(str(path))
    (tmp_path / side).write_text("<GDAL_WMS><Service/></GDAL_WMS>")
    with pytest.raises(SceneError, match="description of other data"):
        open_scene(str(path))


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        ("/vsicurl/http://127.0.0.1:9/x.ovr", "--allow-remote"),
        ("../x.ovr", "--allow-outside"),
        (":::BASE:::service.xml", "description of other data"),
    ],
)
def test_overviews_named_in_a_tag_lie_beside_the_raster(
    make_raster, tmp_path: Path, named: str, complaint: str
) -> None:
    (tmp_path / "service.xml").write_text("<GDAL_WMS><Service/></GDAL_WMS>")
    path = make_raster("scene.tif", bands=1)
    tag_overviews(path, named)
    with pytest.raises(SceneError, match=complaint):
        open_scene(str(path))


def test_overviews_beside_a_raster_are_used(make_raster, tmp_path: Path) -> None:
    path = make_raster("scene.tif", bands=1)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2])
    assert (tmp_path / "scene.tif.ovr").exists()
    assert open_scene(str(path)).width == 200


@pytest.mark.parametrize(
    ("change", "value"),
    [("properties", [1]), ("properties", None), ("roles", 5), ("roles", [{}])],
)
def test_items_with_odd_parts_are_still_read(
    make_raster, tmp_path: Path, change: str, value: object
) -> None:
    make_raster("scene.tif")
    content = json.loads(item("scene.tif"))
    for part in (content, *content["assets"].values()):
        if change in part:
            part[change] = value
    (tmp_path / "item.json").write_text(json.dumps(content))
    assert find_scenes([str(tmp_path / "item.json")]).uris == (str(tmp_path / "scene.tif"),)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a b/item.json", "http://[::1/item.json"])
def test_an_address_that_is_none_is_one_line(url: str) -> None:
    ((_, message),) = find_scenes([url]).problems
    assert "cannot be read" in message
    assert "\n" not in message


def test_a_vrt_reads_elsewhere_where_that_is_allowed(make_raster, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    make_raster("scene.tif", bands=1)
    path = tmp_path / "folder" / "scene.vrt"
    path.write_text(vrt("../scene.tif"))
    assert open_scene(str(path), access=Access(allow_outside=(tmp_path,))).height == 150
    with pytest.raises(SceneError, match="allow-outside"):
        check_sources(str(path), Access(allow_remote=True))


def test_a_description_of_data_elsewhere_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "service.xml"
    path.write_text(
        '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}</ServerUrl></Service>'
        "<DataWindow><SizeX>256</SizeX><SizeY>256</SizeY></DataWindow></GDAL_WMS>"
    )
    with pytest.raises(SceneError, match="no raster"):
        open_scene(str(path))


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("http://x/y.tif", True),
        ("s3://x/y.tif", True),
        ("/vsicurl/http://x", True),
        ("NETCDF:x.nc:b", True),
        ("/data/scene.tif", False),
        ("scene.tif", False),
        ("odd folder/a b.tif", False),
    ],
)
def test_what_is_remote(text: str, remote: bool) -> None:
    assert is_remote(text) is remote


def test_a_scene_over_http_is_read_in_parts(make_raster, server) -> None:
    address, asked = server
    path = make_raster("scene_20190203.tif", height=900, width=900)
    scene = open_scene(f"{address}/{path.name}")
    assert scene.name == path.name
    assert scene.acquired == datetime(2019, 2, 3, tzinfo=UTC)
    plan = resolve_plan(scene, ChipPlan(size=200.0, unit="px"), None, 64)
    remote = list(ChipReader(scene, plan, memory_bytes=2**26, max_side_px=256))
    local = open_scene(str(path))
    for ours, theirs in zip(
        remote, ChipReader(local, plan, memory_bytes=2**26, max_side_px=256), strict=True
    ):
        assert np.array_equal(ours.image.pixels, theirs.image.pixels)
    assert any("bytes=" in line for line in asked)
    assert not any("whole" in line for line in asked)
    assert not any(side in line for line in asked for side in (".ovr", ".aux", ".msk", ".tfw"))


def test_an_item_over_http_leads_to_its_neighbour(make_raster, server, tmp_path: Path) -> None:
    address, _ = server
    make_raster("scene.tif")
    (tmp_path / "item.json").write_text(item("scene.tif"))
    found = find_scenes([f"{address}/item.json"])
    assert found.uris == (f"{address}/scene.tif",)
    assert open_scene(found.uris[0]).width == 200


def test_what_is_not_there_over_http_is_one_line(server) -> None:
    address, _ = server
    with pytest.raises(SceneError, match="cannot be opened") as caught:
        open_scene(f"{address}/missing.tif")
    assert "\n" not in str(caught.value)


def test_a_vrt_over_http_needs_leave(make_raster, server, tmp_path: Path) -> None:
    address, _ = server
    make_raster("scene.tif", bands=1)
    (tmp_path / "scene.vrt").write_text(vrt("scene.tif"))
    with pytest.raises(SceneError, match="--allow-remote"):
        open_scene(f"{address}/scene.vrt")
    # In a process of its own: GDAL opens a VRT's sources while it holds this one's interpreter
    # lock, which the server needs.
    program = (
        "from georclip.scenes.access import Access; from georclip.scenes.scene import open_scene;"
        f"print(open_scene('{address}/scene.vrt', access=Access(allow_remote=True)).width)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("200", "")
