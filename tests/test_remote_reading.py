"""What reading a scene over the network asks of the server."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from georclip.scenes.chips import resolve_plan
from georclip.scenes.reader import ChipReader
from georclip.scenes.scene import open_scene
from georclip.values import ChipPlan


@contextmanager
def served(path: Path) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """A file at a URL, and what was asked: (path, bytes sent)."""
    asked: list[tuple[str, int]] = []
    data = path.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            first, last, found = 0, len(data) - 1, self.path == f"/{path.name}"
            span = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            if span:
                first, last = int(span[1]), min(int(span[2] or last), last)
            body = data[first : last + 1] if found else b""
            asked.append((self.path, len(body) if with_body else 0))
            self.send_response(404 if not found else 206 if span else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body)))
            if span:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{path.name}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("layout", ["tiled", "striped"])
def test_remote_scenes_are_fetched_once_in_few_requests(
    make_raster, monkeypatch, layout, threads
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    path = make_raster(f"{layout}_{threads}.tif", height=700, width=900, layout=layout)
    local = open_scene(str(path))
    with served(path) as (url, asked):
        scene = open_scene(url)
        resolved = resolve_plan(scene, ChipPlan(size=64.0, unit="px", overlap=0.5), None, 64)
        asked.clear()
        reader = ChipReader(
            scene, resolved, memory_bytes=64 * 2**20, max_side_px=256, threads=threads
        )
        chips = list(reader)
    assert {where for where, _ in asked} == {f"/{path.name}"}  # no listing, nothing beside it
    assert len(asked) <= 24  # of 154 tiles or 44 strips
    assert sum(size for _, size in asked) < 1.1 * path.stat().st_size
    ours = ChipReader(local, resolved, memory_bytes=64 * 2**20, max_side_px=256)
    for one, other in zip(chips, ours, strict=True):
        assert np.array_equal(one.image.pixels, other.image.pixels)
