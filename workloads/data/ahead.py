"""Batches that are made ahead of their use, beside the training, by Grain. Needs the extra `shortlist[algoperf]`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

AHEAD = 8  # batches that wait at most


def made_ahead(make: Callable[[int], Any], first: int) -> Iterator[Any]:
    """make(first), make(first + 1), ... without end, of which some are made in a thread before they are asked for."""
    grain = package()
    # One thread, so that batches that lie side by side in the data are made one after the other.
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
    return iter(grain.MapDataset.range(first, sys.maxsize).map(make).to_iter_dataset(options))


def package() -> Any:
    """Grain.

    Raises:
      ValueError: it is not installed.
    """
    try:
        import grain
    except ImportError:
        raise ValueError(
            "streams of AlgoPerf's texts need a package: pip install 'shortlist[algoperf]'"
        ) from None
    return grain
