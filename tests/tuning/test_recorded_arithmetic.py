"""How steps were computed is written down with a trial, and what was computed otherwise is not mixed with it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import polars as pl
import pytest

from results import read_studies, studies
from tests.tuning.run_trials import arguments, written
from tuning.execution.trials.run import run


@pytest.fixture
def given(tmp_path):
    return arguments(written(tmp_path / "submission"), tmp_path, "x", max_global_steps=2, micro_batches=2)


def test_a_trial_says_how_it_was_computed_and_goes_on_so_alone(given, tmp_path):
    (outcome,) = run(**given)
    facts = json.loads((Path(outcome.folder) / "meta_data_0.json").read_text())
    assert (facts["shortlist.precision"], facts["shortlist.micro_batches"]) == ("float32", 2)
    record = Path(outcome.folder).parents[1] / "record" / "algoperf.mnist_jax"
    rows = studies.read_trials(record)
    assert rows.select("precision", "micro_batches").row(0) == ("float32", 2)
    assert (studies.read_spec(record).precision, studies.read_spec(record).micro_batches) == ("float32", 2)
    with pytest.raises(ValueError, match="begun with other flags: micro_batches was 2, now 4"):
        run(**given | {"micro_batches": 4, "resume": True})
    more = {"num_tuning_trials": 2, "hparam_start_index": 1, "micro_batches": 1}
    with pytest.raises(ValueError, match=r"micro-batches 2, now .* --micro-batches 1; .* not to be mixed"):
        run(**given | more)
    with pytest.raises(ValueError, match="a batch of 16 examples cannot be cut into 3 equal micro-batches"):
        run(**given | {"experiment_name": "y", "micro_batches": 3})

    # The same trials in another precision, in a study beside it.
    other = tmp_path / "studies" / "other"
    spec = dataclasses.replace(studies.read_spec(record), name="other", precision="bfloat16")
    studies.write_spec(other, spec)
    trials = rows.with_columns(precision=pl.lit("bfloat16"))
    studies.write_cohort(other, "algoperf/mnist", 0, studies.as_parquet(trials))
    assert read_studies(other).trials.height == 1
    (tmp_path / "studies" / "one").symlink_to(record)
    with pytest.raises(
        ValueError, match=r"computed in float32 \(one\) and in bfloat16 \(other\)|in bfloat16 .* and"
    ) as e:
        read_studies(tmp_path / "studies")
    assert "\n" not in str(e.value)


def test_an_unknown_precision_is_refused_before_anything_is_made(given, tmp_path):
    with pytest.raises(ValueError, match="precision is 'float16'"):
        run(**given | {"precision": "float16"})
    with pytest.raises(ValueError, match="computes its steps itself"):
        run(**given | {"workload": "algoperf-installed/mnist"})
    assert not (tmp_path / "experiments").exists()
