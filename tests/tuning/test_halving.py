"""Studies that spend a budget of steps: who stops, what is recorded of them, and that nothing depends on who was faster."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import workloads
from results import hits, read_source, studies
from tests.tuning.toy import toy_workload
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import _registry

NAME = "toy/linear"
NOT_NUMBERS = ("cohort_seconds", "command")


@pytest.fixture(scope="module", autouse=True)
def registered():
    workloads.register(NAME)(lambda data_dir: toy_workload())
    yield
    del _registry._REGISTERED[NAME]


@pytest.fixture(scope="module")
def populations() -> dict:
    return {}


def planned(strategy, budget=3, **changes):
    given = {"optimizer": "nadamw_optax", "eval_period": 2, **changes}
    return plan(name="s", workloads=(NAME,), strategy=strategy, budget=budget, **given)


@pytest.mark.parametrize("strategy", ["successive-halving", "asha", "median-stopping"])
def test_it(tmp_path, populations, strategy):
    trials = tune(tmp_path / "s", planned(strategy), populations=populations)
    with pl.Config(tbl_rows=50, tbl_cols=50, fmt_str_lengths=80):
        print(trials.select("cohort", "point", "status", "status_reason", pl.col("global_step").list.last(), "validation/mse", "diverged_step"))
    print(trials["global_step"].list.last().sum() / 24)
