"""Objectives of 'Learned optimizers that scale and generalize' (Wichrowska et al. 2017, arXiv:1703.04813) in TaskSet.

`PROBLEMS` makes a problem from its config. Three more act on another problem: `_losg_problem.rescaled` and
`logarithm`, and the sparse gradients of `_losg_gradients`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from workloads._workload import Params
from workloads.taskset import _losg_classifiers, _losg_data
from workloads.taskset._losg_functions import FUNCTIONS
from workloads.taskset._losg_problem import EPSILON, Config, Constants, Problem, Streams


def _normal_start(dims: int) -> Callable[[Constants, jax.Array], Params]:
    return lambda constants, key: {"x": jax.random.normal(key, (dims,))}


def _linear_system(rng: np.random.RandomState, dims: int) -> dict[str, np.ndarray]:
    """Standard normal W and y. For a given seed they are the original's own numbers."""
    return {
        "W": rng.randn(dims, dims).astype(np.float32),
        "y": rng.randn(dims, 1)[:, 0].astype(np.float32),
    }


def quadratic(config: Config, streams: Streams) -> Problem:
    """|W x - y|^2 / 2."""
    dims = config["dim"]

    def objective(constants, params, batch):
        del batch
        return 0.5 * jnp.sum((constants["W"] @ params["x"] - constants["y"]) ** 2)

    return Problem(["quadratic", dims], _linear_system(streams.system, dims), _normal_start(dims), objective)


def bowl(config: Config, streams: Streams) -> Problem:
    """|sqrt(diag(cond, 1)) R(angle) x|^2 / 2 in two dimensions, R a rotation."""
    del streams
    cosine, sine = math.cos(config["angle"]), math.sin(config["angle"])
    matrix = np.diag([math.sqrt(config["cond"]), 1.0]) @ np.array([[cosine, -sine], [sine, cosine]])

    def objective(constants, params, batch):
        del batch
        return 0.5 * jnp.sum((constants["bowl"] @ params["x"]) ** 2)

    return Problem(["bowl"], {"bowl": matrix.astype(np.float32)}, _normal_start(2), objective)


def norm(config: Config, streams: Streams) -> Problem:
    """(sum of (|W x - y| + 1e-6)^p)^(1 / p)."""
    dims = config["dim"]

    def objective(constants, params, batch):
        del batch
        power = constants["norm_power"]
        distances = jnp.abs(constants["W"] @ params["x"] - constants["y"]) + EPSILON
        return jnp.sum(distances**power) ** (1.0 / power)

    constants = _linear_system(streams.system, dims) | {
        "norm_power": np.asarray(config["norm_power"], np.float32)
    }
    return Problem(["norm", dims], constants, _normal_start(dims), objective)


def of_two_variables(config: Config, streams: Streams) -> Problem:
    """A test function of two variables."""
    del streams
    function = FUNCTIONS[config["problem"]]

    def init(constants, key):
        del constants
        if function.box is None:
            return {"x": jax.random.normal(key, (2,))}
        low, high = jnp.array(function.box)
        return {"x": low + (high - low) * jax.random.uniform(key, (2,))}

    def objective(constants, params, batch):
        del constants, batch
        return function.value(params["x"][0], params["x"][1])

    return Problem(["of_two_variables", config["problem"]], {}, init, objective)


def dependency_chain(config: Config, streams: Streams) -> Problem:
    """dim x_0^2 + sum of x_{i+1}^2 / (x_i^2 + 1e-6), of dim + 1 parameters that can only be solved in order.

    The original means x_0^2 once, but adds it to each of the dim other terms before it sums. It also reads batches,
    of which nothing depends.
    """
    del streams
    dims = config["dim"]

    def objective(constants, params, batch):
        del constants, batch
        squares = params["x"] ** 2
        return dims * squares[0] + jnp.sum(squares[1:] / (squares[:-1] + EPSILON))

    return Problem(["dependency_chain", dims], {}, _normal_start(dims + 1), objective)


def min_max_well(config: Config, streams: Streams) -> Problem:
    """max x^2 + 1 / min x^2 - 2 + 1e-12: only two parameters have a gradient at a time."""
    del streams
    dims = config["dim"]

    def objective(constants, params, batch):
        del constants, batch
        squares = params["x"] ** 2
        return jnp.max(squares) + 1.0 / jnp.min(squares) - 2.0 + 1e-12

    return Problem(["min_max_well", dims], {}, _normal_start(dims), objective)


def _on_examples(
    name: str,
    config: Config,
    data: _losg_data.Examples,
    objective: Callable[[jax.Array, jax.Array], jax.Array],
) -> Problem:
    """A problem of examples d [example, dim] and x [dim]; objective: (d, x) -> value."""
    dims, batch_size = config["dim"], config["bs"]
    return Problem(
        [name, dims, batch_size],
        {},
        _normal_start(dims),
        lambda constants, params, batch: objective(batch["inputs"], params["x"]),
        {"inputs": data["inputs"]},
        batch_size,
    )


def outward_snake(config: Config, streams: Streams) -> Problem:
    """Sum over d of d_0 / (|x| + 1e-6) + sum ((x_{i+1} - pi cos x_i) d_{i+1})^2: a winding path to infinity."""

    def objective(d, x):
        radial = jnp.sum(d[:, 0]) / (jnp.sqrt(jnp.sum(x**2)) + EPSILON)
        return radial + jnp.sum(((x[1:] - math.pi * jnp.cos(x[:-1])) * d[:, 1:]) ** 2)

    data = _losg_data.random_mlp(streams.data, config["n_samples"], config["dim"])
    return _on_examples("outward_snake", config, data, objective)


def sum_of_quadratics(config: Config, streams: Streams) -> Problem:
    """Sum over d of |x - d|^2 - |d|^2, + 1e-12; least at 0 over the whole set, negative for many a batch."""

    def objective(d, x):
        # x (x - 2 d) = (x - d)^2 - d^2, without the cancellation.
        return jnp.sum(x * (x - 2.0 * d)) + 1e-12

    data = _losg_data.random_symmetric(streams.data, config["n_samples"], config["dim"])
    return _on_examples("sum_of_quadratics", config, data, objective)


def projection_quadratic(config: Config, streams: Streams) -> Problem:
    """Sum over d of sum (x_i d_i)^2."""
    data = _losg_data.random_symmetric(streams.data, config["n_samples"], config["dim"])
    return _on_examples("projection_quadratic", config, data, lambda d, x: jnp.sum((x * d) ** 2))


# name in the configs -> the problem of a config
PROBLEMS: dict[str, Callable[[Config, Streams], Problem]] = {
    "bowl": bowl,
    "dependency_chain": dependency_chain,
    "fully_connected": _losg_classifiers.fully_connected,
    "min_max_well": min_max_well,
    "norm": norm,
    "optimization_test_problems": of_two_variables,
    "outward_snake": outward_snake,
    "projection_quadratic": projection_quadratic,
    "quadratic": quadratic,
    "sparse_softmax_regression": _losg_classifiers.sparse_softmax_regression,
    "sum_of_quadratics": sum_of_quadratics,
}
