"""How many trials fit into a device's memory together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax

# The rest is for data, for what the program's estimate leaves out, and, on a CPU, for everybody else.
PART = {"cpu": 0.5}
PART_OF_ACCELERATOR = 0.8


def available() -> int:
    """Bytes that programs may take on one device: a part of what it has, whatever is free at the moment.

    The width of a program follows from this, and a study that is resumed must train the same programs again.
    """
    device = jax.local_devices()[0]
    statistics = device.memory_stats() if device.platform != "cpu" else None
    total = statistics["bytes_limit"] if statistics else _host_memory()
    return int(total * PART.get(device.platform, PART_OF_ACCELERATOR))


def fitting(compiled: Any, width: int, limit: int) -> int:
    """Trials per program that need at most `limit` bytes, at least 1.

    Args:
      compiled: a program of `width` trials, of which XLA knows what its results and intermediates take.
      width: its trials.
      limit: bytes.
    """
    taken = needed(compiled)
    return width if taken <= limit else max(1, min(width - 1, int(width * limit / taken)))


def needed(compiled: Any) -> int:
    """Bytes that a program takes while it runs, besides its arguments; 0 where XLA does not say."""
    analysis = compiled.memory_analysis()
    return analysis.temp_size_in_bytes + analysis.output_size_in_bytes if analysis else 0


def _host_memory() -> int:
    """Bytes of the host, or of the container that the process is held to."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            total = min(total, int(path.read_text()))
        except (OSError, ValueError):  # no such controller, or "max"
            continue
    return total
