"""The benchmark definitions agree with AlgoPerf's target files and with what published runs recorded."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources

import polars as pl
import pytest

from workloads.benchmarks import BENCHMARKS, benchmark, decode, minimizes

# Medapati et al. 2025, arXiv:2503.03986, Table 11.
PAPER_STEPS = {
    "criteo1tb": 10666,
    "fastmri": 36189,
    "imagenet_resnet": 186666,
    "imagenet_vit": 186666,
    "librispeech_conformer": 80000,
    "librispeech_deepspeech": 48000,
    "ogbg": 80000,
    "wmt": 133333,
}
TARGET_FILES = [
    ("v0.5", "workload_targets_v05.json"),
    ("v0.6", "workload_targets_v06_8base.json"),
    ("v1.0", "workload_targets_v06_default_9base.json"),
]


@pytest.fixture(scope="module")
def runs(shared) -> pl.DataFrame:
    return pl.read_parquet(shared / "data/algoperf_logs/trials.parquet")


def test_v05_step_hints_are_the_papers():
    assert {name: benchmark("v0.5").workloads[name].step_hint for name in PAPER_STEPS} == PAPER_STEPS


@pytest.mark.parametrize(("version", "file"), TARGET_FILES)
def test_targets_equal_the_scorers(version, file, shared):
    defined = benchmark(version)
    scorer = json.loads((shared / "data/algoperf_logs" / file).read_text())
    assert sorted(defined.base) == sorted(scorer["base_workloads"])
    assert sorted(defined.held_out) == sorted(scorer["held_out_workloads"])
    # The v0.5 and v0.6 files know of the language model, which those versions did not run.
    absent = set() if version == "v1.0" else {"finewebedu_lm"}
    expected = {name: row for name, row in scorer["workloads"].items() if name not in absent}
    assert set(defined.workloads) == set(expected)
    for name, row in expected.items():
        workload = defined.workloads[name]
        assert (workload.metric, workload.validation_target) == (
            row["target_metric_name"],
            row["validation_target_value"],
        )
        if version != "v0.5":  # that file's step hints are v0.6's
            assert workload.step_hint == row["step_hint"]


@pytest.mark.parametrize("version", ["v0.5", "v0.6"])
def test_budgets_equal_what_published_runs_recorded(version, runs):
    recorded = runs.filter(pl.col("leaderboard") == version, pl.col("step_hint").is_not_null())
    for row in recorded.unique("workload").iter_rows(named=True):
        workload = benchmark(version).workloads[row["workload"]]
        assert workload.step_hint == row["step_hint"]
        assert workload.max_runtime_seconds == row["max_allowed_runtime_sec"]
        assert workload.train_examples == row["num_train_examples"]
        assert workload.validation_examples == row["num_validation_examples"]
        assert workload.base == row["base_workload"]
        assert workload.minimize == row["minimize"]
        recorded_target = workload.recorded_validation_target or workload.validation_target
        assert recorded_target == pytest.approx(row["meta_validation_target"], rel=1e-12)
        if row["workload"] != "imagenet_resnet_silu":  # recorded as an error rate
            assert workload.test_target == pytest.approx(row["meta_test_target"], rel=1e-12)


def test_v05_eval_periods_are_those_of_every_submission_but_the_baseline(runs):
    others = runs.filter(pl.col("leaderboard") == "v0.5", pl.col("submission") != "baseline")
    for name, period in others.select("workload", "eval_period_sec").drop_nulls().unique().iter_rows():
        assert benchmark("v0.5").workloads[name].eval_period_seconds == period


def test_a_variant_inherits_the_budget_of_its_base():
    for version in BENCHMARKS:
        workloads = benchmark(version).workloads
        for workload in workloads.values():
            base = workloads[workload.base]
            assert workload.step_hint == base.step_hint
            assert workload.max_runtime_seconds == base.max_runtime_seconds


def test_held_out_workloads_are_one_per_data_set_and_only_in_v05():
    assert benchmark("v0.5").held_out_rule
    assert len({benchmark("v0.5").workloads[name].base for name in benchmark("v0.5").held_out}) == 6
    assert not benchmark("v0.6").held_out_rule
    assert not benchmark("v1.0").held_out


@pytest.mark.parametrize(
    ("version", "studies", "self_factor"), [("v0.5", 5, 3.0), ("v0.6", 3, 1.5), ("v1.0", 3, 1.5)]
)
def test_rules(version, studies, self_factor):
    rules = benchmark(version).rulesets
    assert [(r.studies, r.trials) for r in (rules["external"], rules["self-tuning"])] == [
        (studies, 5),
        (studies, 1),
    ]
    assert rules["external"].runtime_factor == 1.0
    assert rules["self-tuning"].runtime_factor == self_factor


def test_the_direction_of_every_metric_agrees_with_the_rule_by_name():
    for version in BENCHMARKS:
        for workload in benchmark(version).workloads.values():
            assert minimizes(workload.metric) == workload.minimize


@pytest.mark.parametrize("version", BENCHMARKS)
def test_every_number_has_a_source(version):
    topics = {"targets", "step_hint", "budgets", "examples", "test_targets", "rules", "profile", "speedup"}
    assert topics <= set(benchmark(version).sources)


def test_an_unknown_version_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'v0\.7'; known: v0\.5, v0\.6, v1\.0"):
        benchmark("v0.7")


def test_a_misspelt_key_is_an_error_that_names_file_and_place():
    content = (resources.files("workloads.benchmarks") / "v0.6.json").read_text()
    with pytest.raises(ValueError, match=r"^mine\.json: .*step_hints.*base\[0\]"):
        decode(content.replace('"step_hint": 10666', '"step_hints": 10666', 1).encode(), "mine.json")


def test_a_held_out_name_must_be_a_variant():
    content = (resources.files("workloads.benchmarks") / "v0.5.json").read_text()
    with pytest.raises(ValueError, match="held_out: no variant named fastmri_tan"):
        decode(content.replace('"fastmri_tanh", "imagenet', '"fastmri_tan", "imagenet').encode(), "mine.json")


def test_definitions_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        benchmark("v0.5").workloads["wmt"].step_hint = 1  # pyright: ignore
