"""A study on streamed data: what was trained of a cohort is not lost with the process."""

from __future__ import annotations

import dataclasses

import pytest
from polars.testing import assert_frame_equal

import workloads
from results import studies
from submissions.api import checkpoints
from submissions.points import Point
from tests.tuning.test_streaming import as_stream
from tests.tuning.toy import toy_workload
from tuning.studies.plan import plan
from tuning.studies.tune import tune

NAME = "toy/streamed_study"
POINTS = [Point(str(i), {"learning_rate": rate}) for i, rate in enumerate((0.3, 0.1))]


class Killed(Exception):
    """Stands for a kill: nothing that follows is done."""


@pytest.fixture
def asked(monkeypatch):
    """(split, first step) of every stream that was opened, of a workload that every command finds by name."""
    workload, seen = as_stream(toy_workload(name=NAME)), []
    read = workload.data.read

    def watched(split, seed, batch_size, first_step):
        seen.append((split, first_step))
        return read(split, seed, batch_size, first_step)

    data = dataclasses.replace(workload.data, read=watched)
    streamed = dataclasses.replace(workload, data=data)
    load = workloads.load
    monkeypatch.setattr(
        workloads, "load", lambda name, *given: streamed if name == NAME else load(name, *given)
    )
    return seen


def study(folder):
    return plan(
        name="s",
        workloads=[NAME],
        strategy="list",
        points=POINTS,
        optimizer="sgd_optax",
        steps=24,
        eval_period=6,
    )


def test_a_cohort_that_was_interrupted_goes_on_from_its_last_evaluation(tmp_path, asked, monkeypatch):
    whole = tune(tmp_path / "whole", study(tmp_path))
    save, saved = checkpoints.save, []

    def save_and_stop(*given, **named):
        save(*given, **named)
        saved.append(given[1])
        if len(saved) == 2:
            raise Killed

    monkeypatch.setattr(checkpoints, "save", save_and_stop)
    with pytest.raises(Killed):
        tune(tmp_path / "stopped", study(tmp_path))
    monkeypatch.setattr(checkpoints, "save", save)
    assert saved == [6, 12]
    asked.clear()
    resumed = tune(tmp_path / "stopped", study(tmp_path))
    assert ("train", 12) in asked  # the stream begins where the training stopped
    assert_frame_equal(resumed.drop("cohort_seconds"), whole.drop("cohort_seconds"), check_exact=True)
    folder = studies.checkpoint_folder(tmp_path / "stopped", NAME, 0)
    assert not folder.exists()
