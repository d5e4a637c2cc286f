"""The folder of a meta-training: what is read while others write."""

from __future__ import annotations

import json

import polars as pl
import pytest

from results import meta_trainings
from tests.reports.fake_meta_training import evaluation, fake_meta_training


def test_what_is_recorded_is_read(tmp_path):
    record = meta_trainings.read_meta_training(fake_meta_training(tmp_path / "m"))
    assert record.rows["outer_step"].to_list() == [10, 20, 30]
    assert record.rows["staleness"].to_list() == [None, None, 1.5]  # which earlier rows lack
    assert record.rows["gradient_norm"].to_list() == [2.0, None, 1.0]  # of which one was no number
    assert record.workloads.filter(workload="b")["meta_loss"].to_list() == [0.8, 0.6]
    assert record.changes.rows() == [(20, "learning_rate", "0.001", "0.0001")]
    assert record.state == {"outer_step": 30, "outer_steps": 40, "ended": True}
    assert record.evaluations.schema == pl.Schema(meta_trainings.EVALUATION)


def test_half_a_line_does_not_count_and_is_cut_off_before_others_are_added(tmp_path):
    folder = fake_meta_training(tmp_path / "m")
    before, _ = meta_trainings.read_evaluations(folder)
    file = folder / meta_trainings.EVALUATIONS
    file.write_bytes(file.read_bytes() + b'{"outer_st')
    assert meta_trainings.read_evaluations(folder)[0].equals(before)
    meta_trainings.mend_evaluations(folder)
    meta_trainings.add_evaluations(folder, [evaluation(30, "c", 5, 0, 0.1)])
    assert len(meta_trainings.read_evaluations(folder)[0]) == len(before) + 1


def test_of_weights_that_were_made_again_the_last_evaluation_counts(tmp_path):
    folder = fake_meta_training(tmp_path / "m")
    again = {**evaluation(30, "a", 100, 0, 0.25), "weights": "others"}
    meta_trainings.add_evaluations(folder, [again])
    found = meta_trainings.read_meta_training(folder).evaluations
    assert found.filter(outer_step=30, workload="a", steps=100, seed=0)["train_loss"].to_list() == [0.25]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 4 is no JSON"),
        ("[1]", "line 4 has no outer_step"),
        (json.dumps({"outer_step": 1, "loss": 2}), "has 'compile_seconds' too much or not at all"),
    ],
)
def test_a_damaged_row_is_named(tmp_path, line, said):
    folder = tmp_path / "m"
    folder.mkdir()
    rows = [json.dumps(evaluation(0, "a", 5, seed, 0.1)) for seed in range(3)]
    (folder / meta_trainings.EVALUATIONS).write_text("\n".join([*rows, line, ""]))
    with pytest.raises(ValueError, match=r"evaluations\.jsonl") as error:
        meta_trainings.read_evaluations(folder)
    assert said in str(error.value)


def test_kept_weights_are_found_by_outer_step(tmp_path):
    for name in ("weights_20.msgpack", "weights_3.msgpack", "weights.msgpack", "weights_a.msgpack"):
        (tmp_path / name).touch()
    assert list(meta_trainings.kept_weights(tmp_path)) == [3, 20]
