"""How long the command line takes to say hello, and what importing things costs beside it.

python -m tests.benchmarks.start
"""

from __future__ import annotations

import statistics
import sys

from tests.benchmarks.machine import georclip, print_machine, run

COMMANDS = {
    "georclip --help": georclip("--help"),
    "georclip search --help": georclip("search", "--help"),
    "python -c 'import click'": [sys.executable, "-c", "import click"],
    "python -c 'import geopandas, rasterio, faiss'": [
        sys.executable, "-c", "import geopandas, rasterio, faiss",
    ],
}  # fmt: skip


def main(repeats: int = 11) -> None:
    """Time each command as a whole process, warm; prints a table."""
    print_machine()
    print("| whole process, warm | median s | least s | most s |\n|---|---|---|---|")
    for name, command in COMMANDS.items():
        run(command)
        walls = [run(command).wall_s for _ in range(repeats)]
        print(f"| {name} | {statistics.median(walls):.3f} | {min(walls):.3f} | {max(walls):.3f} |")


if __name__ == "__main__":
    main()
