"""What a list of AlgoPerf's workloads says of each, from tables: nothing is built. Needs no JAX."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

from workloads._targets import read_targets
from workloads.algoperf._names import PREFIX, is_name


@functools.cache
def _sizes() -> Mapping[str, Mapping[str, int]]:
    return json.loads((importlib.resources.files("workloads.algoperf") / "sizes.json").read_bytes())


def size(name: str) -> Mapping[str, int] | None:
    """parameters, flops_per_step, ... of a workload, as `benchmarks.algoperf_sizes` wrote them; None if it is new."""
    return _sizes().get(name)


def listed(name: str) -> dict[str, Any]:
    """Facts of a workload for a line of a list: what it costs, and its validation target by benchmark version.

    Other scales have one target, of the procedure in docs/targets.md, and no version of AlgoPerf's.
    """
    row: dict[str, Any] = dict.fromkeys(("parameters", "flops_per_step", "step_hint"))
    row |= {key: value for key, value in (size(name) or {}).items() if key in row}
    return {**row, **{f"target {version}": value for version, value in targets(name).items()}}


def targets(name: str) -> dict[str, float | None]:
    """Validation target by benchmark version; of a smaller scale under "scale". None where there is none."""
    from workloads.benchmarks import BENCHMARKS, benchmark  # which loads NumPy

    plain, scaled, _ = name.removeprefix(PREFIX).partition("@")
    if scaled:
        target = read_targets().get(name)
        return dict.fromkeys(BENCHMARKS) | {"scale": target and target.validation_target}
    found = {version: benchmark(version).workloads.get(plain) for version in BENCHMARKS}
    values = {version: facts and facts.validation_target for version, facts in found.items()}
    return {**values, "scale": None}


def is_listed(name: str) -> bool:
    """Whether it is one of AlgoPerf's at any scale."""
    return is_name(name) or size(name) is not None
