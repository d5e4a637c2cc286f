"""A Vizier service for several workers: what it suggests, and what becomes of it when it or a worker is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time

import jax
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from results import studies
from shortlist.cli import app
from submissions.spaces import Choices, Interval, SearchSpace
from tuning.strategies import Point, Told, WarmStart, from_spec, vizier
from tuning.strategies.vizier_service import ServedStudy
from tuning.studies import _served
from tuning.studies.plan import plan
from tuning.studies.tune import tune

WORKLOAD = "taskset/quadratic_family_seed3"
SPACE = SearchSpace((("learning_rate", Interval(1e-4, 1e-1, "log")), ("momentum", Interval(0.0, 1.0, "linear")),
                     ("beta1", Choices((0.9,)))))  # fmt: skip
NARROW = SearchSpace((("learning_rate", Interval(1e-4, 1e-1, "log")),))
# Points that are tried first need no model, so a service hands them out at once.
FIRST = tuple({"learning_rate": rate} for rate in (1e-3, 2e-3, 5e-3, 1e-2))


class Service:
    """A service on a folder, which can be killed and started again."""

    def __init__(self, folder):
        self.folder = folder
        self.start()

    def start(self):
        command = [sys.executable, "-m", "shortlist.cli", "vizier-service", "--folder", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert "database: " in self.process.stdout.readline()
        self.address = self.process.stdout.readline().strip()
        assert self.address, self.process.communicate()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    try:
        vizier.PROCESS.require_installed()
    except ValueError as missing:
        pytest.skip(str(missing))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        one = Service(tmp_path_factory.mktemp("service"))
        yield one
        one.kill()


@pytest.fixture(scope="module")
def populations():
    """What this process has compiled."""
    return {}


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "space.json"
    path.write_text(json.dumps(NARROW.to_json()))
    return path


def study(folder, space, budget=4, first=FIRST, steps=4, **more):
    return plan(
        name=folder.name, workloads=[WORKLOAD], strategy="vizier", budget=budget, optimizer="sgd_optax", steps=steps,
        eval_period=max(steps // 2, 1), space=space, warm_start=WarmStart(first) if first else None, **more,
    )  # fmt: skip


def told_of(trials):
    """Number -> best value of its trial."""
    metric = trials["metric"][0]
    return {
        int(point): min(values) for point, values in trials.select("point", f"validation/{metric}").rows()
    }


def test_one_point_at_a_time_is_the_study_without_a_service_and_several_say_in_which_order(
    tmp_path, service, space, populations, monkeypatch
):
    looks, look = [], _served.is_written
    monkeypatch.setattr(_served, "is_written", lambda job: looks.append(job) or look(job))
    alone = tune(tmp_path / "alone", study(tmp_path / "alone", space), workers=1, populations=populations)
    spec = study(tmp_path / "served", space)
    served = tune(tmp_path / "served", spec, workers=1, populations=populations, service=service.address)
    told_apart = ("cohort_seconds", "command")
    assert_frame_equal(served.drop(told_apart), alone.drop(told_apart), check_exact=True)
    assert len(looks) == 2 * len(FIRST)  # when it was trained, and before the next is asked for
    suggestions = studies.read_suggestions(tmp_path / "served", WORKLOAD)
    assert [(one.told, one.pending) for one in suggestions] == [
        (tuple(range(n)), ()) for n in range(len(FIRST))
    ]
    (run,) = studies.read_runs(tmp_path / "served")
    assert len(run.suggestion_cpu_seconds) == len(FIRST)

    folder = tmp_path / "several"
    spec = study(folder, space, parallel=2)
    assert spec.title.endswith(", 2 at a time")
    trials = tune(folder, spec, workers=2, populations=populations, service=service.address)
    assert told_of(trials) == told_of(alone)  # a list depends on nothing
    for one in studies.read_suggestions(folder, WORKLOAD):
        assert sorted((*one.told, *one.pending)) == list(range(one.number))
        assert len(one.pending) <= 1
        assert one.client.count(":") == 2
    assert not [path for path in (folder / "claims").rglob("*") if path.is_file()]
    assert not jax.config.jax_enable_x64  # type: ignore[attr-defined]
    # What is there is not asked for again.
    assert len(tune(folder, spec, workers=2, populations=populations, service=service.address)) == len(FIRST)
    assert len(studies.read_runs(folder)) == 1


@pytest.mark.slow  # a process starts
def test_a_service_that_is_killed_and_started_again_goes_on(
    tmp_path, service, space, populations, monkeypatch
):
    monkeypatch.setattr("tuning.studies._served.SECONDS_OF_PATIENCE", 300.0)
    folder, killed = tmp_path / "s", []

    def progress(workload, done, total):
        if done == 2 and not killed:
            before = service.address
            service.kill()
            killed.append(before)
            threading.Thread(target=service.start).start()

    spec = study(folder, space)
    trials = tune(
        folder, spec, workers=1, populations=populations, service=service.address, progress=progress
    )
    assert killed == [service.address]  # where workers look for it
    assert sorted(told_of(trials)) == list(range(len(FIRST)))
    assert len(studies.read_suggestions(folder, WORKLOAD)) == len(FIRST)


def test_a_service_whose_database_is_lost_is_given_what_the_study_knows(
    tmp_path, service, space, populations
):
    folder = tmp_path / "s"
    spec = study(folder, space)
    # The first half is from before there was a service.
    tune(folder, study(folder, space, budget=2), workers=1, populations=populations)
    trials = tune(folder, spec, workers=1, populations=populations, service=service.address)
    asked = studies.read_suggestions(folder, WORKLOAD)
    assert [one.number for one in asked] == [2, 3]

    # A database that is gone: another name is one that the service does not know. An outstanding point is one too.
    (folder / "service.json").write_text('{"name": "another"}')
    next((folder / "trials").rglob("00002.parquet")).unlink()
    again = tune(folder, spec, workers=1, populations=populations, service=service.address)
    assert told_of(again) == told_of(trials)
    assert studies.read_suggestions(folder, WORKLOAD) == asked

    # Another database's points.
    for one in asked:
        path = folder / "suggestions" / WORKLOAD.replace("/", "__") / f"{one.number:05d}.json"
        path.write_text(path.read_text().replace(str(one.hyperparameters["learning_rate"]), "0.0123"))
    with pytest.raises(ValueError, match="the service has another point 2 of taskset/quadratic_family_seed3"):
        tune(folder, spec, workers=1, populations=populations, service=service.address)


def test_what_a_worker_left_outstanding_is_handed_out_before_anything_new(
    tmp_path, service, space, populations
):
    folder = tmp_path / "s"
    begun = study(folder, space, budget=2, parallel=2)
    tune(folder, begun, workers=1, populations=populations, service=service.address)
    name = f"{studies.service_name(folder)}.{WORKLOAD}"
    lost = ServedStudy(service.address, name, from_spec(begun.strategy), minimize=True)
    left = [lost.suggest(f"gone:{i}") for i in range(2)]
    assert [(one.number, one.told, one.pending) for one in left] == [(2, (0, 1), ()), (3, (0, 1), (2,))]
    spec = study(folder, space, parallel=2)
    trials = tune(folder, spec, workers=1, populations=populations, service=service.address)
    assert sorted(told_of(trials)) == [0, 1, 2, 3]
    assert studies.read_suggestions(folder, WORKLOAD)[2:] == tuple(left)
    assert [(one.ended, one.value) for one in lost.suggestions()] == [
        (True, value) for _, value in sorted(told_of(trials).items())
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strategy", "vizier", "--parallel", "2"], "--parallel 2 needs --service HOST:PORT"),
        (["--strategy", "random", "--service", "127.0.0.1:1"], "--service is for strategy 'vizier', not 'random'"),
        (["--strategy", "vizier", "--service", "here"], "--service is 'here'; must be HOST:PORT"),
        (["--strategy", "vizier", "--service", "127.0.0.1:1"], "no Vizier service answers at 127.0.0.1:1; start it"),
        (["--strategy", "random", "--parallel", "2"], "--parallel does not go with strategy 'random'"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_before_anything_is_written(tmp_path, options, message):
    said = CliRunner().invoke(app, ["tune", WORKLOAD, "--study", str(tmp_path / "s"), *options])
    assert message in str(said.exception)
    assert not (tmp_path / "s").exists()


@pytest.mark.slow  # a process starts
def test_one_service_at_a_time_serves_a_folder(service):
    command = [sys.executable, "-m", "shortlist.cli", "vizier-service", "--folder", str(service.folder)]
    second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 2
    assert "another service serves it" in second.stderr


@pytest.mark.slow  # compiles twice
def test_suggestions_are_those_of_the_process_without_a_service_and_each_can_be_made_again(service):
    asked = {"name": "vizier", "budget": 9, "space": SPACE.to_json(), "seed": 3}
    strategy = from_spec(asked)
    older = Told(Point("7", {"learning_rate": 0.05, "momentum": 0.9, "beta1": 0.9}), 0.25, minimize=True)
    warm = from_spec(asked | {"warm_start": WarmStart(told={"a": (older,)}).to_json()})

    def value(point):
        return None if point.id == "1" else (point.hyperparameters["momentum"] - 0.3) ** 2

    one = ServedStudy(service.address, "one", warm, minimize=True)
    history = []
    for number in range(3):
        (point,) = warm.ask(history)
        served = one.suggest("here")
        assert (served.number, dict(served.hyperparameters)) == (number, dict(point.hyperparameters))
        history.append(Told(point, value(point), minimize=True))
        one.tell(number, value(point))

    several = ServedStudy(service.address, "several", strategy, minimize=True)
    ended = {}
    for tells in ((), (), (0,), ()):
        several.suggest("there")
        for number in tells:
            found = several.suggestions()[number].suggestion
            ended[number] = value(Point(str(number), found.hyperparameters))
            several.tell(number, ended[number])
    made = [served.suggestion for served in several.suggestions()]
    assert [(one.told, one.pending) for one in made] == [
        ((), ()), ((), (0,)), ((), (0, 1)), ((0,), (1, 2))
    ]  # fmt: skip
    assert len({tuple(one.hyperparameters.values()) for one in made}) == len(made)
    known = ()
    for suggestion in made:
        SPACE.check(Point("x", suggestion.hyperparameters))
        again = vizier.PROCESS.ask(
            {
                "space": strategy.searched(),
                "seed": 3,
                "minimize": True,
                "history": [
                    {"hyperparameters": strategy.told_of(made[i].hyperparameters), "value": ended[i]}
                    for i in suggestion.told
                ],
                "pending": [strategy.told_of(made[i].hyperparameters) for i in suggestion.pending],
                "fresh": set(suggestion.told) != set(known),
            }
        )
        assert strategy.checked(again, suggestion.number) == dict(suggestion.hyperparameters)
        known = suggestion.told
    vizier.PROCESS.stop()


TRAINS = """
import json, sys
from pathlib import Path
from tests.tuning.test_vizier_service import study
from tuning.studies.tune import tune
folder, space, address = sys.argv[1:]
tune(Path(folder), study(Path(folder), Path(space), steps=4000, parallel=2), workers=2, service=address)
"""


@pytest.mark.slow  # processes start
def test_two_workers_share_a_study_and_one_that_is_killed_is_stood_in_for(tmp_path, service, space):
    folder = tmp_path / "s"
    command = [sys.executable, "-c", TRAINS, str(folder), str(space), service.address]
    doomed, other = (subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2))
    deadline = time.monotonic() + 300
    while not list((folder / "claims").glob("suggestions__*/*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    doomed.send_signal(signal.SIGKILL)
    doomed.communicate()
    _, said = other.communicate()
    assert other.returncode == 0, said
    spec = study(folder, space, steps=4000, parallel=2)
    trials = tune(folder, spec, workers=1, service=service.address)
    assert sorted(told_of(trials)) == list(range(len(FIRST)))
    assert len(studies.read_suggestions(folder, WORKLOAD)) == len(FIRST)
