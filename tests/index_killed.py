"""Does one thing to an index and is killed in the middle; run by test_index_crash.py.

Arguments: the index, what to do ("replace", "remove", "compact", "keep"), and where to die:
MODULE:NAME:WHEN[:COUNT] with WHEN "before" or "after" the COUNT-th call of georclip.index's
MODULE.NAME. Exits 9 where it died, 0 where it got through.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from pathlib import Path

import numpy as np

from georclip.index import staging
from georclip.index.store import IndexStore
from tests.helpers_index import DIM, add_random, make_scene

CHANGED = 60


def die_at(where: str) -> None:
    """Replace a function by one that ends the process."""
    module_name, name, when, *count = where.split(":")
    owner = importlib.import_module(f"georclip.index.{module_name}")
    *classes, name = name.split(".")
    for part in classes:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    left = int(count[0]) if count else 1

    @functools.wraps(original)
    def dying(*args: object, **named: object) -> object:
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            os._exit(9)
        result = original(*args, **named)
        if left == 0:
            os._exit(9)
        return result

    setattr(owner, name, dying)


def main(path: str, what: str, where: str) -> None:
    """Open, prepare to die, do it."""
    staging.PART_CHIPS = 16
    store = IndexStore.open(Path(path), writable=True)
    die_at(where)
    if what == "replace":
        add_random(store, make_scene("changed", "/data/a.tif"), CHANGED, seed=8, batch=16)
    elif what == "remove":
        store.remove("a.tif")
    elif what == "compact":
        store.compact()
    elif what == "keep":
        store.keep_reference("neutral", ["a photo"], np.ones((1, DIM)), made_from="bank")
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
