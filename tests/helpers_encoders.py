"""Small encoders and a small hub, for the tests of the encoders' room."""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import open_clip
import torch

from georclip.encoders.compact_towers import CompactTowers
from georclip.encoders.exporting import export_towers
from georclip.encoders.preprocessing import preprocess
from georclip.encoders.registry import ModelEntry, WeightsSource
from georclip.encoders.text_export import export_compact
from georclip.encoders.words import WordTokenizer
from georclip.values import EncoderSpec

WORDS = (
    "a the many harbor ship boat river bridge forest farmland field lake dense house airport "
    "plane road storage tank stadium beach sea green white building"
).split()
MEAN, STD = (0.4, 0.45, 0.4), (0.2, 0.21, 0.22)
TINY = "tiny-clip"
TINY_CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 1,
    },
}


def starter_spec(**changes: object) -> EncoderSpec:
    values: dict[str, object] = {
        "name": "starter",
        "architecture": "starter-tiny",
        "activation": "relu",
        "weights_sha256": "",
        "dim": 32,
        "image_size_px": 64,
        "mean": MEAN,
        "std": STD,
        "ground_size_m": (77.0, 300.0, 4800.0),
        "licence": "research use",
    }
    return EncoderSpec(**{**values, **changes})  # type: ignore[arg-type]


def starter_towers(seed: int = 0) -> tuple[CompactTowers, WordTokenizer]:
    """Towers that never learned, but whose parts all take part."""
    torch.manual_seed(seed)
    tokenizer = WordTokenizer(WORDS, 32)
    towers = CompactTowers("starter-tiny", len(tokenizer)).eval()
    for module in towers.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    # Untrained towers see every picture alike: taking the common part away tells them apart.
    sample = torch.from_numpy(preprocess(pictures(16, seed=99), 64, MEAN, STD))
    with torch.no_grad():
        common = towers.image.layers(sample).mean(dim=(0, 2, 3))  # (width,)
        towers.image.projection.bias.copy_(-towers.image.projection.weight @ common)
    return towers, tokenizer


def export_starter(folder: Path, seed: int = 0) -> Path:
    towers, tokenizer = starter_towers(seed)
    export_towers(towers.image, export_compact(towers.text, tokenizer), starter_spec(), folder)
    return folder


@functools.cache
def shared_starter() -> Path:
    """One exported starter for all tests of a process; not to be changed."""
    folder = Path(tempfile.mkdtemp(prefix="georclip-starter-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return export_starter(folder)


def pictures(count: int, height: int = 80, width: int = 80, seed: int = 0) -> np.ndarray:
    """Coarse coloured squares with noise: uint8 (count, 3, height, width)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (count, 3, 5, 5))
    rows = np.arange(height) * 5 // height
    cols = np.arange(width) * 5 // width
    noise = rng.integers(0, 56, (count, 3, height, width))
    return (coarse[:, :, rows][:, :, :, cols] + noise).astype(np.uint8)


@functools.cache
def register_tiny(folder: Path) -> None:
    """Make `TINY` an architecture of open_clip, for this process."""
    path = folder / f"{TINY}.json"
    path.write_text(json.dumps(TINY_CONFIG))
    open_clip.add_model_config(path)


def tiny_model(*, quick: bool = False, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = open_clip.CLIP(**TINY_CONFIG, quick_gelu=quick).eval()
    with torch.no_grad():  # all that is seen has gone through gelu or quickgelu
        for name, parameter in model.named_parameters():
            if "c_proj.weight" in name:
                parameter.mul_(50)
            elif "c_fc.weight" in name:
                parameter.mul_(3)
    return model


def tiny_entry(**changes: object) -> ModelEntry:
    values: dict[str, object] = {
        "name": "tiny",
        "architecture": TINY,
        "weights": WeightsSource(repo="somebody/tiny", files=("sub/tiny.safetensors", "tiny.pt")),
        "activation": "quickgelu",
        "dim": 32,
        "licence": "MIT",
        "source": "these tests",
        "image_size_px": 32,
        "ground_size_m": (50.0, 100.0, 200.0),
    }
    return ModelEntry(**{**values, **changes})  # type: ignore[arg-type]


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


@dataclass
class Hub:
    """What a test puts on its server, and what was asked of it."""

    files: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def put(self, path: str, content: bytes) -> None:
        self.files[path] = content
        self.digests[path] = hashlib.sha256(content).hexdigest()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.asked.append((self.path, self.headers.get("Range")))
            stored = self.path.removeprefix("/cdn")
            if stored not in hub.files:
                self.send_error(404)
            elif stored == self.path:  # as the hub does: names the digest, then redirects
                self.send_response(302)
                self.send_header("Location", "/cdn" + stored)
                self.send_header("X-Linked-Etag", f'"{hub.digests[stored]}"')
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._send(hub.files[stored])

        def _send(self, content: bytes) -> None:
            asked = self.headers.get("Range")
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if start >= len(content) > 0 and asked:
                self.send_error(416)
                return
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : hub.cut_after])

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub on this machine: redirects to its own /cdn, answers ranges, may break off."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
