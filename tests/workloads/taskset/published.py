"""Checks of sampled configs against what TaskSet published."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any


def assert_same(got: Any, expected: Any, where: str = "") -> None:
    """Exact but for floats, which agree to a relative 1e-12; keys in the same order."""
    assert type(got) is type(expected), where
    if isinstance(expected, dict):
        assert list(got) == list(expected), where
        for key in expected:
            assert_same(got[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(got) == len(expected), where
        for i, (a, b) in enumerate(zip(got, expected, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    elif isinstance(expected, float):
        assert math.isclose(got, expected, rel_tol=1e-12), where
    else:
        assert got == expected, where


def golden_config(shared: Path, family: str, seed: int) -> Any:
    """The published config of a seed in 0 to 19."""
    return _golden(shared)[family][f"{family}_seed{seed}"]


@functools.cache
def _golden(shared: Path) -> Any:
    return json.loads((shared / "facts" / "taskset_golden.json").read_text())


def characters(family: str, sample: Callable[[int], Any]) -> int:
    """Length of the published file of seeds 0 to 999: one line per config, sorted by name as a string."""
    lines = {f"{family}_seed{seed}": json.dumps([sample(seed), family]) for seed in range(1000)}
    return len("{\n" + ",\n".join(f'"{name}":{lines[name]}' for name in sorted(lines)) + "\n}")
