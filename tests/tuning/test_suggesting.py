"""Optuna and SMAC in their processes, what a strategy is given before it begins, and what waits for suggestions."""

from __future__ import annotations

import json
import sys

import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from results import studies
from shortlist._lists import read_warm_start
from shortlist.cli import app
from submissions.spaces import Choices, Interval, SearchSpace
from tuning.strategies import STRATEGIES, Point, Told, WarmStart, from_spec, to_spec
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from tuning.studies.warm_start import of_study

SPACE = SearchSpace(
    (
        ("learning_rate", Interval(1e-4, 1e-1, "log")),
        ("momentum", Interval(0.0, 1.0, "linear")),
        ("dropout_rate", Choices((0.1, 0.0))),
        ("beta1", Choices((0.9,))),
    )
)
# Strategy -> arguments with which a model takes part early.
LIBRARIES = {"optuna-tpe": {"startup": 2}, "optuna-gp": {"startup": 2}, "smac": {}}
WORKLOADS = ("taskset/quadratic_family_seed3", "taskset/quadratic_family_seed4")


def strategy_of(name, budget=6, **more):
    return from_spec({"name": name, "budget": budget, "space": SPACE.to_json(), "seed": 3, **more})


def value_of(point, minimize):
    value = (point.hyperparameters["momentum"] - 0.3) ** 2 + point.hyperparameters["dropout_rate"]
    return value if minimize else -value


def trained(strategy, minimize, history=(), until=None):
    """The history of a strategy whose second trial diverges."""
    history = list(history)
    while (until is None or len(history) < until) and (points := strategy.ask(history)):
        (point,) = points
        value = None if len(history) == 1 else value_of(point, minimize)
        history.append(Told(point, value, minimize=minimize))
    return history


SLOW = pytest.mark.slow  # a process starts and fits twice


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "optuna-tpe" else SLOW) for n in LIBRARIES]
)
def test_a_strategy_that_is_resumed_in_another_process_goes_on_bit_for_bit(name):
    strategy = strategy_of(name, **LIBRARIES[name])
    try:
        strategy.process.require_installed()
    except ValueError as missing:
        pytest.skip(str(missing))
    whole = trained(strategy, minimize=False)
    strategy.process.stop()
    assert trained(strategy, minimize=False, history=whole[:4]) == whole
    strategy.process.stop()
    points = [trial.point for trial in whole]
    for point in points:
        SPACE.check(point)
    assert len({tuple(point.hyperparameters.values()) for point in points}) == len(points) == 6
    assert not {"optuna", "smac", "torch", "ConfigSpace"} & set(sys.modules)


FIRST = ({"learning_rate": 0.01}, {"learning_rate": 0.02})
NARROW = SearchSpace((("learning_rate", Interval(1e-4, 1e-1, "log")),))
OLDER = (
    Told(Point("173", {"learning_rate": 0.05}), 0.25, True),
    Told(Point("4", {"learning_rate": 1e-3}), None, True),
)


@pytest.fixture
def scripted(monkeypatch):
    """Every library answers from a program; returns what it was told, request by request."""
    requests = []

    def ask(self, request):
        requests.append(
            [(told["hyperparameters"]["learning_rate"], told["value"]) for told in request["history"]]
        )
        return {"learning_rate": 0.003}

    for row in STRATEGIES.values():
        if hasattr(row.make, "process"):
            monkeypatch.setattr(row.make.process, "requires", ())
            monkeypatch.setattr(row.make.process, "ask", ask.__get__(row.make.process))
    return requests


@pytest.mark.parametrize("name", [name for name, row in STRATEGIES.items() if hasattr(row.make, "process")])
def test_a_warm_start_tries_a_list_first_and_tells_of_older_trials(name, scripted):
    start = WarmStart(FIRST, {"digits/mlp": OLDER, "clicks/mlp": ()})
    strategy = from_spec(
        {"name": name, "budget": 3, "space": NARROW.to_json(), "warm_start": start.to_json()}
    )
    assert from_spec(json.loads(json.dumps(to_spec(strategy)))) == strategy
    assert strategy.title.endswith(", warm start")
    history = []
    while points := strategy.of_workload("digits/mlp").ask(history):
        history.append(Told(points[0], 0.5, minimize=True))
    assert [(trial.point.id, trial.point.hyperparameters["learning_rate"]) for trial in history] == [
        ("0", 0.01), ("1", 0.02), ("2", 0.003)
    ]  # fmt: skip
    assert scripted == [
        [(0.05, 0.25), (1e-3, None), (0.01, 0.5), (0.02, 0.5)]
    ]  # asked once: the list came first
    strategy.of_workload("clicks/conv").ask(history[:2])
    assert scripted[1:] == [[(0.01, 0.5), (0.02, 0.5)]]
    with pytest.raises(ValueError, match="warm_start is of digits/mlp, clicks/mlp; say of which"):
        strategy.ask(history[:2])


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            {"first": [{"learning_rate": 9.0}], "told": {}},
            "'vizier': warm_start: point 0: learning_rate is 9.0, outside",
        ),
        ({"first": [], "told": {}}, "warm_start has neither points nor finished trials"),
        ({"first": []}, "warm_start must be an object with first and told"),
        ({"first": [], "told": {"a": [{"id": "0"}]}}, "warm_start: KeyError: 'hyperparameters'"),
    ],
)
def test_a_warm_start_that_makes_no_sense_is_refused(start, message):
    with pytest.raises(ValueError, match=message):
        from_spec({"name": "vizier", "budget": 3, "space": NARROW.to_json(), "warm_start": start})


def study(folder, strategy, workloads=WORKLOADS, **more):
    return plan(
        name=folder.name, workloads=workloads, optimizer="sgd_optax", steps=4, eval_period=2, strategy=strategy, **more
    )  # fmt: skip


@pytest.fixture(scope="module")
def populations():
    """What this process has compiled."""
    return {}


WAITS = """
import json, os, sys, time
for line in sys.stdin:
    told = len(json.loads(line)["history"])
    if told == 1:  # the first who is asked after a trial is answered when both workloads have one
        ends = time.time() + 60
        while not os.path.exists({file!r}):
            if time.time() > ends:
                sys.exit("the other workload was not trained meanwhile")
            time.sleep(0.01)
    with open({log!r}, "a") as log:
        print(told, file=log)
    answer = {{"learning_rate": 0.001 * (1 + told)}}
    print(json.dumps({{"hyperparameters": answer, "cpu_seconds": 0.25}}), flush=True)
"""


def test_one_workload_trains_while_the_next_point_of_another_is_worked_out(
    tmp_path, monkeypatch, populations
):
    process = STRATEGIES["vizier"].make.process
    process.stop()
    both, log = tmp_path / "both", tmp_path / "log"
    monkeypatch.setattr(process, "requires", ())
    monkeypatch.setattr(
        process, "command", (sys.executable, "-c", WAITS.format(file=str(both), log=str(log)))
    )
    trained = set()

    def progress(workload, done, total):
        trained.update([workload] if done else [])
        if len(trained) == 2:
            both.touch()

    folder = tmp_path / "s"
    spec = study(folder, "vizier", budget=2, space=_space_file(tmp_path))
    trials = tune(folder, spec, workers=1, progress=progress, populations=populations)
    process.stop()
    assert len(trials) == 4
    (run,) = studies.read_runs(folder)
    assert run.suggestion_cpu_seconds == (0.25,) * 4
    # What was trained is not asked for again.
    asked = log.read_text()
    again = tune(folder, spec, workers=1, populations=populations)
    assert_frame_equal(again, trials)
    assert log.read_text() == asked


def test_what_a_strategy_is_told_is_read_once_however_many_trials_there_are(
    tmp_path, scripted, populations, monkeypatch
):
    reads, read = [], studies.read_cohort
    monkeypatch.setattr(studies, "read_cohort", lambda path, *more: reads.append(path) or read(path, *more))
    folder = tmp_path / "s"
    spec = study(folder, "vizier", WORKLOADS[:1], budget=6, space=_space_file(tmp_path))
    assert len(tune(folder, spec, populations=populations)) == 6
    assert len(reads) == 6 + 6  # one after the other, and all of them at the end
    assert [len(told) for told in scripted] == [0, 1, 2, 3, 4, 5]


def _space_file(folder):
    path = folder / "space.json"
    path.write_text(json.dumps(NARROW.to_json()))
    return path


def test_an_older_study_is_told_by_its_content(tmp_path, scripted, populations):
    older, name = tmp_path / "older", WORKLOADS[0]
    points = [Point(f"p{i}", {"learning_rate": rate}) for i, rate in enumerate((1e-3, 1e-2))]
    trials = tune(older, study(older, "list", WORKLOADS[:1], points=points), populations=populations)
    told = of_study(older).told[name]
    assert [trial.point for trial in told] == points
    best = [min(losses) for losses in trials[f"validation/{trials['metric'][0]}"]]
    assert [trial.value for trial in told] == best
    command = [
        "tune", name, "--study", str(tmp_path / "s"), "--strategy", "vizier", "--budget", "1",
        "--optimizer", "sgd_optax", "--steps", "4", "--eval-period", "2", "--space", str(_space_file(tmp_path)),
    ]  # fmt: skip
    moved = older.rename(tmp_path / "moved")
    said = CliRunner().invoke(app, [*command, "--warm-start", str(moved)])
    assert said.exit_code == 0, said.output
    assert scripted == [[(1e-3, best[0]), (1e-2, best[1])]]
    assert studies.read_spec(tmp_path / "s").strategy["warm_start"] == of_study(moved).to_json()
    other = ["tune", name, "--study", str(tmp_path / "o"), "--strategy", "vizier", "--warm-start", str(moved)]
    for options, message in (
        (["--optimizer", "adamw_optax"], "is for optimizer sgd_optax, not adamw_optax"),
        (["--steps", "8"], f"trained {name} for 4 steps, not 8"),
        ([], f"trained {name} for 4 steps, not {trials['step_hint'][0]}"),
        (
            ["--steps", "4", "--micro-batches", "2"],
            "in float32 with micro-batches 1, not in float32 with micro-batches 2",
        ),
    ):
        refused = CliRunner().invoke(app, [*other, "--space", str(_space_file(tmp_path)), *options])
        assert f"warm_start: study {moved} " in str(refused.exception)
        assert message in str(refused.exception)
    of_list = ["--warm-start", "medapati2025", "--optimizer", "nadamw_algoperf"]
    refused = CliRunner().invoke(app, ["tune", name, "--study", "o", "--strategy", "vizier", *of_list])
    assert "warm_start: list medapati2025 is for optimizer nadamw_optax, not nadamw_algoperf" in str(
        refused.exception
    )
    # A list that says beta1 for a space that says one_minus_beta1.
    planned = plan(name="o", workloads=[name], strategy="vizier", warm_start=read_warm_start("medapati2025"))
    first = planned.strategy["warm_start"]["first"][0]
    assert (planned.optimizer, 1 - first["one_minus_beta1"]) == ("nadamw_optax", 0.9521079797438937)
    refused = CliRunner().invoke(app, [*command, "--warm-start", "medapati2025"])
    assert "strategy 'vizier': warm_start: point 0: 'warmup_fraction' is not in the search space" in str(
        refused.exception
    )
    refused = CliRunner().invoke(app, command)
    assert "this study has strategy.warm_start = " in str(refused.exception)
