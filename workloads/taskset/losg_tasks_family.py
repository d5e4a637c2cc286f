"""TaskSet's `losg_tasks_family`: 14 kinds of small problems from 'Learned optimizers that scale and generalize'.

Wichrowska et al. 2017, arXiv:1703.04813. Configs are exact for every seed; a config is [problem, its numbers, seed].
W and y of `quadratic` and `norm` are the original's own, number by number. Its data, and the base of
`sparse_problems`, differ in every run of the original; ours follow from the config's seed (`losg_data_seed`). The
starting point follows from the key of `init`, as it differs between the original's replicas.

Gradients are the outermost problem's: where a problem is wrapped in another one, its own noise_stdev, although drawn,
has no effect. Noise and zeros change gradients only, never the loss that is reported.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from workloads._workload import Workload
from workloads.taskset import _draws, _losg_problem, _losg_problems
from workloads.taskset._losg_functions import FUNCTIONS
from workloads.taskset._losg_problem import Problem, Streams
from workloads.taskset._losg_task import losg_task
from workloads.taskset.quirks import RELEASED, Quirks

# Second words of the seeds of what the original leaves unseeded, so that no two of its streams are the same.
DATA_STREAM, BASE_STREAM = 1, 2

# what sparse_problems, rescale_problems and log_objective act on, in the order of drawing
BASES = (
    "quadratic",
    "bowl",
    "optimization_test_problems",
    "fully_connected",
    "norm",
    "dependency_chain",
    "outward_snake",
    "min_max_well",
    "sum_of_quadratics",
    "projection_quadratic",
)


def sample(seed: int) -> list:
    """The config of a seed, [problem, its numbers, seed]; keys in the original order.

    Example:
      >>> sample(7)
      ['min_max_well', {'dim': 75, 'noise_stdev': 0.0}, 72346]
    """
    rng = _draws.generator(seed)
    name = _draws.choice(rng, tuple(SAMPLERS))
    return [name, SAMPLERS[name](rng), int(rng.uniform(0, 100000))]


def _noise_stdev(rng: _draws.Rng, noisy: bool) -> float:
    return _draws.log_float(rng, 0.01, 10.0) if noisy else 0.0


def _sample_noisy(rng: _draws.Rng) -> dict[str, Any]:
    noisy = _draws.boolean(rng, 0.5)
    return {"dim": _draws.log_int(rng, 10, 1000), "noise_stdev": _noise_stdev(rng, noisy)}


def _sample_bowl(rng: _draws.Rng) -> dict[str, Any]:
    noisy = _draws.boolean(rng, 0.5)
    return {
        "cond": _draws.log_float(rng, 0.01, 100),
        "angle": _draws.choice(rng, (0.0, 0.0, math.pi / 4.0, math.pi / 3.0)),
        "noise_stdev": _noise_stdev(rng, noisy),
    }


def _sample_sparse_softmax_regression(rng: _draws.Rng) -> dict[str, Any]:
    noisy = _draws.boolean(rng, 0.5)
    return {
        "n_features": _draws.log_int(rng, 2, 100),
        "n_classes": 2,
        "noise_stdev": _noise_stdev(rng, noisy),
        "bs": _draws.log_int(rng, 1, 50),
        "n_samples": _draws.log_int(rng, 1, 30),
    }


def _sample_of_two_variables(rng: _draws.Rng) -> dict[str, Any]:
    noisy = _draws.boolean(rng, 0.5)
    return {"problem": _draws.choice(rng, tuple(FUNCTIONS)), "noise_stdev": _noise_stdev(rng, noisy)}


def _sample_fully_connected(rng: _draws.Rng) -> dict[str, Any]:
    layers = _draws.choice(rng, (2, 3, 4, 5))
    equal = _draws.boolean(rng, 0.5)
    config = {
        "n_features": _draws.log_int(rng, 1, 16),
        "n_classes": 2,
        "activation": _draws.activation(rng),
        "bs": _draws.log_int(rng, 1, 200),
        "n_samples": _draws.log_int(rng, 1, 30),
    }
    drawn = [_draws.log_int(rng, 4, 32) for _ in range(1 if equal else layers)]
    return config | {"hidden_sizes": drawn * layers if equal else drawn}


def _sample_norm(rng: _draws.Rng) -> dict[str, Any]:
    return {"dim": _draws.log_int(rng, 3, 1000), "norm_power": rng.uniform(0.1, 5.0)}


def _sample_with_examples(rng: _draws.Rng) -> dict[str, Any]:
    return {
        "dim": _draws.log_int(rng, 3, 100),
        "bs": _draws.log_int(rng, 1, 200),
        "n_samples": _draws.log_int(rng, 100, 20000),
    }


def _sample_base(rng: _draws.Rng) -> list:
    base = _draws.choice(rng, BASES)
    return [base, SAMPLERS[base](rng)]


def _sample_sparse_problems(rng: _draws.Rng) -> dict[str, Any]:
    noisy = _draws.boolean(rng, 0.5)
    return {
        "base": _sample_base(rng),
        "zero_probability": rng.uniform(0.9, 0.99),
        "noise_stdev": _noise_stdev(rng, noisy),
    }


def _sample_rescale_problems(rng: _draws.Rng) -> dict[str, Any]:
    return {"base": _sample_base(rng), "scale": _draws.log_float(rng, 0.001, 1000.0)}


def _sample_log_objective(rng: _draws.Rng) -> dict[str, Any]:
    return {"base": _sample_base(rng)}


# in the order of drawing
SAMPLERS: dict[str, Callable[[_draws.Rng], dict[str, Any]]] = {
    "bowl": _sample_bowl,
    "dependency_chain": _sample_with_examples,
    "fully_connected": _sample_fully_connected,
    "log_objective": _sample_log_objective,
    "min_max_well": _sample_noisy,
    "norm": _sample_norm,
    "optimization_test_problems": _sample_of_two_variables,
    "outward_snake": _sample_with_examples,
    "projection_quadratic": _sample_with_examples,
    "quadratic": _sample_noisy,
    "rescale_problems": _sample_rescale_problems,
    "sparse_problems": _sample_sparse_problems,
    "sparse_softmax_regression": _sample_sparse_softmax_regression,
    "sum_of_quadratics": _sample_with_examples,
}


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/losg_tasks_family_seed<k>` as released."""
    return from_config(f"taskset/losg_tasks_family_seed{k}", sample(k), data_dir)


def from_config(
    name: str, config: Sequence[Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the family.

    Args:
      name: of the workload.
      config: as `sample` returns it.
      data_dir: not used, all data are generated.
      quirks: `losg_data_seed` says how the data are seeded.
    """
    del data_dir
    kind, numbers, seed = config
    return losg_task(
        name,
        _summary(kind, numbers),
        _problem(kind, numbers, seed, quirks),
        numbers.get("noise_stdev", 0.0),
        numbers.get("zero_probability", 0.0),
    )


def _problem(kind: str, numbers: Mapping[str, Any], seed: int, quirks: Quirks) -> Problem:
    """The problem of a config, all but the changes of its gradients."""
    follows = quirks.losg_data_seed == "config_seed"
    data = np.random.RandomState(seed if follows else [seed, DATA_STREAM])
    if kind not in _losg_problems.PROBLEMS:
        base, base_numbers = numbers["base"]
        unseeded = kind == "sparse_problems" and not follows
        system = np.random.RandomState([seed, BASE_STREAM] if unseeded else seed)
        problem = _losg_problems.PROBLEMS[base](base_numbers, Streams(system, data))
        if kind == "rescale_problems":
            return _losg_problem.rescaled(problem, numbers["scale"])
        return _losg_problem.logarithm(problem) if kind == "log_objective" else problem
    return _losg_problems.PROBLEMS[kind](numbers, Streams(np.random.RandomState(seed), data))


def _summary(kind: str, numbers: Mapping[str, Any]) -> str:
    name, inner = numbers.get("base", (kind, numbers))
    wrapped = {
        "log_objective": "logarithm of ",
        "rescale_problems": f"rescaled by {numbers.get('scale', 1.0):.3g}: ",
        "sparse_problems": f"{numbers.get('zero_probability', 0.0):.0%} of the gradient zero: ",
    }
    what = inner.get("problem", name).replace("_", " ")
    size = f" in {inner['dim']} dimensions" if "dim" in inner else ""
    noise = ", noisy gradients" if numbers.get("noise_stdev", 0.0) else ""
    return f"TaskSet objective, {wrapped.get(kind, '')}{what}{size}{noise}"
