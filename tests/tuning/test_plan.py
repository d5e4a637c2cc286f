"""From options to a specification: which optimizer, and where its points come from."""

import pytest

import submissions
from submissions.points import Point
from submissions.spaces import MEDAPATI_TABLE_1, SearchSpace
from submissions.taskset_grids import GRIDS, grid_point
from tuning.strategies import STRATEGIES, halton, options
from tuning.studies.plan import plan

NAME = "digits/mlp"


def points_of(**arguments):
    spec = plan(name="s", workloads=(NAME,), **arguments)
    return spec, spec.points[NAME]


@pytest.mark.parametrize("grid", GRIDS)
def test_a_grid_is_for_its_own_optimizer(grid):
    spec, points = points_of(strategy="taskset-grid", grid=grid, budget=1)
    assert spec.optimizer == GRIDS[grid].optimizer
    assert dict(points[0].hyperparameters) == grid_point(points[0].id)
    optimizer = submissions.optimizer(spec.optimizer)
    assert optimizer.prepare(points[0].hyperparameters, 100)


def test_a_grid_may_be_given_to_another_optimizer():
    spec, _ = points_of(
        strategy="taskset-grid", grid="adam8p_wide_grid", budget=1, optimizer="adam8p_stretched"
    )
    assert spec.optimizer == "adam8p_stretched"
    assert spec.strategy == {"name": "taskset-grid", "grid": "adam8p_wide_grid", "budget": 1}


@pytest.mark.parametrize(("grid", "budget"), [("nadamw_grid", 20), ("adam_lr", 17), ("zero", 1)])
def test_the_default_budget_is_20_or_what_there_is(grid, budget):
    assert len(points_of(strategy="taskset-grid", grid=grid)[1]) == budget


@pytest.mark.parametrize("name", submissions.OPTIMIZERS)
def test_points_are_drawn_from_the_optimizers_own_space(name):
    optimizer = submissions.optimizer(name)
    if not optimizer.hyperparameters:
        with pytest.raises(ValueError, match="no hyperparameters to search; use --strategy taskset-grid"):
            points_of(optimizer=name)
        return
    spec, points = points_of(optimizer=name, budget=3)
    of_its_own = optimizer.search_space
    space = MEDAPATI_TABLE_1 if of_its_own is None else SearchSpace.from_json(of_its_own)
    assert spec.strategy["space"] == space.to_json()
    assert points == halton.points(space, 3)
    for point in points:
        optimizer.prepare(point.hyperparameters, 100, where=point.id)


def test_without_an_optimizer_the_space_is_medapatis():
    spec, points = points_of(budget=3)
    assert spec.optimizer == "nadamw_optax"
    assert points == halton.points(MEDAPATI_TABLE_1, 3)


@pytest.mark.parametrize(
    ("arguments", "draws"),
    [
        ({}, "quasi-random"),
        ({"strategy": "medapati-candidates"}, "quasi-random"),
        ({"strategy": "random"}, "independent"),
        (
            {"strategy": "taskset-grid", "grid": "nadamw_grid"},
            "independent",
        ),  # a generator for each of its seeds
        ({"strategy": "taskset-grid", "grid": "adam_lr"}, "chosen"),
        ({"strategy": "lr-sweep"}, "chosen"),
        ({"strategy": "list", "points": [Point("a", {"learning_rate": 0.1})]}, "chosen"),
    ],
)
def test_a_study_says_how_its_points_were_drawn(arguments, draws):
    assert points_of(**arguments)[0].draws == draws


def test_points_that_wait_for_results_are_not_drawn_beforehand():
    spec = plan(name="s", workloads=(NAME,), strategy="vizier", budget=2, seed=4)
    assert (spec.points, spec.draws, spec.title) == (None, "chosen", "Vizier")
    assert (spec.strategy["budget"], spec.strategy["seed"]) == (2, 4)


def test_an_option_of_one_name_is_one_option():
    for option, takers in options().values():
        for taker in takers:
            assert option in STRATEGIES[taker].takes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "taskset-grid"}, "strategy 'taskset-grid' needs --grid: adam1p_wide_grid, "),
        ({"strategy": "quasirandom", "grid": "zero"}, "--grid does not go with strategy 'quasirandom'"),
        ({"strategy": "taskset-grid", "grid": "adam9p"}, "unknown grid 'adam9p'"),
        ({"strategy": "taskset-grid", "grid": "zero", "budget": 2}, "2 settings of zero: it has 1"),
        ({"optimizer": "adam8q"}, "unknown optimizer 'adam8q'; did you mean 'adam8p'"),
    ],
)
def test_what_cannot_be_planned_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        points_of(**arguments)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"points": [Point("a", {"learning_rate": 0.1})], "list_name": "mine"}, "list"),
        ({"grid": "adam_lr"}, "taskset-grid"),
        ({}, "quasirandom"),
    ],
)
def test_an_option_that_only_one_strategy_needs_names_it(given, meant):
    assert plan(name="s", workloads=(NAME,), **given).strategy["name"] == meant


def test_a_strategy_that_was_named_is_not_replaced():
    with pytest.raises(ValueError, match="--list does not go with strategy 'random'"):
        plan(name="s", workloads=(NAME,), strategy="random", points=[Point("a", {"learning_rate": 0.1})])
