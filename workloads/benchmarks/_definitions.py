"""AlgoPerf's benchmark versions as data: targets, budgets, rules.

The numbers live in `<version>.json` beside this file, each with the sources of its numbers. They change
from version to version (step hints by up to 2x), so nothing here has a default version.

Reference: Dahl et al. 2023, arXiv:2306.07179, and mlcommons/algorithmic-efficiency.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from importlib import resources
from typing import Literal

import msgspec
import numpy as np

BENCHMARKS = ("v0.5", "v0.6", "v1.0")

Ruleset = Literal["external", "self-tuning"]

# Which way a metric improves, by name, for workloads that no benchmark defines.
MINIMIZED_METRICS = ("ce_loss", "error_rate", "ctc_loss", "wer", "l1_loss", "loss", "ppl")
MAXIMIZED_METRICS = ("mean_average_precision", "ssim", "accuracy", "bleu")


@dataclasses.dataclass(frozen=True)
class BenchmarkWorkload:
    """One workload of one benchmark version.

    Attributes:
      name: as in log folders, without the framework.
      base: the base workload this is a variant of; its own name for a base workload.
      role: "base" is scored; "held_out" takes part in the held-out rule only; the others do neither.
      metric: name of the target metric. Accuracy, WER, SSIM and mAP are fractions, BLEU is 0-100.
      minimize: whether smaller is better.
      validation_target: what scoring compares with; reached at equality.
      test_target: None where the version has none.
      recorded_validation_target: what published runs noted, where scoring uses another value; else None.
      step_hint: steps that schedules plan for. A hint: nothing stops a run there.
      max_runtime_seconds: budget of submission time, external tuning.
      eval_period_seconds: time between evaluations.
      train_examples, eval_train_examples, validation_examples, test_examples: sizes of the splits.
      speedup_cap_seconds: replaces infinite times (plus 1 s) in AlgoPerf's speedups.
      note: a peculiarity, or None.
    """

    name: str
    base: str
    role: Literal["base", "held_out", "variant", "development"]
    metric: str
    minimize: bool
    validation_target: float
    test_target: float | None
    recorded_validation_target: float | None
    step_hint: int
    max_runtime_seconds: float
    eval_period_seconds: float
    train_examples: int
    eval_train_examples: int
    validation_examples: int
    test_examples: int
    speedup_cap_seconds: float
    note: str | None


@dataclasses.dataclass(frozen=True)
class Rules:
    """How often a workload is run under one ruleset, and for how long."""

    studies: int
    trials: int
    runtime_factor: float  # budget = runtime_factor * max_runtime_seconds


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One version of AlgoPerf.

    Attributes:
      version: such as "v0.5".
      summary, hardware, source_commit: what it is, what it ran on, where its numbers were read.
      workloads: every workload and variant by name.
      base: names of the scored workloads, sorted.
      held_out: names of the held-out variants, sorted; empty after v0.5.
      held_out_rule: whether a base workload only counts where its held-out variant was trained too.
      rulesets: "external" and "self-tuning".
      taus: grid of performance ratios on which profiles are integrated.
      max_ratio: times beyond so many times the best are infinite.
      sources: topic -> where those numbers come from.
    """

    version: str
    summary: str
    hardware: str
    source_commit: str
    workloads: Mapping[str, BenchmarkWorkload]
    base: tuple[str, ...]
    held_out: tuple[str, ...]
    held_out_rule: bool
    rulesets: Mapping[str, Rules]
    taus: tuple[float, ...]
    max_ratio: float
    sources: Mapping[str, str]


@functools.cache
def benchmark(version: str) -> Benchmark:
    """The definition of a benchmark version.

    Args:
      version: one of `BENCHMARKS`.

    Raises:
      ValueError: no such version.

    Example:
      >>> benchmark("v0.5").workloads["fastmri"].step_hint
      36189
    """
    if version not in BENCHMARKS:
        raise ValueError(f"no AlgoPerf benchmark {version!r}; known: {', '.join(BENCHMARKS)}")
    name = f"{version}.json"
    return decode((resources.files("workloads.benchmarks") / name).read_bytes(), name)


def minimizes(metric: str) -> bool:
    """Whether AlgoPerf minimises a metric of this name.

    Raises:
      ValueError: a name whose direction AlgoPerf does not define.
    """
    if metric in MINIMIZED_METRICS:
        return True
    if metric in MAXIMIZED_METRICS:
        return False
    known = ", ".join(MINIMIZED_METRICS + MAXIMIZED_METRICS)
    raise ValueError(f"metric {metric!r} has no known direction; AlgoPerf's metrics are {known}")


def decode(content: bytes, name: str) -> Benchmark:
    """A benchmark from its JSON. Unknown keys, wrong types and contradictions are errors.

    Args:
      content: the JSON text.
      name: file name, for messages.

    Raises:
      ValueError: what is wrong, and where in the file.
    """
    try:
        file = msgspec.json.decode(content, type=_File)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{name}: {error}") from error
    workloads = {row.name: _base(row, "base") for row in file.base}
    workloads |= {row.name: _base(row, "development") for row in file.development}
    for row in file.variants:
        if row.base not in workloads:
            raise ValueError(f"{name}: variants: {row.name}: no base workload {row.base!r}")
        workloads[row.name] = _variant(row, workloads[row.base], row.name in file.held_out)
    rows = len(file.base) + len(file.development) + len(file.variants)
    if len(workloads) != rows:
        raise ValueError(f"{name}: {rows} rows but {len(workloads)} different workload names")
    if undefined := set(file.held_out) - {row.name for row in file.variants}:
        raise ValueError(f"{name}: held_out: no variant named {', '.join(sorted(undefined))}")
    if missing := {"external", "self-tuning"} - set(file.rulesets):
        raise ValueError(f"{name}: rulesets: missing {', '.join(sorted(missing))}")
    grid = np.linspace(file.profile.first_tau, file.profile.last_tau, file.profile.points)
    return Benchmark(
        version=file.version,
        summary=file.summary,
        hardware=file.hardware,
        source_commit=file.source_commit,
        workloads=workloads,
        base=tuple(sorted(row.name for row in file.base)),
        held_out=tuple(sorted(file.held_out)),
        held_out_rule=file.held_out_rule,
        rulesets={key: Rules(r.studies, r.trials, r.runtime_factor) for key, r in file.rulesets.items()},
        taus=tuple(grid.tolist()),
        max_ratio=file.profile.max_ratio,
        sources=file.sources,
    )


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    metric: str
    minimize: bool
    validation_target: float
    test_target: float | None
    step_hint: int
    max_runtime_seconds: float
    eval_period_seconds: float
    train_examples: int
    eval_train_examples: int
    validation_examples: int
    test_examples: int
    speedup_cap_seconds: float | None = None
    note: str | None = None


class _VariantRow(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    base: str
    validation_target: float
    test_target: float | None
    recorded_validation_target: float | None = None
    note: str | None = None


class _RulesRow(msgspec.Struct, forbid_unknown_fields=True):
    studies: int
    trials: int
    runtime_factor: float


class _Profile(msgspec.Struct, forbid_unknown_fields=True):
    first_tau: float
    last_tau: float
    points: int
    max_ratio: float


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: str
    summary: str
    hardware: str
    source_commit: str
    rulesets: dict[str, _RulesRow]
    profile: _Profile
    held_out_rule: bool
    held_out: list[str]
    base: list[_Row]
    variants: list[_VariantRow]
    development: list[_Row]
    sources: dict[str, str]


def _base(row: _Row, role: Literal["base", "development"]) -> BenchmarkWorkload:
    fields = msgspec.structs.asdict(row)
    fields["speedup_cap_seconds"] = row.speedup_cap_seconds or row.max_runtime_seconds
    return BenchmarkWorkload(base=row.name, role=role, recorded_validation_target=None, **fields)


def _variant(row: _VariantRow, base: BenchmarkWorkload, held_out: bool) -> BenchmarkWorkload:
    """A variant inherits budget, period, step hint and data."""
    role = "held_out" if held_out else "variant"
    return dataclasses.replace(base, role=role, **msgspec.structs.asdict(row))
