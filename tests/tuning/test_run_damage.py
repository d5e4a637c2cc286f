"""What a resume finds damaged, and how a submission that fails is told of: one line, the file, and what to do."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import workloads
from results import read_algoperf_logs
from results.studies import read_trials
from submissions import api
from tests.tuning.run_trials import arguments, numbers, same_numbers, written
from tuning.execution.trials.run import run

END = 20  # steps; evaluations at 1, 10 and 20
LOGS = ("eval_measurements.csv", "measurements.csv")


@pytest.fixture(scope="module", autouse=True)
def one_view():
    """One view for all tests, so that it compiles once; and what trials compile is kept."""
    mnist = api.view(workloads.load("algoperf/mnist"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "algoperf_workload", lambda *_: mnist)
        yield


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory):
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A trial that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (outcome,) = run(**arguments(written(folder / "submission"), folder, "x", max_global_steps=END))
    return outcome


class Cut:
    """A trial that crashed at step 13, with checkpoints of steps 1 and 10."""

    def __init__(self, tmp_path):
        self.said: list[str] = []
        submission = written(tmp_path / "submission")
        self.given = arguments(
            submission,
            tmp_path,
            "x",
            max_global_steps=END,
            save_intermediate_checkpoints=True,
            say=self.said.append,
        )
        (submission / "crash_13").touch()
        with pytest.raises(FloatingPointError):
            run(**self.given)
        self.submission, self.workload = submission, tmp_path / "experiments" / "x" / "algoperf.mnist_jax"
        self.trial = self.workload / "trial_1"

    def resumed(self, **others):
        (outcome,) = run(**self.given | {"resume": True} | others)
        return outcome


@pytest.fixture
def cut(tmp_path):
    return Cut(tmp_path)


def test_a_crash_is_told_by_call_and_line_and_has_a_row(cut):
    outcome = json.loads((cut.trial / "outcome.json").read_text())
    line = next(
        number
        for number, text in enumerate((cut.submission / "submission.py").read_text().splitlines(), 1)
        if "made to crash" in text
    )
    assert outcome["status"] == "crashed"
    assert outcome["global_step"] == 10
    place = f"{cut.submission / 'submission.py'}:{line}"
    assert outcome["reason"] == f"update_params at step 13: FloatingPointError: made to crash ({place})"
    (row,) = read_trials(cut.workload.parent / "record" / "algoperf.mnist_jax").to_dicts()
    assert (row["status"], row["status_reason"]) == ("crashed", outcome["reason"])
    assert row["global_step"] == [1, 10]


FAILS = {
    "import": ("from algoperf import spec", "raise KeyError('none')", "import: KeyError: 'none'"),
    "init_optimizer_state": (
        "model_state, hyperparameters, rng):\n    return {",
        "model_state, hyperparameters, rng):\n    1 / 0\n    return {",
        "init_optimizer_state: ZeroDivisionError: division by zero",
    ),
    "data_selection": (
        "return next(input_queue)",
        "return hyperparameters.nothing",
        "data_selection at step 0: AttributeError: ",
    ),
    "get_batch_size": ("return 16", "return 'many'", "get_batch_size: ValueError: "),
    "prepare_for_eval": (
        "def get_batch_size",
        "def prepare_for_eval(workload, current_param_container, current_params_types, model_state, hyperparameters,\n"
        "    loss_type, optimizer_state, eval_results, global_step, rng):\n    raise OSError('no such thing')\n\n\n"
        "def get_batch_size",
        "prepare_for_eval at step 1: OSError: no such thing",
    ),
}


@pytest.mark.parametrize("call", FAILS)
def test_whatever_fails_is_named_and_recorded(tmp_path, call):
    submission = written(tmp_path / "submission")
    file = submission / "submission.py"
    was, becomes, said = FAILS[call]
    assert was in file.read_text()
    file.write_text(file.read_text().replace(was, becomes, 1))
    with pytest.raises(Exception):  # noqa: B017 - whatever the submission raises
        run(**arguments(submission, tmp_path, "x", max_global_steps=END))
    (row,) = read_trials(tmp_path / "experiments" / "x" / "record" / "algoperf.mnist_jax").to_dicts()
    assert row["status"] == "crashed"
    assert row["status_reason"].startswith(said)
    assert f"{file}" in row["status_reason"]
    assert "\n" not in row["status_reason"]
    assert (row["metric"], row["workload"]) == ("accuracy", "algoperf/mnist")


def truncated(file):
    file.write_bytes(file.read_bytes()[:-100])


def garbage(file):
    file.write_bytes(b"\x00nothing of the kind" * 9)


def empty(file):
    file.write_bytes(b"")


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [truncated, garbage, empty, flipped])
def test_a_damaged_checkpoint_gives_way_to_an_older_one(cut, whole, damage):
    damage(cut.trial / "checkpoint_10.npz")
    outcome = cut.resumed()
    same_numbers(whole.folder, outcome.folder)
    (said,) = cut.said
    assert said.startswith(f"{cut.trial / 'checkpoint_10.npz'}: damaged")
    assert said.endswith("; trial 1 goes on from step 1")


def test_without_a_checkpoint_that_is_whole_a_trial_begins_anew_and_says_so(cut, whole):
    for step in (1, 10):
        truncated(cut.trial / f"checkpoint_{step}.npz")
    same_numbers(whole.folder, cut.resumed().folder)
    assert len(cut.said) == 2
    assert all(said.endswith("trial 1 begins anew") for said in cut.said)


def test_the_checkpoint_of_another_trial_is_refused(cut, tmp_path):
    other = arguments(cut.submission, tmp_path, "other", max_global_steps=10, rng_seed=8)
    (there,) = run(**other)
    (cut.trial / "checkpoint_10.npz").write_bytes((Path(there.folder) / "checkpoint_10.npz").read_bytes())
    with pytest.raises(ValueError, match=r"checkpoint_10\.npz: was saved of seed 8, not 7; delete the file"):
        cut.resumed()


@pytest.mark.parametrize("damage", [Path.unlink, truncated, garbage, empty])
@pytest.mark.parametrize("name", LOGS)
def test_evaluations_come_back_from_the_checkpoint(cut, whole, name, damage):
    damage(cut.trial / name)
    outcome = cut.resumed()
    assert numbers(whole.folder, LOGS[0]) == numbers(outcome.folder, LOGS[0])
    evaluated = [
        [row for row in numbers(folder, LOGS[1]) if row["validation/loss"]]
        for folder in (whole.folder, outcome.folder)
    ]
    assert [row["global_step"] for row in evaluated[0]] == [row["global_step"] for row in evaluated[1]]
    assert [row["validation/loss"] for row in evaluated[0]] == [
        row["validation/loss"] for row in evaluated[1]
    ]
    (said,) = cut.said
    assert said.startswith(f"{cut.trial / name}: ")
    assert "restored from the checkpoint" in said


ROWS = "evaluations.jsonl"


@pytest.mark.parametrize("damage", [Path.unlink, truncated, garbage, empty, flipped])
def test_evaluations_that_a_checkpoint_counts_on_come_back_from_the_table(cut, whole, damage):
    damage(cut.trial / ROWS)
    outcome = cut.resumed()
    same_numbers(whole.folder, outcome.folder)
    (said,) = cut.said
    assert said.startswith(f"{cut.trial / ROWS}: ")
    assert said.endswith("they are restored from the table of evaluations")


def test_evaluations_that_are_nowhere_stop_the_run_in_a_line(cut):
    (cut.trial / ROWS).unlink()
    (cut.trial / LOGS[0]).unlink()
    with pytest.raises(
        ValueError, match=rf"{ROWS}: is missing; .* first 2 rows; restore the file, or --over"
    ):
        cut.resumed()


def test_evaluations_behind_the_checkpoint_are_made_again(cut, whole):
    with (cut.trial / ROWS).open("a") as lines:
        lines.write('{"global_step": 20}\n{"half a li')
    same_numbers(whole.folder, cut.resumed().folder)
    assert cut.said == []
    rows = [json.loads(line) for line in (cut.trial / ROWS).read_text().splitlines()]
    assert [row["global_step"] for row in rows] == [1, 10, 20]


def test_a_checkpoint_of_the_first_versions_is_gone_on_with(cut, whole):
    file = cut.trial / "checkpoint_10.npz"
    with np.load(file) as stored:
        fields = dict(stored)
    header = json.loads(fields["header"].tobytes())
    del header["kept"]["evaluations"]
    rows = [json.loads(line) for line in (cut.trial / ROWS).read_text().splitlines()]
    header["kept"]["eval_results"] = [[row["global_step"], row] for row in rows]
    fields["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(file, **fields)
    (cut.trial / ROWS).unlink()
    same_numbers(whole.folder, cut.resumed().folder)
    assert cut.said == []


def test_checkpoints_do_not_grow_with_the_evaluations(tmp_path):
    given = arguments(written(tmp_path / "submission"), tmp_path, "x", max_global_steps=60)
    (outcome,) = run(**given, save_intermediate_checkpoints=True)
    sizes = [(Path(outcome.folder) / f"checkpoint_{step}.npz").stat().st_size for step in (10, 60)]
    assert (
        abs(sizes[1] - sizes[0]) < 64
    )  # numbers with more digits; a row of evaluations has hundreds of bytes


def test_the_table_of_a_trial_that_has_ended_comes_back_too(cut, whole):
    cut.resumed()
    (cut.trial / LOGS[0]).unlink()
    again = cut.resumed()
    same_numbers(whole.folder, again.folder)
    assert again.status == "done"
    assert "is missing; trial 1 had ended, and goes on from its last checkpoint" in cut.said[0]
    for file in cut.trial.glob("checkpoint_*"):
        file.unlink()
    (cut.trial / LOGS[0]).unlink()
    assert cut.resumed() == again
    assert "has no checkpoint that they could be restored from" in cut.said[-2]


@pytest.mark.parametrize("content", [b"", b'{"trial": 1', b"[]", b"\xff"])
@pytest.mark.parametrize("name", ["outcome.json", "trial.json", "meta_data_0.json"])
def test_other_damaged_files_are_named_with_what_to_do(cut, name, content):
    (cut.trial / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: .*(delete it|restore or delete it)") as found:
        cut.resumed()
    assert "\n" not in str(found.value)


def test_a_full_disk_is_no_fault_of_the_submission_and_loses_nothing(cut, whole, monkeypatch):
    def full(descriptor):
        if ".checkpoint_20" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device") as found:
            cut.resumed()
    assert found.value.filename == str(cut.trial / "checkpoint_20.npz")
    assert not (cut.trial / "outcome.json").exists()
    assert not list(cut.workload.parent.rglob(".*"))
    same_numbers(whole.folder, cut.resumed().folder)


def test_an_optimizer_is_packaged_once_and_another_is_refused(tmp_path):
    given = arguments(
        tmp_path,
        tmp_path,
        "x",
        submission_path=None,
        optimizer="sgd_optax",
        tuning_search_space=None,
        max_global_steps=1,
    )
    (done,) = run(**given)
    made = tmp_path / "experiments" / "x" / "submission" / "submission.py"
    before = made.stat().st_mtime_ns
    assert run(**given | {"resume": True, "num_tuning_trials": 2})[0] == done
    assert made.stat().st_mtime_ns == before
    for mode in ("resume", "overwrite"):
        with pytest.raises(ValueError, match=r"tuning_search_space: .* was |trained by another submission"):
            run(**given | {"optimizer": "adamw_optax", mode: True})
    assert made.stat().st_mtime_ns == before
    assert not list((tmp_path / "experiments").rglob(".*"))


def test_another_optimizer_is_refused_while_the_first_trains_and_has_nothing_to_show(tmp_path):
    space = tmp_path / "space.json"
    point = {
        "learning_rate": 0.1, "one_minus_beta1": 0.1, "use_nesterov": 0, "weight_decay": 0.0, "warmup_factor": 0.1,
        "dropout_rate": 0.0, "label_smoothing": 0.0,
    }  # fmt: skip
    space.write_text(json.dumps([point, point]))
    given = arguments(
        tmp_path, tmp_path, "x", submission_path=None, optimizer="sgd_optax", tuning_search_space=space,
        max_global_steps=2, num_tuning_trials=2, hparam_end_index=1,
    )  # fmt: skip
    made, said = tmp_path / "experiments" / "x" / "submission" / "submission.py", []
    other = given | {"optimizer": "adamw_optax", "hparam_start_index": 1, "hparam_end_index": 2}

    def begin_another(*_) -> None:
        if not said:
            assert not list(made.parents[1].rglob("outcome.json"))
            before = made.read_bytes()
            with pytest.raises(
                ValueError, match=r"are being trained by another submission, such as .*trial_1;"
            ) as found:
                run(**other)
            assert "\n" not in str(found.value)
            assert made.read_bytes() == before
            said.append(found)

    (done,) = run(**given, progress=begin_another)
    assert said
    assert done.status == "done"
    kept = sorted(path.name for path in (tmp_path / "experiments" / "x" / "algoperf.mnist_jax").iterdir())
    for mode in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(ValueError, match="were trained by another submission"):
            run(**other, **mode)
    assert (
        sorted(path.name for path in (tmp_path / "experiments" / "x" / "algoperf.mnist_jax").iterdir())
        == kept
    )


def test_a_score_does_not_call_what_a_run_packaged_left_out(tmp_path):
    given = arguments(
        tmp_path, tmp_path, "mine/study_0", submission_path=None, optimizer="sgd_optax", tuning_search_space=None,
        max_global_steps=1,
    )  # fmt: skip
    run(**given)
    found = read_algoperf_logs(tmp_path / "experiments")
    assert len(found.trials) == 1
    assert found.left_out == ()


def test_flags_that_numbers_come_from_are_compared_in_full(cut):
    others = {"eval_period_steps": 5, "skip_evals": True, "stop_at_targets": False, "max_global_steps": 15}
    with pytest.raises(ValueError, match=r"trial\.json: trial 1 was begun with other flags") as found:
        cut.resumed(**others)
    for said in (
        "eval_period_steps was 10, now 5", "skip_evals was false, now true", "stop_at_targets was true, now false",
        "max_global_steps was 20, now 15", "--overwrite",
    ):  # fmt: skip
        assert said in str(found.value)


def test_a_crashed_trial_takes_a_mended_submission_and_a_finished_one_no_other(cut):
    file = cut.submission / "submission.py"
    file.write_text(file.read_text() + "\n# mended\n")
    assert cut.resumed().status == "done"
    file.write_text(file.read_text() + "\n# and again\n")
    with pytest.raises(
        ValueError, match=r"submission \(SHA-256 of its own files\) was \w{64}, now \w{64}\. Ask"
    ):
        cut.resumed()


def test_more_trials_train_what_is_missing_alone(cut):
    cut.resumed()
    before = (cut.trial / "outcome.json").stat().st_mtime_ns
    space = cut.submission / "space.json"
    space.write_text(space.read_text().replace("yes", "no"))
    outcomes = run(**cut.given | {"resume": True, "num_tuning_trials": 2})
    assert [(one.trial, one.status) for one in outcomes] == [(1, "done"), (2, "done")]
    assert (cut.trial / "outcome.json").stat().st_mtime_ns == before
    assert run(**cut.given | {"resume": True, "num_tuning_trials": 2}) == outcomes
    assert cut.said[-1].endswith("all 2 trials have ended; there is nothing to train")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"eval_period_steps": 0}, "eval_period_steps is 0; must be at least 1"),
        ({"max_global_steps": -1}, "max_global_steps is -1; must be at least 1"),
        ({"num_tuning_trials": 10**9}, "num_tuning_trials is 1000000000; must be at most"),
        ({"experiment_name": ""}, "must be a folder in experiment_dir"),
        ({"experiment_name": "../x"}, "must be a folder in experiment_dir"),
        ({"experiment_name": "/x"}, "must be a folder in experiment_dir"),
        ({"workload": "algoperf/minst"}, "unknown workload 'algoperf/minst'"),
        ({"optimizer": ""}, "either a submission_path or an optimizer"),
        ({"submission_path": None}, "either a submission_path or an optimizer"),
        ({"hparam_start_index": -1}, "are no slice of 1 trials"),
        ({"rng_seed": 2**32}, "must lie in 0..4294967295"),
    ],
)
def test_impossible_flags_are_refused_before_anything_is_written(tmp_path, given, said):
    arguments_ = arguments(written(tmp_path / "submission"), tmp_path, "x") | given
    with pytest.raises(ValueError, match=said):
        run(**arguments_)
    assert not (tmp_path / "experiments").exists()
