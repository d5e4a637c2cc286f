"""What an older study gives a sequential strategy before it begins."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from results import studies
from submissions.points import Point
from tuning.strategies import Origin, WarmStart
from tuning.studies.tune import _told

FINISHED = ("done", "diverged")


def of_study(folder: Path) -> WarmStart:
    """All points of a study whose every trial is done or diverged, in the order in which it trained them.

    Each is told as a strategy is told its own: the median over repeats of the best validation metric; as diverged where
    any repeat did. What `plan` plans with it must be of the same optimizer, horizon and precision.

    Raises:
      FileNotFoundError: not a study.
      ValueError: no finished trials, or files that cannot be read.
    """
    spec = studies.read_spec(folder)
    told, horizons = {}, {}
    for workload in spec.workloads:
        trials = studies.read_trials(folder, workload)
        if trials.is_empty():
            continue
        unfinished = trials.filter(~pl.col("status").is_in(FINISHED))["point"]
        whole = trials.filter(~pl.col("point").is_in(unfinished.to_list()))
        points = [
            Point(one["point"], json.loads(one["hyperparameters"]))
            for one in whole.unique("point", keep="first", maintain_order=True).iter_rows(named=True)
        ]
        if points:
            told[workload] = tuple(_told(whole, points))
            if "steps" in whole.columns:  # older studies do not say
                horizons[workload] = whole["steps"][0], whole["step_hint"][0]
    if not told:
        raise ValueError(f"{folder}: no finished trials to begin with; train it first, or leave it out")
    arithmetic = spec.precision, spec.micro_batches
    origin = Origin(f"study {folder}", spec.optimizer, studies.source_of(folder), arithmetic, horizons)
    return WarmStart(told=told, origin=origin)
