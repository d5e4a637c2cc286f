"""Work that is done before it is asked for, in threads; the order stays as it is."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

THREADS = min(16, os.cpu_count() or 1)


def mapped(
    make: Callable[[Item], Made], items: Iterable[Item], many: int, threads: int = THREADS
) -> Iterator[Made]:
    """make(item) of every item, in their order.

    Args:
      make: what is done side by side. It pays where it leaves Python's lock alone, as libraries for arrays do.
      items: taken one by one, by whoever asks for what is made of them.
      many: so many are under way beside the one that is asked for.
      threads: that do it.
    """
    items, waiting = iter(items), collections.deque[Future[Made]]()
    with _threads(threads) as pool:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > many:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def prefetched(items: Iterable[Item], many: int) -> Iterator[Item]:
    """The items, the next so many of which are made by a thread of their own meanwhile."""
    items, end = iter(items), object()
    with _threads(1) as pool:
        waiting = collections.deque(pool.submit(next, items, end) for _ in itertools.repeat(None, many))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield item  # type: ignore[misc]


@contextlib.contextmanager
def _threads(count: int, finalizing: Callable[[], bool] = sys.is_finalizing) -> Iterator[ThreadPoolExecutor]:
    """So many; what has not begun when whoever asks has had enough is not begun."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        if not finalizing():  # else the threads have ended, and what shutting down needs may be gone
            pool.shutdown(cancel_futures=True)
