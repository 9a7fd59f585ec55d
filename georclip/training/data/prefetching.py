"""The next batches, made by a thread while one is learnt from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
_AHEAD = 3


def prefetch(items: Iterable[Item], ahead: int = _AHEAD) -> Iterator[Item]:
    """Yield items in their order, up to `ahead` of them made in advance.

    An error while making one is raised where it would have been yielded.
    """
    source = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as maker:
        waiting = deque(maker.submit(next, source, None) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(maker.submit(next, source, None))
            yield item
