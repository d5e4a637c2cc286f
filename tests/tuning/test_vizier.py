"""The Gaussian-process bandit in its worker process."""

import json
import math
import os
import subprocess
import sys

import jax
import pytest

from submissions.spaces import Choices, Interval, SearchSpace
from tuning.strategies import Point, Told, from_spec, metered, vizier

SPACE = SearchSpace(
    (
        ("learning_rate", Interval(1e-4, 1e-2, "log")),
        ("dropout_rate", Choices((0.0, 0.1))),
        ("beta1", Choices((0.9,))),
    )
)


def told(*trials):
    return [
        Told(Point(str(i), {"learning_rate": rate, "dropout_rate": 0.1, "beta1": 0.9}), value, minimize=True)
        for i, (rate, value) in enumerate(trials)
    ]


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """A real worker; those of one test run share what they compile."""
    try:
        vizier.PROCESS.require_installed()
    except ValueError as missing:
        pytest.skip(str(missing))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        vizier.PROCESS.stop()
        yield
        vizier.PROCESS.stop()


@pytest.fixture
def fake_worker(monkeypatch):
    """Replaces the worker by a program; returns a function that takes its text."""
    vizier.PROCESS.stop()
    monkeypatch.setattr(vizier.PROCESS, "requires", ())
    yield lambda text: monkeypatch.setattr(vizier.PROCESS, "command", (sys.executable, "-c", text))
    vizier.PROCESS.stop()


def suggest(space, seed, history):
    return vizier.Vizier(9, space, seed).suggest(history)


def test_the_first_suggestion_is_the_centre_of_the_scaled_space(worker):
    strategy = from_spec({"name": "vizier", "budget": 2, "space": SPACE.to_json()})
    (point,) = strategy.ask(())
    assert point.id == "0"
    assert point.hyperparameters["learning_rate"] == pytest.approx(1e-3, rel=1e-12)
    assert point.hyperparameters["beta1"] == 0.9


@pytest.mark.slow  # compiles
def test_a_restarted_worker_suggests_the_same_after_a_diverged_trial_and_training_stays_float32(worker):
    history = told((1e-3, 0.5), (9e-3, None))
    first = suggest(SPACE, 3, history)
    vizier.PROCESS.stop()
    again = suggest(SPACE, 3, history)
    assert first == again
    SPACE.check(Point("2", first))
    assert first["learning_rate"] not in (1e-3, 9e-3)
    assert not jax.config.jax_enable_x64  # type: ignore[attr-defined]
    assert "vizier" not in sys.modules


def test_the_worker_ends_when_its_parent_does():
    done = subprocess.run(vizier.PROCESS.command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")


def test_a_missing_extra_is_answered_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(vizier.PROCESS, "requires", ("json", "no_such_package"))
    with pytest.raises(ValueError, match=r"\(no no_such_package\): pip install 'shortlist\[vizier\]'"):
        suggest(SPACE, 0, [])


def test_a_package_that_fails_to_import_is_answered_so_too(fake_worker):
    fake_worker("""input(); print('{"missing": "No module named chex"}')""")
    with pytest.raises(ValueError, match=r"\(No module named chex\): pip install 'shortlist\[vizier\]'"):
        suggest(SPACE, 0, [])


def test_a_worker_that_dies_is_reported_with_its_last_words_and_replaced(fake_worker):
    fake_worker("import sys; sys.stdin.readline(); sys.exit('out of memory')")
    with pytest.raises(RuntimeError, match="the Vizier worker ended with status 1: out of memory"):
        suggest(SPACE, 0, [])
    fake_worker("""input(); print('{"hyperparameters": {"learning_rate": 0.001, "dropout_rate": 0.1}}')""")
    assert suggest(SPACE, 0, []) == {"learning_rate": 0.001, "dropout_rate": 0.1, "beta1": 0.9}


@pytest.mark.parametrize(
    ("suggestion", "message"),
    [
        ('{"learning_rate": 0.001, "dropout_rate": 0.1, "beta3": 0.1}', "beta3 is not in the search space"),
        ('{"dropout_rate": 0.1}', "which is no point of the space: 'learning_rate'"),
        ('{"learning_rate": NaN, "dropout_rate": 0.1}', "learning_rate is nan; must be a finite number"),
        ('{"learning_rate": 0.02, "dropout_rate": 0.1}', "learning_rate is 0.02, outside its search space"),
        ('{"learning_rate": 0.001, "dropout_rate": 0.05}', "dropout_rate is 0.05, outside its search space"),
    ],
)
def test_every_suggestion_is_checked(fake_worker, suggestion, message):
    fake_worker(f"""input(); print('{{"hyperparameters": {suggestion}}}')""")
    with pytest.raises(RuntimeError, match=message):
        suggest(SPACE, 0, [])


def test_the_worker_is_told_everything_and_runs_in_float64_with_a_cache_that_outlives_it(
    fake_worker, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    program = "import json, os, sys; asked = json.loads(sys.stdin.readline())"
    program += "; assert os.environ['JAX_ENABLE_X64'] == '1' and os.environ['JAX_PLATFORMS'] == 'cpu'"
    program += "; assert os.environ['JAX_COMPILATION_CACHE_DIR'].endswith('/shortlist/vizier')"
    program += "; print(json.dumps({'error': json.dumps(asked)}))"
    fake_worker(program)
    with pytest.raises(RuntimeError, match=r"^Vizier failed: ") as caught:
        suggest(SPACE, 7, told((1e-3, 0.5), (2e-3, math.nan)))
    searched = SPACE.to_json()
    del searched["beta1"]  # has a single choice
    assert json.loads(str(caught.value).removeprefix("Vizier failed: ")) == {
        "space": searched,
        "seed": 7,
        "minimize": True,
        "history": [
            {"hyperparameters": {"learning_rate": 0.001, "dropout_rate": 0.1}, "value": 0.5},
            {"hyperparameters": {"learning_rate": 0.002, "dropout_rate": 0.1}, "value": None},
        ],
    }
    assert os.environ.get("JAX_ENABLE_X64") is None


@pytest.mark.parametrize(
    ("space", "history", "message"),
    [
        (SearchSpace((("beta1", Choices((0.9,))),)), [], "single choice; nothing to search"),
        (SPACE, told((0.5, 0.1)), "point 0: learning_rate is 0.5, outside its search space"),
        (
            SPACE,
            [*told((1e-3, 0.1)), Told(told((1e-3, 0.1))[0].point, 0.1, minimize=False)],
            "some trials are to be minimised and others maximised",
        ),
    ],
)
def test_requests_that_make_no_sense_never_reach_the_worker(fake_worker, space, history, message):
    fake_worker("raise SystemExit('never')")
    with pytest.raises(ValueError, match=message):
        suggest(space, 0, history)


def test_what_a_suggestion_cost_is_told_to_whoever_meters_it(fake_worker):
    answer = {"hyperparameters": {"learning_rate": 0.001, "dropout_rate": 0.1}, "cpu_seconds": 1.5}
    fake_worker(f"import sys\nfor line in sys.stdin: print({json.dumps(answer)!r}, flush=True)")
    with metered() as spent:
        suggest(SPACE, 0, [])
        suggest(SPACE, 0, told((1e-3, 0.5)))
    suggest(SPACE, 0, [])
    assert spent == [1.5, 1.5]
