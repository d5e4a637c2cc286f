"""What holds for every row of the table of optimizers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import submissions
from submissions import taskset_grids
from submissions.spaces import SearchSpace
from tests.submissions import training
from tuning.strategies import halton

# Settings with which each of them should get somewhere within 60 steps, from points between 2 and 4 to 1.
SETTINGS = {
    "adagrad_tf": {"learning_rate": 1.0},
    "adagrad_optax": {"learning_rate": 1.0},
    "muon_optax": {"learning_rate": 0.5},
    "prodigy_optax": {"estim_lr0": 0.1},
    "zero": {},
}


def point_of(name):
    return SETTINGS.get(name, {"learning_rate": 0.1})


def drawn(name):
    """Three points of the optimizer's own space."""
    space = submissions.optimizer(name).search_space
    if space is None:
        return [point_of(name)] * 3
    points = halton.points(SearchSpace.from_json(space), 3, start=1)
    return [dict(point.hyperparameters) for point in points]


@pytest.mark.parametrize("name", submissions.OPTIMIZERS)
def test_the_loss_of_a_convex_problem_falls_and_stays_finite(name):
    _, seen = training.run(name, [point_of(name)] * 3, wave=0.0)
    first = {key: path[0][0] for key, path in seen.items()}
    last = {key: path[0][-1] for key, path in seen.items()}
    assert all(np.isfinite(path).all() for path in seen.values())
    # `zero` goes from distances of 1 to 3 to a distance of 1, which quarters the loss or better.
    assert training.loss(last) < training.loss(first) / 3


@pytest.mark.parametrize("name", submissions.OPTIMIZERS)
def test_new_points_and_other_horizons_never_compile(name):
    training.run(name, [point_of(name)] * 3)
    compiled = training.program(name)._cache_size()
    trained, _ = training.run(name, drawn(name))
    training.run(name, drawn(name), horizon=2 * training.STEPS)
    assert training.program(name)._cache_size() == compiled == 1
    if submissions.optimizer(name).search_space is not None:
        assert len({path.tobytes() for path in trained["bias"]}) == 3, "points are told apart"


TREES = {
    "no matrix": {"x": (5,)},
    "a scalar": {"x": ()},
    "kernels in layers": [{"kernel": (3, 3, 2, 4), "bias": (4,)}, {"kernel": (4, 300)}],
}


@pytest.mark.parametrize("name", submissions.OPTIMIZERS)
@pytest.mark.parametrize("shapes", TREES.values(), ids=TREES)
def test_parameters_of_any_shape_and_nesting_keep_theirs(name, shapes):
    optimizer = submissions.optimizer(name)
    params = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), shapes, is_leaf=lambda x: isinstance(x, tuple)
    )

    def updated(params, hyperparameters):
        transformation = optimizer(hyperparameters, 10)
        state = transformation.init(params)
        updates, new_state = transformation.update(params, state, params)
        return updates, state, new_state

    hyperparameters = jax.tree.map(jnp.float32, optimizer.prepare(point_of(name), 10))
    updates, state, new_state = jax.eval_shape(updated, params, hyperparameters)
    assert updates == params
    assert jax.tree.leaves(new_state) == jax.tree.leaves(state)  # else it could not be carried through a loop


@pytest.mark.parametrize("name", submissions.OPTIMIZERS)
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_values_outside_the_domain_are_refused(name, value):
    optimizer = submissions.optimizer(name)
    for hyperparameter in optimizer.hyperparameters:
        with pytest.raises(ValueError, match=f"{hyperparameter.name} must lie in"):
            optimizer.canonical(point_of(name) | {hyperparameter.name: value})


@pytest.mark.parametrize("name", submissions.OPTIMIZERS)
def test_every_corner_of_the_search_space_is_inside_the_domains(name):
    optimizer = submissions.optimizer(name)
    if optimizer.search_space is None:
        assert name in ("nadamw_optax", "nadamw_algoperf", "zero")
        return
    space = SearchSpace.from_json(optimizer.search_space, name)
    assert space.to_json() == optimizer.search_space
    for u in (0.0, 0.5, np.nextafter(1, 0)):
        optimizer.canonical(space.at([u] * len(space.names)))


@pytest.mark.parametrize("name", taskset_grids.GRIDS)
def test_the_grids_bounds_are_the_search_space(name):
    # 200 seeds stay inside; a bound that was mistyped by a decade would show in one of these log-uniform draws.
    grid = taskset_grids.GRIDS[name]
    space = submissions.optimizer(grid.optimizer).search_space
    if grid.sample is None or space is None:
        return
    for setting in (taskset_grids.grid_point(name, seed) for seed in range(200)):
        for key, value in setting.items():
            if f"one_minus_{key}" in space:
                key, value = f"one_minus_{key}", 1 - value
            if value and "min" in space[key]:  # 0 stands for "none", which no logarithmic interval has
                assert space[key]["min"] * (1 - 1e-9) <= value <= space[key]["max"] * (1 + 1e-9)
