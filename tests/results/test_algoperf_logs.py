"""Reading AlgoPerf's log folders: nothing in them stops the reader, and what it leaves out it names."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from results import Results
from results.algoperf import read_algoperf_logs, read_algoperf_parquet
from tests.results.log_tables import tables

HEADER = (
    "accumulated_eval_time,accumulated_logging_time,accumulated_submission_time,global_step,preemption_count,score,"
    "test/loss,test/num_examples,test/ssim,total_duration,train/loss,train/ssim,"
    "validation/loss,validation/num_examples,validation/ssim"
)
V05_FASTMRI = {
    "workload.step_hint": 36189,
    "workload.max_allowed_runtime_sec": 8859,
    "workload.eval_period_time_sec": 80,
    "workload.target_metric_name": "ssim",
    "workload.validation_target_value": 0.723653,
    "workload.test_target_value": 0.740633,
}
V06_FASTMRI = V05_FASTMRI | {"workload.step_hint": 18094, "workload.max_allowed_runtime_sec": 4430}
KEYS = ["benchmark", "submission", "repeat", "workload", "trial"]


def line(step: int, ssim: float | str, seconds: float | None = None, loss: float | str = 0.3) -> str:
    seconds = float(step) if seconds is None else seconds
    return f"1.0,0.1,{seconds},{step},0,{seconds},{loss},3581,{ssim},9.0,{loss},{ssim},{loss},3554,{ssim}"


def write_trial(
    folder: Path,
    csv: str | bytes | None = None,
    metadata: dict | str | None = V05_FASTMRI,
    hyperparameters: dict | str | None = None,
    flags: dict | str | None = None,
) -> Path:
    """One trial directory; a string is written as it is."""
    folder.mkdir(parents=True)
    if csv is None:
        csv = "\n".join([HEADER, line(1, 0.1), line(500, 0.8)]) + "\n"
    if csv != "none":
        (folder / "eval_measurements.csv").write_bytes(csv.encode() if isinstance(csv, str) else csv)
    written = {"meta_data_0.json": metadata, "hparams.json": hyperparameters, "flags_0.json": flags}
    for name, content in written.items():
        if content is not None:
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def place(results: Results, *columns: str) -> list[tuple]:
    return results.trials.select(columns).rows()


def reasons(results: Results) -> dict[str, str]:
    return {Path(item.path).name: item.reason for item in results.left_out}


def metrics(results: Results, trial: int = 1) -> list[float | None]:
    trial_id = results.trials.filter(pl.col("trial") == trial)["trial_id"][0]
    return results.evals.filter(pl.col("trial_id") == trial_id)["validation_metric"].to_list()


@pytest.fixture(scope="module")
def logs(shared) -> Path:
    return shared / "data/algoperf_logs"


@pytest.fixture(scope="module")
def oddities(logs) -> Results:
    return read_algoperf_logs(logs / "oddities")


def odd_trial(results: Results, submission: str, workload: str) -> dict:
    rows = results.trials.filter(pl.col("submission") == submission, pl.col("workload") == workload)
    return rows.row(0, named=True)


# Real logs.


@pytest.fixture(scope="module")
def both(logs) -> tuple[Results, Results]:
    return read_algoperf_logs(logs / "sample"), read_algoperf_parquet(logs)


def test_the_sample_tree_gives_the_same_trials_as_the_tables(both):
    tree, tables = both
    assert len(tree.trials) == 160
    pairs = tree.trials.join(tables.trials, on=KEYS, suffix="_table")
    assert len(pairs) == 160
    for column in set(tree.trials.columns) - {*KEYS, "trial_id", "data"}:
        assert pairs[column].eq_missing(pairs[f"{column}_table"]).all(), column


def test_every_number_of_the_sample_tree_equals_the_tables_bit_for_bit(both):
    tree, tables = both
    ids = tree.trials.join(tables.trials, on=KEYS, suffix="_table").select("trial_id", "trial_id_table")
    pairs = tree.evals.join(ids, on="trial_id").join(
        tables.evals,
        left_on=["trial_id_table", "eval_index"],
        right_on=["trial_id", "eval_index"],
        suffix="_table",
    )
    assert len(pairs) == len(tree.evals) == 11512
    for column in set(tree.evals.columns) - {"trial_id", "eval_index"}:
        assert pairs[column].eq_missing(pairs[f"{column}_table"]).all(), column


def test_the_tables_say_how_published_runs_ended(both):
    _, tables = both
    count = dict(tables.trials.group_by("status").len().iter_rows())
    # 13 runs whose target metric became NaN and 30 whose loss did, in algoperf_logs.md, section 1.3.
    assert count["diverged"] == 43
    # 185 without evaluations and 413 that stopped early, of which 3 had diverged.
    assert count["interrupted"] == 185 + 413 - 3
    assert len(tables.left_out) == 185
    assert not tables.evals.select(pl.col(pl.Float64).is_nan().any()).row(0).count(True)


def test_a_folder_of_leaderboards_is_read_at_the_version_of_each(oddities):
    assert oddities.benchmarks == ("v0.5", "v0.6")
    assert {Path(folder).name: version for folder, version in oddities.about["benchmarks"].items()} == {
        "v05_external": "v0.5",
        "v06_external_tie": "v0.6",
    }


def test_the_oddities_that_are_not_trials_are_named_with_their_reasons(oddities, logs):
    left_out = {
        str(Path(i.path).relative_to(logs / "oddities/v05_external")): i.reason for i in oddities.left_out
    }
    assert set(left_out) == {
        "amos/study_0/criteo1tb_jax/trial_2",
        "baseline/study_1/fastmri_pytorch",
        "schedule_free_adamw/study_0/trial_1",
        "schedule_free_prodigy/study_0/criteo1tb_pytorch/trial_1",
    }
    assert "no eval_measurements.csv" in left_out["amos/study_0/criteo1tb_jax/trial_2"]
    assert "without trials" in left_out["baseline/study_1/fastmri_pytorch"]
    assert "not a workload folder" in left_out["schedule_free_adamw/study_0/trial_1"]


@pytest.mark.parametrize(
    ("submission", "workload", "status"),
    [
        ("generalized_adam", "criteo1tb", "diverged"),  # target metric NaN after the first row
        ("generalized_adam", "imagenet_vit", "diverged"),  # loss NaN, accuracy stuck at 0.001
        ("amos", "criteo1tb", "interrupted"),  # no CSV at all
        ("schedule_free_prodigy", "criteo1tb", "interrupted"),  # measurements.csv only
        ("caspr_adaptive", "imagenet_resnet", "interrupted"),  # one row
        ("schedule_free_adamw", "fastmri", "done"),  # the regular sibling of a stray folder
        ("baseline", "criteo1tb", "timeout"),  # beside a .log that is a Git LFS pointer
    ],
)
def test_odd_trials_are_kept_with_how_they_ended(oddities, submission, workload, status):
    assert odd_trial(oddities, submission, workload)["status"] == status


def test_nan_in_a_log_becomes_null(oddities):
    trial = odd_trial(oddities, "generalized_adam", "criteo1tb")
    values = oddities.evals.filter(pl.col("trial_id") == trial["trial_id"])["validation_metric"]
    assert (len(values), values.null_count()) == (63, 62)


def test_steps_that_are_not_gradient_steps_are_warned_about(both, oddities):
    _, tables = both
    steps = [text for text in tables.warnings if "not gradient steps" in text]
    assert [text.split(":")[0] for text in steps] == ["v0.5 lawa_ema", "v0.5 lawa_queue"]
    assert any(text.startswith("v0.5 lawa_ema") for text in oddities.warnings)


def test_stale_hyperparameters_of_published_logs_are_warned_about(both):
    _, tables = both
    stale = [text for text in tables.warnings if "stale hparams.json" in text]
    assert len(stale) == 1
    assert stale[0].startswith(
        "v0.5 nadamp: trial 1 recorded other hyperparameters on imagenet_resnet (5 of 70 trials"
    )


def test_targets_recorded_otherwise_than_scored_are_warned_about(both):
    _, tables = both
    recorded = [text for text in tables.warnings if "recorded the validation target" in text]
    assert [text.split(":")[0] for text in recorded] == [
        "v0.5 criteo1tb_layernorm",
        "v0.5 imagenet_resnet_silu",
        "v0.5 wmt_post_ln",
    ]
    silu = tables.trials.filter(pl.col("workload") == "imagenet_resnet_silu")
    assert silu["validation_target"].unique().to_list() == [0.75445]


@pytest.mark.parametrize(
    ("folder", "submissions", "trials"),
    [
        ("sample", ("baseline", "shampoo_submission"), 160),
        ("sample/external_tuning", ("baseline", "shampoo_submission"), 160),
        ("sample/external_tuning/baseline", ("baseline",), 80),
        ("sample/external_tuning/baseline/study_1", ("baseline",), 40),
    ],
)
def test_a_tree_may_start_at_any_level(logs, folder, submissions, trials):
    results = read_algoperf_logs(logs / folder)
    assert (results.submissions, len(results.trials)) == (submissions, trials)
    if folder.endswith("study_1"):
        assert results.trials["repeat"].unique().to_list() == [1]


def test_the_order_in_which_folders_are_listed_changes_nothing(logs, monkeypatch):
    class Backwards:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *error):
            pass

    first = read_algoperf_logs(logs / "oddities")
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", Backwards)
    second = read_algoperf_logs(logs / "oddities")
    assert first.trials.equals(second.trials)
    assert first.evals.equals(second.evals)
    assert first.left_out == second.left_out
    assert first.warnings == second.warnings


# Small trees, each with one thing wrong.


def test_a_line_cut_off_at_the_end_is_left_out_even_if_it_looks_whole(tmp_path):
    # The last field was 0.7345, short of nothing but its last two digits and the line end.
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", "\n".join([HEADER, line(1, 0.1), line(9, 0.73)]))
    results = read_algoperf_logs(tmp_path)
    assert metrics(results) == [0.1]
    assert "1 line left out: line 3 has no line end" in reasons(results)["eval_measurements.csv"]


def test_a_line_cut_off_in_the_middle_costs_only_itself(tmp_path):
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", f"{HEADER}\n{line(1, 0.1)}\n1.0,0.1,88")
    assert metrics(read_algoperf_logs(tmp_path)) == [0.1]


@pytest.mark.parametrize(
    ("csv", "reason", "kept"),
    [
        ("", "an empty file", []),
        (HEADER + "\n", "a header without evaluations", []),
        (HEADER, "a header without evaluations", []),
        ("global_step,score\n1,2.0\n", "no column validation/ssim", []),
        ("score,validation/ssim\n1,0.8\n", "no column global_step", []),
        ("global_step,global_step,validation/ssim\n1,1,0.8\n", "column global_step repeats", []),
        (b"\x00\xff\xfe binary", "no column global_step and no column validation/ssim", []),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer", []),
        (
            f"{HEADER}\n{line(1, 0.1)}\n1,2,3\n{line(9, 0.2)}\n",
            "line 3 has 3 fields, the header 15",
            [0.1, 0.2],
        ),
        (f"{HEADER}\n{line(1, 'high')}\n{line(9, 0.2)}\n", "validation/ssim is 'high', not a number", [0.2]),
        (
            f"{HEADER}\n{line(1, 0.1).replace(',1,0,', ',,0,', 1)}\n",
            "global_step is '', not a whole number",
            [],
        ),
        # As many commas as two whole lines have: one line too long, one too short.
        (f"{HEADER}\n{line(1, 0.1)},7\n{line(9, 0.2)[:-4]}\n", "2 lines left out: line 2 has 16 fields", []),
    ],
)
def test_a_broken_csv_is_named_and_what_is_whole_is_kept(tmp_path, csv, reason, kept):
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", csv)
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_2")
    results = read_algoperf_logs(tmp_path)
    assert reason in reasons(results)["eval_measurements.csv"]
    assert len(results.left_out) == 1
    assert metrics(results) == kept
    assert metrics(results, trial=2) == [0.1, 0.8]
    if not kept:
        assert place(results, "trial", "status")[0] == (1, "interrupted")


@pytest.mark.parametrize("missing", ["", "nan", "NaN"])
def test_a_nan_metric_is_null_however_it_is_written(tmp_path, missing):
    csv = "\n".join([HEADER, line(1, 0.1), line(9, missing), line(20, 0.2), ""])
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", csv)
    results = read_algoperf_logs(tmp_path)
    assert metrics(results) == [0.1, None, 0.2]
    assert not results.left_out


def test_windows_line_ends_and_quotes_are_read(tmp_path):
    quoted = '"global_step","score","validation/ssim"\r\n"1","2.5","0.5"\r\n'
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", quoted)
    results = read_algoperf_logs(tmp_path)
    assert results.evals.select("global_step", "submission_seconds", "validation_metric").rows() == [
        (1, 2.5, 0.5)
    ]


def test_the_four_columns_that_scoring_needs_are_enough(tmp_path):
    csv = "validation/ssim,score,accumulated_submission_time,global_step\n0.73,5.5,5.5,7\n"
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", csv)
    results = read_algoperf_logs(tmp_path)
    row = results.evals.row(0, named=True)
    assert (row["validation_metric"], row["submission_seconds"], row["global_step"]) == (0.73, 5.5, 7)
    assert row["test_metric"] is None
    assert results.trials["status"][0] == "done"


def test_a_tree_without_any_csv_still_has_its_trials(tmp_path):
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", "none")
    results = read_algoperf_logs(tmp_path)
    assert place(results, "trial", "status") == [(1, "interrupted")]
    assert len(results.evals) == 0
    assert "no eval_measurements.csv" in reasons(results)["trial_1"]


@pytest.mark.parametrize("content", ['{"workload.step_hint": 36', "[1, 2]", '{"workload.step_hint": "many"}'])
def test_broken_metadata_leave_the_benchmarks_budgets(tmp_path, content):
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", metadata=content)
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_2")
    results = read_algoperf_logs(tmp_path)
    assert "budgets are the benchmark's" in reasons(results)["meta_data_0.json"]
    assert results.trials["step_hint"].to_list() == [36189, 36189]


def test_nan_in_metadata_is_no_reason_to_drop_them(tmp_path):
    content = json.dumps(V05_FASTMRI | {"gpu.0.temp.current": float("nan")})
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", metadata=content)
    results = read_algoperf_logs(tmp_path)
    assert results.benchmarks == ("v0.5",)
    assert not results.left_out


@pytest.mark.parametrize("content", ['{"learning_rate": ', "[0.1]", "null"])
def test_broken_hyperparameters_stay_unknown(tmp_path, content):
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", hyperparameters=content)
    results = read_algoperf_logs(tmp_path)
    assert "hyperparameters stay unknown" in reasons(results)["hparams.json"]
    assert results.trials["hyperparameters"][0] == "{}"


def test_self_tuning_logs_have_no_hyperparameters_and_nothing_is_amiss(tmp_path):
    for study in range(3):
        folder = tmp_path / f"tuner/study_{study}/fastmri_pytorch/trial_1"
        write_trial(folder, metadata=V06_FASTMRI, flags={"tuning_ruleset": "self"})
    results = read_algoperf_logs(tmp_path)
    assert place(results, "repeat", "hyperparameters", "framework") == [
        (s, "{}", "pytorch") for s in range(3)
    ]
    assert not results.left_out
    assert not results.warnings


def test_workload_folders_with_a_time_stamp_are_read(tmp_path):
    write_trial(tmp_path / "s/study_0/fastmri_tanh_jax_02-13-2024-13-02-24/trial_1")
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1")
    assert place(read_algoperf_logs(tmp_path), "workload", "framework") == [
        ("fastmri", "jax"),
        ("fastmri_tanh", "jax"),
    ]


def test_of_two_launches_of_a_workload_the_fuller_one_counts(tmp_path):
    study = tmp_path / "s/study_0"
    write_trial(study / "fastmri_jax/trial_1")
    write_trial(study / "fastmri_jax/trial_2")
    write_trial(study / "fastmri_pytorch/trial_1")
    results = read_algoperf_logs(tmp_path)
    assert place(results, "trial", "framework") == [(1, "jax"), (2, "jax")]
    assert "this workload in fastmri_jax too" in reasons(results)["fastmri_pytorch"]


def test_strays_at_every_level_are_named_once(tmp_path):
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1")
    write_trial(tmp_path / "s/study_0/trial_4")
    for name in (
        "s/old_study",
        "s/study_0/fastmri",
        "s/study_0/fastmri_jax/checkpoints",
        "s/study_0/ogbg_jax",
    ):
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere").mkdir()
    for k in range(18):
        (tmp_path / f"s/study_0/launch_{k}.log").write_text("")
    (tmp_path / "s/study_0/fastmri_jax/fastmri_jax_02-13-2024-13-02-24.log").write_text(
        "a console log belongs here"
    )
    (tmp_path / ".git").mkdir()
    results = read_algoperf_logs(tmp_path)
    assert len(results.trials) == 1
    assert reasons(results) == {
        "old_study": "not a study folder (study_<number>)",
        "fastmri": "not a workload folder (<workload>_jax or <workload>_pytorch)",
        "trial_4": "not a workload folder (<workload>_jax or <workload>_pytorch)",
        "checkpoints": "not a trial folder (trial_<number>)",
        "ogbg_jax": "a workload folder without trials",
        "elsewhere": "no studies in it",
        "study_0": "18 files such as launch_0.log: a study holds workloads, not files",
    }


def test_an_experiment_without_study_folders_is_one_study(tmp_path):
    write_trial(tmp_path / "my_experiment/fastmri_jax/trial_1")
    expected = [("my_experiment", 0)]
    assert place(read_algoperf_logs(tmp_path), "submission", "repeat") == expected
    assert place(read_algoperf_logs(tmp_path / "my_experiment"), "submission", "repeat") == expected


def test_trials_are_ordered_by_number_and_points_count_from_zero(tmp_path):
    for number in (10, 2, 1):
        write_trial(tmp_path / f"s/study_0/fastmri_jax/trial_{number}")
    assert place(read_algoperf_logs(tmp_path), "trial_id", "trial", "point") == [
        (0, 1, "0"),
        (1, 2, "1"),
        (2, 10, "9"),
    ]


def test_budgets_are_the_trials_own_where_it_recorded_them(tmp_path):
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", metadata=V05_FASTMRI | {"workload.step_hint": 12})
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_2")
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_3", metadata=None)
    results = read_algoperf_logs(tmp_path)
    assert results.trials["step_hint"].to_list() == [12, 36189, 36189]
    assert results.trials["max_runtime_seconds"].to_list() == [8859] * 3


def test_the_version_of_most_trials_is_taken_and_the_others_are_warned_about(tmp_path):
    for number, metadata in enumerate((V06_FASTMRI, V06_FASTMRI, V05_FASTMRI), start=1):
        write_trial(tmp_path / f"s/study_0/fastmri_jax/trial_{number}", metadata=metadata)
    results = read_algoperf_logs(tmp_path)
    assert results.benchmarks == ("v0.6",)
    assert any("1 of 3 trials recorded budgets of v0.5" in text for text in results.warnings)


@pytest.mark.parametrize(
    ("workload", "metadata", "found"),
    [
        ("fastmri", None, "no trial recorded the step hint and runtime of a known version"),
        (
            "criteo1tb",
            {"workload.step_hint": 10666, "workload.max_allowed_runtime_sec": 7703},
            "the recorded budgets fit v0.5 and v0.6 alike",
        ),
    ],
)
def test_a_tree_whose_version_cannot_be_told_asks_for_it(tmp_path, workload, metadata, found):
    write_trial(tmp_path / f"s/study_0/{workload}_jax/trial_1", metadata=metadata)
    with pytest.raises(ValueError, match=f"{found}; say --benchmark"):
        read_algoperf_logs(tmp_path)
    results = read_algoperf_logs(tmp_path, benchmark_version="v0.6")
    assert results.benchmarks == ("v0.6",)
    assert results.about["benchmark_given"]


def test_a_tie_between_versions_asks_for_one(tmp_path):
    for number, metadata in enumerate((V06_FASTMRI, V05_FASTMRI), start=1):
        write_trial(tmp_path / f"s/study_0/fastmri_jax/trial_{number}", metadata=metadata)
    with pytest.raises(ValueError, match="as many trials recorded budgets of v"):
        read_algoperf_logs(tmp_path)


def test_an_unknown_workload_is_judged_by_what_its_trials_recorded(tmp_path):
    custom = V05_FASTMRI | {"workload.validation_target_value": 0.5}
    write_trial(tmp_path / "s/study_0/my_task_jax/trial_1", metadata=custom)
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1")
    mine = read_algoperf_logs(tmp_path).trials.row(1, named=True)
    assert (mine["workload"], mine["metric"], mine["minimize"]) == ("my_task", "ssim", False)
    assert (mine["validation_target"], mine["step_hint"]) == (0.5, 36189)


def test_an_unknown_workload_without_a_metric_is_left_out(tmp_path):
    write_trial(tmp_path / "s/study_0/my_task_jax/trial_1", metadata=None)
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1")
    results = read_algoperf_logs(tmp_path)
    assert len(results.trials) == 1
    assert "'my_task' is not part of AlgoPerf v0.5" in reasons(results)["trial_1"]


def test_two_submissions_of_one_name_and_version_are_an_error(tmp_path):
    for leaderboard in ("external", "self"):
        write_trial(tmp_path / f"{leaderboard}/baseline/study_0/fastmri_jax/trial_1")
    with pytest.raises(ValueError, match=r"two submissions of v0\.5 are named 'baseline'"):
        read_algoperf_logs(tmp_path)


def test_different_hyperparameters_under_one_trial_number_are_warned_about(tmp_path):
    for study in range(3):
        for trial in (1, 2):
            folder = tmp_path / f"s/study_{study}/fastmri_jax/trial_{trial}"
            stale = study == 2 and trial == 1
            write_trial(folder, hyperparameters={"learning_rate": 0.5 if stale else 0.1, "beta2": 0.9})
    (warning,) = read_algoperf_logs(tmp_path).warnings
    assert warning.startswith(
        "v0.5 s: trial 1 recorded other hyperparameters on fastmri (1 of 3 trials; learning_rate differ)"
    )


def test_a_search_that_draws_anew_per_study_is_told_from_a_stale_file(tmp_path):
    for study in range(3):
        folder = tmp_path / f"s/study_{study}/fastmri_jax/trial_1"
        write_trial(folder, hyperparameters={"learning_rate": 0.1 * (study + 1)})
    (warning,) = read_algoperf_logs(tmp_path).warnings
    assert "trial numbers do not name points here" in warning


def test_progress_counts_to_the_end(tmp_path):
    for trial in range(1, 4):
        write_trial(tmp_path / f"s/study_0/fastmri_jax/trial_{trial}")
    calls: list[tuple[str, int, int]] = []
    read_algoperf_logs(tmp_path, progress=lambda *call: calls.append(call))
    assert [call for call in calls if call[1] == call[2]] == [
        ("read metadata", 3, 3),
        ("read evaluations", 3, 3),
    ]


def test_a_folder_without_trials_says_what_the_layout_is(tmp_path):
    with pytest.raises(
        ValueError, match=r"no AlgoPerf trials below it; the layout is <submission>/study_<k>/"
    ):
        read_algoperf_logs(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_algoperf_logs(tmp_path / "nowhere")


def test_numbers_equal_python_floats_on_every_digit(tmp_path):
    # 17 significant digits, exponents, subnormals: where parsers that round twice go wrong.
    texts = [repr(float(v)) for v in np.random.default_rng(0).random(500) * 10.0 ** np.arange(-250, 250)]
    texts += ["5e-324", "1.7976931348623157e308", "0.1", "123456789012345678", "2.2250738585072014e-308"]
    rows = [f"{k},1.0,{text}" for k, text in enumerate(texts)]
    csv = "global_step,score,validation/ssim\n" + "\n".join(rows) + "\n"
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", csv)
    assert metrics(read_algoperf_logs(tmp_path)) == [float(text) for text in texts]


# Parquet tables.


def test_a_missing_table_is_named(tmp_path, logs):
    shutil.copy(logs / "trials.parquet", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"evals\.parquet"):
        read_algoperf_parquet(tmp_path)


def test_a_table_cut_in_half_is_named(tmp_path, logs):
    shutil.copy(logs / "evals.parquet", tmp_path)
    (tmp_path / "trials.parquet").write_bytes((logs / "trials.parquet").read_bytes()[:50_000])
    with pytest.raises(ValueError, match=r"trials\.parquet: not a readable parquet table"):
        read_algoperf_parquet(tmp_path)


def test_a_table_without_a_column_names_it(tmp_path, logs):
    shutil.copy(logs / "evals.parquet", tmp_path)
    pl.read_parquet(logs / "trials.parquet").drop("submission").write_parquet(tmp_path / "trials.parquet")
    with pytest.raises(ValueError, match=r"trials\.parquet: no column submission"):
        read_algoperf_parquet(tmp_path)


def test_a_leaderboard_of_an_unknown_version_is_named(tmp_path, logs):
    shutil.copy(logs / "evals.parquet", tmp_path)
    trials = pl.read_parquet(logs / "trials.parquet").with_columns(leaderboard=pl.lit("v0.4"))
    trials.write_parquet(tmp_path / "trials.parquet")
    with pytest.raises(ValueError, match=r"leaderboard is 'v0\.4'; must be one of v0\.5"):
        read_algoperf_parquet(tmp_path)


# Rulesets.


def ruleset_trial(folder: Path, flags: dict | str | None, seconds: float, **more) -> None:
    """One trial of fastmri whose last evaluation is at so many seconds of a v0.5 budget of 8,859 in external tuning."""
    rows = [HEADER, line(1, 0.1, 10.0), line(15_000, 0.2, seconds)]
    write_trial(folder, "\n".join(rows) + "\n", flags=flags, **more)


@pytest.mark.parametrize(
    ("flags", "ruleset", "budget", "status"),
    [
        ({"tuning_ruleset": "self"}, "self-tuning", 3 * 8859, "interrupted"),
        ({"tuning_ruleset": "external"}, "external", 8859, "timeout"),
    ],
)
def test_the_ruleset_that_flags_state_gives_the_budget(tmp_path, flags, ruleset, budget, status):
    # 13,000 s are half of self-tuning's budget and more than that of external tuning.
    ruleset_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", flags, 13_000.0)
    results = read_algoperf_logs(tmp_path)
    assert place(results, "ruleset", "max_runtime_seconds", "status") == [(ruleset, budget, status)]
    assert not results.warnings


def test_hyperparameters_do_not_tell_the_ruleset(tmp_path):
    ruleset_trial(
        tmp_path / "a/study_0/fastmri_jax/trial_1", {"tuning_ruleset": "external"}, 10, hyperparameters={}
    )
    ruleset_trial(
        tmp_path / "b/study_0/fastmri_jax/trial_1", {"tuning_ruleset": "self"}, 10, hyperparameters={"x": 1}
    )
    assert place(read_algoperf_logs(tmp_path), "submission", "ruleset") == [
        ("a", "external"),
        ("b", "self-tuning"),
    ]


def test_a_ruleset_is_read_from_our_metadata_and_from_the_folder_of_published_logs(tmp_path):
    ours = V05_FASTMRI | {"shortlist.tuning_ruleset": "self-tuning"}
    ruleset_trial(tmp_path / "one/a/study_0/fastmri_jax/trial_1", None, 10, metadata=ours)
    ruleset_trial(tmp_path / "self_tuning/b/study_0/fastmri_jax/trial_1", None, 10)
    ruleset_trial(tmp_path / "external_tuning/c/study_0/fastmri_jax/trial_1", None, 10)
    rulesets = dict(place(read_algoperf_logs(tmp_path), "submission", "ruleset"))
    assert rulesets == {"a": "self-tuning", "b": "self-tuning", "c": "external"}


def test_a_trial_without_flags_ran_under_the_ruleset_of_its_submission(tmp_path):
    ruleset_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", {"tuning_ruleset": "self"}, 10)
    ruleset_trial(tmp_path / "s/study_1/fastmri_jax/trial_1", None, 10)
    assert read_algoperf_logs(tmp_path).rulesets == ("self-tuning",)


def test_a_ruleset_that_nothing_states_is_said_to_be_doubtful(tmp_path):
    ruleset_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", None, 10)
    results = read_algoperf_logs(tmp_path)
    assert results.rulesets == ("external",)
    assert "s: read as external tuning; no trial has hyperparameters" in results.warnings[0]


@pytest.mark.parametrize(
    "flags", [{"tuning_ruleset": "both"}, "[1]", "{", '{"tuning_ruleset": 3}', "[" * 5000]
)
def test_flags_that_cannot_be_used_are_named(tmp_path, flags):
    ruleset_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", flags, 10, hyperparameters={"x": 1})
    results = read_algoperf_logs(tmp_path)
    assert results.rulesets == ("external",)
    assert "flags_0.json" in reasons(results)


def test_the_same_name_under_two_rulesets_is_two_submissions(tmp_path):
    for folder, flag in (("external", "external"), ("self", "self")):
        ruleset_trial(
            tmp_path / f"{folder}/baseline/study_0/fastmri_jax/trial_1", {"tuning_ruleset": flag}, 10
        )
    results = read_algoperf_logs(tmp_path)
    assert results.rulesets == ("external", "self-tuning")
    assert {key: len(part.trials) for key, part in results.comparable().items()} == {
        ("v0.5", "external"): 1,
        ("v0.5", "self-tuning"): 1,
    }


# Values that cannot be.


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (line(500, 0.8, -5.0), "accumulated_submission_time is '-5.0'; seconds must be 0 or more"),
        (line(-500, 0.8, 5.0), "global_step is '-500', not a whole number from 0 on"),
        (line(500, "1e999"), "validation/ssim is '1e999', not a number"),
        (line(500, 0.8, "1e999"), "accumulated_submission_time is '1e999', not a number"),  # type: ignore[arg-type]
        (line("1e300", 0.8, 5.0), "global_step is '1e300'"),  # type: ignore[arg-type]
    ],
)
def test_an_evaluation_that_cannot_be_is_left_out_with_the_reason(tmp_path, row, reason):
    csv = "\n".join([HEADER, line(1, 0.1), row, line(900, 0.9)]) + "\n"
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1", csv)
    results = read_algoperf_logs(tmp_path)
    assert metrics(results) == [0.1, 0.9]
    assert f"1 line left out: line 3: {reason}" in reasons(results)["eval_measurements.csv"]


@pytest.mark.parametrize("hint", [0, -1, float("nan"), float("inf")])
def test_a_step_hint_that_cannot_be_is_named_and_the_benchmarks_is_used(tmp_path, hint):
    write_trial(
        tmp_path / "s/study_0/fastmri_jax/trial_1", metadata=V05_FASTMRI | {"workload.step_hint": hint}
    )
    results = read_algoperf_logs(tmp_path, "v0.5")
    assert results.trials["step_hint"].to_list() == [36189]
    assert "step_hint is" in reasons(results)["meta_data_0.json"]


def test_numbers_too_long_for_a_table_are_no_trials(tmp_path):
    write_trial(tmp_path / "s/study_0/fastmri_jax/trial_1")
    (tmp_path / f"s/study_0/fastmri_jax/trial_{'9' * 30}").mkdir()
    assert len(read_algoperf_logs(tmp_path).trials) == 1


# Tables of made-up trials.


def test_tables_of_two_rulesets_are_kept_apart(tmp_path):
    both = [{"ruleset": "external"}, {"ruleset": "self", "hparams": None}]
    results = read_algoperf_parquet(tables(tmp_path / "t", both))
    assert place(results, "submission", "ruleset", "max_runtime_seconds") == [
        ("s", "external", 48151),
        ("s", "self-tuning", 3 * 48151),
    ]
    assert [len(part.trials) for part in results.comparable().values()] == [1, 1]


def test_tables_without_a_ruleset_are_read_by_the_flag_beside_it(tmp_path):
    row = {"ruleset": None, "tuning_ruleset_flag": "self"}
    assert read_algoperf_parquet(tables(tmp_path / "t", [row])).rulesets == ("self-tuning",)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"leaderboard": "v2.0"}, "1 trials: leaderboard is 'v2.0'; must be one of v0.5, v0.6, v1.0"),
        ({"leaderboard": None}, "1 trials: leaderboard is ''; must be one of"),
        ({"workload": "mine"}, "1 trials: workload 'mine' is not part of AlgoPerf v0.5"),
        ({"ruleset": "both"}, "1 trials: ruleset is 'both'; must be one of external, self"),
    ],
)
def test_trials_of_an_unknown_kind_are_left_out_with_the_reason(tmp_path, row, reason):
    results = read_algoperf_parquet(tables(tmp_path / "t", [{"submission": "a"}, row]))
    assert results.submissions == ("a",)
    assert reason in [item.reason[: len(reason)] for item in results.left_out]


def test_another_version_than_the_one_asked_for_stops_nothing(tmp_path):
    strange = {"leaderboard": "v9", "submission": "b", "step_hint": 0.0}
    results = read_algoperf_parquet(tables(tmp_path / "t", [{}, strange]), "v0.5")
    assert (results.submissions, results.left_out) == (("s",), ())


@pytest.mark.parametrize(
    ("row", "evaluation", "message"),
    [
        ({"step_hint": 0.0}, {}, "step_hint is 0 in trial_id 0; must be positive"),
        ({"max_allowed_runtime_sec": float("nan")}, {}, "max_runtime_seconds is nan in trial_id 0"),
        (
            {},
            {"accumulated_submission_time": -1.0},
            "submission_seconds is -1 in trial_id 0; must be 0 or more",
        ),
        ({}, {"accumulated_submission_time": float("inf")}, "submission_seconds is inf"),
        ({}, {"global_step": -5}, "global_step is -5"),
        ({}, {"trial_id": 7}, "1 rows of trials that trials.parquet does not hold, such as trial_id 7"),
    ],
)
def test_tables_with_a_value_that_cannot_be_are_refused(tmp_path, row, evaluation, message):
    folder = tables(tmp_path / "t", [row], [{"trial_id": 0} | evaluation])
    with pytest.raises(ValueError, match=message) as caught:
        read_algoperf_parquet(folder)
    assert str(folder) in str(caught.value)


def test_a_trial_that_stands_twice_in_a_table_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"more than one row of benchmark v0\.5, ruleset external, submission s"
    ):
        read_algoperf_parquet(tables(tmp_path / "t", [{}, {}]))
