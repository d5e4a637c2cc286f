"""What suggestions cost: processor time that processes of their own took, told to whoever asked for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_asked: ContextVar[list[float] | None] = ContextVar("what suggestions cost", default=None)


@contextmanager
def metered() -> Iterator[list[float]]:
    """CPU seconds of every suggestion that another process computes for this thread inside the block.

    Strategies that compute in line, or nothing at all, add none.
    """
    spent: list[float] = []
    token = _asked.set(spent)
    try:
        yield spent
    finally:
        _asked.reset(token)


def add(cpu_seconds: float) -> None:
    """Says what a suggestion cost."""
    if (spent := _asked.get()) is not None:
        spent.append(cpu_seconds)
