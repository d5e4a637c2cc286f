"""Files of cohorts are what was written, and what the study asked for; anything else is refused with the reason."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from results import read_studies, studies
from results.studies import Programs, StudySpec
from submissions.points import Point
from tests.results.old_studies import as_format_2

NAMES = ("toy/linear", "toy/wide")
POINTS = tuple(Point(str(i), {"learning_rate": 0.1 * (i + 1)}) for i in range(5))
SPEC = StudySpec(
    name="s", title="a study", role="candidates", optimizer="nadamw_optax", strategy={"name": "list"},
    points=dict.fromkeys(NAMES, POINTS), workloads=NAMES, cohort_size=3, steps=20, sealed=True,
    blocks=dict.fromkeys(NAMES, 3), programs=dict.fromkeys(NAMES, Programs(3, 1)),
)  # fmt: skip


def rows(spec, workload, cohort) -> pl.DataFrame:
    count = len(cohort.points)
    columns = {
        "workload": workload, "cohort": cohort.number, "repeat": cohort.repeat,
        "point": [point.id for point in cohort.points],
        "hyperparameters": [json.dumps(dict(point.hyperparameters)) for point in cohort.points],
        "status": "done", "diverged_step": None, "metric": "mse", "minimize": True, "validation_target": 0.5,
        "step_hint": 20, "steps": spec.steps, "global_step": [[10, 20]] * count,
        **{f"{role}/mse": [[1.0 / (i + 2), 0.25] for i in range(count)] for role in ("train", "validation", "test")},
        "cohort_seconds": 1.5, "loop": "population", "seed": spec.seed, "optimizer": spec.optimizer,
        "data": "synthetic: toy", "device": "cpu", "versions": "{}", "command": "shortlist tune", "test_target": None,
    }  # fmt: skip
    return pl.DataFrame(columns, schema_overrides={"diverged_step": pl.Int64, "test_target": pl.Float64})


def write(folder, spec=SPEC):
    studies.write_spec(folder, spec)
    for name in spec.workloads:
        for cohort in spec.cohorts(POINTS, name):
            belongs = studies.belongs_to(spec, name, cohort, None, None)
            content = studies.as_parquet(rows(spec, name, cohort), belongs)
            studies.write_cohort(folder, name, cohort.number, content)
    return folder


def test_what_was_written_is_read(tmp_path):
    trials, unsealed = studies.read_checked(write(tmp_path / "s"))
    assert (len(trials), unsealed) == (10, 0)
    assert read_studies(tmp_path).left_out == ()


def flipped_is_found(tmp_path, flips, seed):
    folder = write(tmp_path / "s")
    path = studies.cohort_path(folder, NAMES[0], 0)
    content, rng = path.read_bytes(), random.Random(seed)
    whole = studies.read_trials(folder)
    bits = range(8 * len(content))
    for bit in bits if flips >= len(bits) else rng.sample(bits, flips):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(
            ValueError, match=r"00000\.parquet: unreadable .*; delete it and run the study again"
        ):
            studies.read_trials(folder)
    path.write_bytes(content)
    assert_frame_equal(studies.read_trials(folder), whole, check_exact=True)


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path):
    flipped_is_found(tmp_path, 200, seed=0)


@pytest.mark.slow
def test_no_flipped_bit_reads_as_other_content(tmp_path):
    flipped_is_found(tmp_path, 3000, seed=1)


def test_of_a_study_without_checksums_beside_it_a_broken_seal_is_no_missing_one(tmp_path):
    folder = write(tmp_path / "s", dataclasses.replace(SPEC, sealed=False))
    path = studies.cohort_path(folder, NAMES[0], 0)
    content = path.read_bytes()
    for mark in (b"shortlist_sha256", b"shortlist seal"):
        assert content.count(mark) == 1
        path.write_bytes(content.replace(mark, mark[:-1] + b"?"))
        with pytest.raises(ValueError, match="its content has changed since it was written"):
            studies.read_trials(folder)


def changed(folder, change, belongs=True):
    """A file written anew with other rows, and a checksum that is right."""
    path = studies.cohort_path(folder, NAMES[0], 0)
    (cohort, *_) = SPEC.cohorts(POINTS, NAMES[0])
    said = studies.belongs_to(SPEC, NAMES[0], cohort, None, None) if belongs is True else belongs
    path.write_bytes(studies.as_parquet(change(pl.read_parquet(path)), said))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.with_columns(workload=pl.lit(NAMES[1])), "workload is 'toy/wide', must be 'toy/linear'"),
        (lambda t: t.with_columns(cohort=pl.lit(1)), "cohort is 1, must be 0"),
        (lambda t: t.with_columns(repeat=pl.lit(1)), "repeat is 1, must be 0"),
        (lambda t: t.with_columns(seed=pl.lit(1)), "seed is 1, must be 0"),
        (lambda t: t.with_columns(steps=pl.lit(10)), "steps is 10, must be 20"),
        (lambda t: t.reverse(), "points are 2, 1, 0, must be 0, 1, 2"),
        (lambda t: t.head(2), "points are 0, 1, must be 0, 1, 2"),
        (lambda t: t.with_columns(hyperparameters=pl.col("hyperparameters").reverse()), "hyperparameters of point 0"),
        (lambda t: t.with_columns(hyperparameters=pl.lit("{half")), "hyperparameters of point 0 are {half"),
        (lambda t: t.with_columns(minimize=pl.col("point") != "1"), "minimize is True and False, must be one"),
        (lambda t: t.with_columns(pl.col("global_step").list.reverse()), "global_step does not rise"),
        (lambda t: t.with_columns(pl.col("test/mse").list.head(1)), "test/mse has another number of evaluations"),
        (lambda t: t.with_columns(status=pl.lit("great")), "status is 'great', must be one of done"),
        (lambda t: t.drop("point"), "column 'point' is missing"),
        (
            lambda t: t.with_columns(submission_seconds=pl.Series([[1.0]] * len(t))),
            "submission_seconds has another number of evaluations",
        ),
        (lambda t: t.drop("validation_target"), "column 'validation_target' is missing, which other files have"),
        (lambda t: t.with_columns(minimize=pl.lit("yes")), "column 'minimize' is of type String, must be Boolean"),
        (lambda t: t.with_columns(pl.lit("a").alias("test/mse")), "'test/mse' is of type String"),
    ],
)  # fmt: skip
def test_rows_that_do_not_belong_are_refused(tmp_path, change, message):
    folder = write(tmp_path / "s")
    changed(folder, change)
    with pytest.raises(ValueError, match=r"00000\.parquet: does not belong here: ") as error:
        studies.read_trials(folder)
    assert message in str(error.value)


def test_a_column_without_values_needs_no_type(tmp_path):
    folder = write(tmp_path / "s")
    changed(folder, lambda t: t.with_columns(loop=None, device=None))
    trials = studies.read_trials(folder)
    assert (trials["loop"].null_count(), trials["device"].null_count()) == (0, 3)


def test_a_flipped_direction_of_a_whole_file_is_seen_beside_the_others(tmp_path):
    folder = write(tmp_path / "s")
    changed(folder, lambda t: t.with_columns(minimize=pl.lit(False)))
    with pytest.raises(ValueError, match="minimize is True, in other files of toy/linear it is False"):
        studies.read_trials(folder)


def test_a_file_of_another_study_or_place_is_refused(tmp_path):
    folder, other = write(tmp_path / "s"), write(tmp_path / "t", dataclasses.replace(SPEC, eval_batches=2))
    here = studies.cohort_path(folder, NAMES[0], 0)
    for there, message in (
        (studies.cohort_path(other, NAMES[0], 0), "made for eval_batches = 2, here it is None"),
        (studies.cohort_path(folder, NAMES[1], 0), "made for workload = 'toy/wide', here it is 'toy/linear'"),
        (studies.cohort_path(folder, NAMES[0], 1), "made for cohort = 1, here it is 0"),
    ):
        shutil.copy(there, here)
        with pytest.raises(ValueError, match=message):
            studies.read_trials(folder)


def test_a_file_of_another_optimizer_is_refused(tmp_path):
    folder = write(tmp_path / "s")
    (folder / "optimizer.py").write_text("# another one")
    with pytest.raises(ValueError, match="made for optimizer_sha256 = None, here it is '"):
        studies.read_trials(folder)


def test_a_cohort_that_the_study_has_not_is_refused(tmp_path):
    folder = write(tmp_path / "s")
    cohort = dataclasses.replace(SPEC.cohorts(POINTS, NAMES[0])[0], number=7)
    studies.write_cohort(folder, NAMES[0], 7, studies.as_parquet(rows(SPEC, NAMES[0], cohort)))
    with pytest.raises(ValueError, match="the study has no such cohort of toy/linear, only 2"):
        studies.read_trials(folder)


def test_files_without_a_checksum_are_read_of_an_older_study_which_says_so_and_of_no_other(tmp_path):
    folder = write(tmp_path / "s")
    trials = studies.read_trials(folder)
    as_format_2(folder)
    again, unsealed = studies.read_checked(folder)
    assert_frame_equal(again, trials, check_exact=True)
    assert unsealed == 4
    (said,) = read_studies(tmp_path).left_out
    assert said.reason.startswith("4 of 4 files have no checksum, as an earlier version wrote them")
    folder = write(tmp_path / "t")
    path = studies.cohort_path(folder, NAMES[0], 0)
    pl.read_parquet(path).write_parquet(path)
    with pytest.raises(ValueError, match="no checksum, which every file of this study has"):
        studies.read_trials(folder)


@pytest.mark.parametrize("name", ["g[1]", "g*", "g?{a,b}"])
def test_paths_with_characters_of_patterns_are_paths(tmp_path, name):
    folder = write(tmp_path / name)
    assert len(studies.read_trials(folder)) == 10
    assert len(read_studies(tmp_path / name).trials) == 10
