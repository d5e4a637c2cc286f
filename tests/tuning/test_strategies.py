"""Strategies: ask for points, tell what became of them."""

import itertools
import json
import math
import subprocess
import sys

import pytest

from submissions.spaces import MEDAPATI_TABLE_1, Choices, Interval, SearchSpace
from submissions.taskset_grids import grid_point
from tuning.strategies import STRATEGIES, Point, Suggesting, Told, from_spec, halton, to_spec
from tuning.strategies._process import LibraryProcess

SMALL = SearchSpace((("learning_rate", Interval(1e-3, 1e-1, "log")), ("beta1", Choices((0.9,)))))
POINTS = (Point("a", {"learning_rate": 0.1}), Point("b", {"learning_rate": 0.2}))

# A specification of every strategy, with arguments that are not the defaults.
SPECS = {
    "quasirandom": {"budget": 4, "space": SMALL.to_json(), "order_seed": 3, "start": 7},
    "random": {"budget": 4, "space": SMALL.to_json(), "seed": 6},
    "medapati-candidates": {"budget": 6},
    "taskset-grid": {"grid": "adam8p_wide_grid", "budget": 3},
    "lr-sweep": {"weight_decay": 0.5, "budget": 3},
    "rate-grid": {"budget": 6, "lowest": 1e-3, "highest": 5e-3, "schedule": "all"},
    "vizier": {"budget": 3, "space": SMALL.to_json(), "seed": 5},
    "optuna-tpe": {"budget": 3, "space": SMALL.to_json(), "seed": 5, "startup": 2},
    "optuna-gp": {"budget": 3, "space": SMALL.to_json(), "seed": 5, "startup": 2},
    "smac": {"budget": 3, "space": SMALL.to_json(), "seed": 5},
    "successive-halving": {
        "budget": 4,
        "space": SMALL.to_json(),
        "points_from": "random",
        "seed": 2,
        "least": 0.25,
        "eta": 2,
        "cohort": 6,
    },
    "asha": {
        "budget": 4,
        "space": SMALL.to_json(),
        "points_from": "random",
        "seed": 2,
        "least": 0.25,
        "eta": 2,
        "cohort": 6,
    },
    "median-stopping": {
        "budget": 4,
        "space": SMALL.to_json(),
        "points_from": "random",
        "seed": 2,
        "least": 0.25,
        "cohort": 6,
    },
    "list": {"points": [point.to_json() for point in POINTS], "list": "mine"},
}
SUGGESTING = [name for name, row in STRATEGIES.items() if issubclass(row.make, Suggesting)]
PARALLEL = [name for name, row in STRATEGIES.items() if row.asks == "parallel"]


def strategy_of(name):
    return from_spec({"name": name, **SPECS[name]})


def told(points, value=0.5):
    return [Told(point, value, minimize=True) for point in points]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_specification_survives_json(name):
    spec = to_spec(strategy_of(name))
    assert spec == {"name": name, **SPECS[name]}
    assert from_spec(json.loads(json.dumps(spec))) == strategy_of(name)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_refuses_an_argument_it_does_not_know(name):
    with pytest.raises(ValueError, match=f"strategy '{name}': unknown argument 'bugdet'"):
        from_spec({"name": name, **SPECS[name], "bugdet": 3})


@pytest.mark.parametrize("name", PARALLEL)
def test_parallel_strategies_give_all_points_at_once_and_then_what_is_missing(name):
    strategy = strategy_of(name)
    points = strategy.ask(())
    # Six trials, of which three and one go on, take 6/4 + 3/4 + 1/2 = 2.75 trainings: 4 pay for one cohort.
    assert len(points) == {"successive-halving": 6}.get(name, strategy.budget)
    assert len({point.id for point in points}) == len(points)
    assert strategy.ask(told(points[1:])) == points[:1]
    assert strategy.ask(told(points, value=None)) == ()


@pytest.mark.parametrize("name", PARALLEL)
def test_a_result_of_a_foreign_point_is_refused(name):
    with pytest.raises(ValueError, match=r"told of point zz with .*, which is not among"):
        strategy_of(name).ask(told([Point("zz", {"learning_rate": 0.1})]))


def test_quasirandom_gives_the_rows_of_the_set():
    assert from_spec({"name": "quasirandom", "budget": 12}).ask(()) == halton.points(MEDAPATI_TABLE_1, 12)
    assert strategy_of("quasirandom").ask(()) == halton.points(SMALL, 4, order_seed=3, start=7)


def test_the_candidates_are_the_200_points_by_row_number():
    points = from_spec({"name": "medapati-candidates"}).ask(())
    assert [point.id for point in points] == [str(row) for row in range(200)]
    assert points[:6] == strategy_of("medapati-candidates").ask(())


@pytest.mark.parametrize("decay", [0.5, 1e-4])
def test_the_sweep_has_five_rates_in_equal_ratios(decay):
    points = from_spec({"name": "lr-sweep", "weight_decay": decay}).ask(())
    rates = [point.hyperparameters["learning_rate"] for point in points]
    assert (rates[0], rates[2], rates[-1]) == (1e-4, 1e-3, 1e-2)
    ratios = [after / before for before, after in itertools.pairwise(rates)]
    assert ratios == pytest.approx([math.sqrt(10)] * 4, rel=1e-12)
    for point in points:
        rest = {k: v for k, v in point.hyperparameters.items() if k != "learning_rate"}
        assert rest == {
            "beta1": 0.9,
            "beta2": 0.999,
            "weight_decay": decay,
            "warmup_fraction": 0.05,
            "label_smoothing": 0.0,
            "dropout_rate": 0.0,
        }


def test_a_grid_gives_tasksets_settings_under_their_names():
    points = strategy_of("taskset-grid").ask(())
    assert [point.id for point in points] == [f"adam8p_wide_grid_seed{seed}" for seed in range(3)]
    assert points[2].hyperparameters["l1"] == grid_point("adam8p_wide_grid_seed2")["l1"]


def test_a_smaller_budget_of_a_grid_is_its_beginning():
    many, few = (
        from_spec({"name": "taskset-grid", "grid": "adam_lr", "budget": budget}).ask(()) for budget in (17, 4)
    )
    assert many[:4] == few
    assert len({point.id for point in many}) == 17


def test_a_list_keeps_its_order_and_ids():
    assert strategy_of("list").ask(()) == POINTS


@pytest.mark.parametrize("name", SUGGESTING)
def test_a_library_is_asked_for_one_at_a_time_with_all_that_it_was_told(name, monkeypatch):
    asked = []

    def ask(self, request):
        asked.append((request["space"], request["seed"], [told["value"] for told in request["history"]]))
        return {"learning_rate": 0.01 * (1 + len(request["history"]))}

    monkeypatch.setattr(LibraryProcess, "ask", ask)
    monkeypatch.setattr(STRATEGIES[name].make.process, "requires", ())
    strategy, history = strategy_of(name), []
    while points := strategy.ask(history):
        assert len(points) == 1
        history += told(points, value=None if len(history) == 1 else 0.5)
    searched = {"learning_rate": {"min": 1e-3, "max": 1e-1, "scaling": "log"}}
    assert asked == [(searched, 5, []), (searched, 5, [0.5]), (searched, 5, [0.5, None])]
    assert [trial.point.id for trial in history] == ["0", "1", "2"]
    with pytest.raises(ValueError, match="told of point 1 where point 0 was expected"):
        strategy.ask(history[1:])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_a_diverged_trial(value):
    assert Told(POINTS[0], value, minimize=True).value is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, rf"unknown strategy None \(allowed: {', '.join(STRATEGIES)}\)"),
        (
            {"name": "quasi-random", "budget": 5},
            "unknown strategy 'quasi-random'; did you mean 'quasirandom'?",
        ),
        ({"name": "quasirandom"}, "strategy 'quasirandom': argument 'budget' is missing"),
        ({"name": "quasirandom", "budget": 0}, "budget is 0; must be a whole number, at least 1"),
        ({"name": "quasirandom", "budget": 2.5}, "budget is 2.5; must be a whole number"),
        ({"name": "quasirandom", "budget": 2, "order_seed": -1}, "order_seed is -1; must be"),
        ({"name": "quasirandom", "budget": 2, "space": {"a": {}}}, "'quasirandom': space: a: has nothing"),
        ({"name": "medapati-candidates", "budget": 201}, "budget is 201; the paper has 200 candidates"),
        ({"name": "taskset-grid", "grid": "nadamw", "budget": 3}, "unknown grid 'nadamw'; did you mean"),
        ({"name": "taskset-grid", "grid": "zero", "budget": 2}, "2 settings of zero: it has 1"),
        ({"name": "lr-sweep", "weight_decay": -1}, r"weight_decay is -1; must be a number in \[0, inf\)"),
        ({"name": "lr-sweep", "weight_decay": "0.5"}, "weight_decay is '0.5'; must be a number"),
        ({"name": "vizier", "budget": 5, "seed": 2**32}, "seed is 4294967296; must be a whole number"),
        ({"name": "list", "points": []}, "strategy 'list': points is empty"),
        ({"name": "list", "points": "ab"}, "points is 'ab'; must be a list of points"),
        ({"name": "list", "points": [POINTS[0].to_json()] * 2}, "two points with the id 'a'"),
        ({"name": "list", "points": [{"id": "a"}]}, r"strategy 'list': points\[0\]: has the keys"),
    ],
)
def test_bad_specifications_are_refused_in_one_line(spec, message):
    with pytest.raises(ValueError, match=message) as caught:
        from_spec(spec)
    assert "\n" not in str(caught.value)


def test_strategies_need_no_jax():
    code = "import sys; from submissions import spaces; from tuning import strategies"
    code += "; from tuning.strategies import halton, vizier, optuna_gp, smac"
    code += "; from tuning.strategies import _vizier_worker, _optuna_worker, _smac_worker, _worker"
    code += "; strategies.from_spec({'name': 'quasirandom', 'budget': 5}).ask(())"
    code += "; assert not {'jax', 'optax', 'vizier', 'optuna', 'smac', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_rate_grid_is_velodromes():
    points = from_spec({"name": "rate-grid"}).ask(())
    expected = [1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0]
    assert [dict(point.hyperparameters) for point in points] == [{"learning_rate": rate} for rate in expected]
    three = from_spec({"name": "rate-grid", "schedule": "all", "budget": 45}).ask(())
    assert len({point.id for point in three}) == 45
    assert three[15].hyperparameters == {"learning_rate": 1e-7, "rampup_steps": 1000.0}
    assert three[44].hyperparameters == {"learning_rate": 1.0, "decay_per_step": 7e-5}
    with pytest.raises(ValueError, match="budget is 5; this grid has 15 points"):
        from_spec({"name": "rate-grid", "budget": 5})
    with pytest.raises(ValueError, match="no learning rate"):
        from_spec({"name": "rate-grid", "lowest": 2e-3, "highest": 2.5e-3})
