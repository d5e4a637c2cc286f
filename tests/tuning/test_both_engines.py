"""A trial is the same whichever engine trains it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from polars.testing import assert_frame_equal

import workloads
from reports import report
from results import hits, read_algoperf_logs, read_studies
from results.studies import read_trials
from submissions.package import package
from submissions.points import Point
from tuning.execution.trials.run import run
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import _registry

NAME, STEPS, PERIOD, SEED = "small/clicks", 40, 10, 3
POINTS = tuple(
    Point(str(i), {"learning_rate": rate, "one_minus_beta1": 0.1, "one_minus_beta2": 0.01, "warmup_factor": 0.1,
                   "weight_decay": 0.01, "dropout_rate": 0.0, "label_smoothing": 0.0})
    for i, rate in enumerate((3e-3, 1e-2))
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def registered():
    """A short training on clicks; taken back, as other tests count the names."""
    small = dataclasses.replace(workloads.load("clicks/mlp"), name=NAME, step_hint=STEPS, eval_period=PERIOD)
    workloads.register(NAME)(lambda data_dir: small)
    yield
    del _registry._REGISTERED[NAME]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two points, trained by the submission loop and by the population engine."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "space.json").write_text(json.dumps([dict(point.hyperparameters) for point in POINTS]))
    package(folder / "nadamw", name="nadamw", optimizer="nadamw_optax", authors="a test")
    run(
        submission_path=folder / "nadamw", workload=NAME, experiment_dir=folder, experiment_name="mine/study_0",
        tuning_search_space=folder / "space.json", num_tuning_trials=2, rng_seed=SEED, isolated=False,
        stop_at_targets=False, save_checkpoints=False,
    )  # fmt: skip
    spec = plan(
        name="tuned", workloads=(NAME,), strategy="list", points=POINTS, seed=SEED, seeding="algoperf",
        shared_batches=False, optimizer="nadamw_optax",
    )  # fmt: skip
    tune(folder / "studies" / "tuned", spec)
    return folder


def test_run_and_tune_give_the_same_curves_from_one_seed(folder):
    evals = read_algoperf_logs(folder / "mine").evals
    logged = [evals.filter(trial_id=trial, global_step=step)["validation_metric"].item()
              for trial in (0, 1) for step in range(PERIOD, STEPS + 1, PERIOD)]  # fmt: skip
    trained = read_trials(folder / "studies" / "tuned")
    metric = trained["metric"][0]
    curves = np.array(trained[f"validation/{metric}"].to_list()).ravel()
    # The two differ in the order of float32 sums, by about one rounding per step.
    np.testing.assert_allclose(logged, curves, rtol=STEPS * float(np.finfo(np.float32).eps))


def test_the_record_of_a_run_says_what_its_logs_say(folder):
    logged = read_algoperf_logs(folder / "mine")
    recorded = read_studies(folder / "mine" / "study_0" / "record")
    assert logged.left_out == recorded.left_out == ()
    assert_frame_equal(recorded.evals, logged.evals, check_exact=True)
    apart = "ruleset"  # of a study nobody asks for it: its rows have their own budgets
    assert_frame_equal(hits(recorded).drop(apart), hits(logged).drop(apart), check_exact=True)
    apart = "ruleset", "status"
    assert_frame_equal(recorded.trials.drop(apart), logged.trials.drop(apart), check_exact=True)
    assert recorded.trials["status"].to_list() == ["done", "done"]
    (row, _) = read_trials(folder / "mine" / "study_0" / "record" / "small.clicks_jax").to_dicts()
    assert (row["loop"], row["status_reason"]) == (
        "submission",
        f"all {STEPS} steps are made, the workload has no clock",
    )
    assert row["submission_seconds"] == sorted(row["submission_seconds"])


def test_a_record_and_a_study_make_one_report(folder):
    (folder / "studies" / "run").symlink_to(folder / "mine" / "study_0" / "record" / "small.clicks_jax")
    results = read_studies(folder / "studies")
    assert results.submissions == ("mine", "tuned")
    page = report(folder / "studies", folder / "report").read_text()
    assert "mine" in page
    assert "tuned" in page
