"""What a figure was measured on, and how processes are measured."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("georclip", "numpy", "faiss-cpu", "openvino", "rasterio", "shapely", "torch", "click")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished process: exit code, wall seconds, peak resident bytes, output."""

    code: int
    wall_s: float
    peak_bytes: int
    stdout: str


def run(command: list[str], *, env: dict[str, str] | None = None) -> Run:
    """Run a command to its end and read what the operating system counted for it."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=sys.stderr, env={**os.environ, **(env or {})}
    )
    assert process.stdout is not None
    stdout = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(
        code=process.returncode,
        wall_s=time.perf_counter() - started,
        peak_bytes=usage.ru_maxrss * unit,
        stdout=stdout,
    )


def georclip(*arguments: str) -> list[str]:
    """The command line of this installation."""
    return [str(Path(sys.executable).with_name("georclip")), *arguments]


def print_machine(more: tuple[str, ...] = ()) -> None:
    """Versions and machine, as Markdown; `more` names further packages."""
    versions = []
    for package in PACKAGES + more:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} not installed")
    print(f"\nPython {platform.python_version()}, {', '.join(versions)}")
    print(f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}\n")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
