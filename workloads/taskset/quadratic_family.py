"""TaskSet's `quadratic_family`: loss_scale * f(|A x|^2) in 2 to 3,000 dimensions, f the identity or a logarithm.

A is a fixed matrix; half of the tasks add a matrix N to it, drawn afresh for every batch (`_quadratic_noise`), in
evaluation too. Configs are exact for every seed. A and the starting point follow from the config's seed, as in the
original, but by NumPy's generator: TensorFlow's numbers cannot be rebuilt, only their distributions. (The linear and
constant terms that the paper mentions are zero in the code.)

The original seeds the starting point with the config, so all replicas share it, and so do ours: `init` ignores its
key. Replicas differ by N alone, and without N not at all.

N is the batch of these tasks, as in the original: `data.draw` gives the seeds of its matrices. Trials that share
batches therefore share the random numbers of N, which are then drawn once for all of them.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import threadpoolctl

from workloads._source import GeneratedData, Provenance
from workloads._workload import Functions, SharedProgram, Workload
from workloads.taskset import _draws, _quadratic_noise, _task
from workloads.taskset.quirks import RELEASED, Quirks

SMALLEST_EIGENVALUE = 1e-5  # of every logspace_eigen
START_STREAM, MATRIX_STREAM = 1, 2  # added to the config's seed, as in the original
PROVENANCE = Provenance(
    "synthetic", "no examples; NumPy draws the matrix of the quadratic from the config's seed"
)


class _Ranges(NamedTuple):
    """From where the numbers of a distribution over matrices are drawn."""

    mean: float  # standard deviation of the mean, itself normal
    std: float  # largest
    min: tuple[float, float]  # of uniform entries
    width: float  # largest max - min of uniform entries
    eigenvalue: float  # largest smallest eigenvalue of linspace_eigen; 0.01 is the smallest
    spread: float  # largest difference between the outer eigenvalues of linspace_eigen
    top: float  # largest largest eigenvalue of logspace_eigen; 1 is the smallest


_MATRIX = _Ranges(1.0, 2.0, (-3.0, 1.0), 5.0, 50.0, 100.0, 1000.0)
_NOISE = _Ranges(0.05, 0.05, (-0.15, 0.05), 0.25, 2.0, 10.0, 10.0)


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order.

    Example:
      >>> config = sample(2)
      >>> config["A_dist"][0], config["dims"], config["output_fn"], config["noise"]
      ('normal', 70, 'log', None)
    """
    rng = _draws.generator(seed)
    return {
        "A_dist": _sample_matrix(rng, _MATRIX),
        "initial_dist": _sample_vector(rng),
        "output_fn": _draws.choice(rng, ("identity", "log")),
        "dims": _draws.log_int(rng, 2, 3000),
        "seed": int(rng.randint(0, 100000)),
        "loss_scale": _draws.log_float(rng, 1e-5, 1e3),
        "noise": {"A_noise": _sample_matrix(rng, _NOISE)} if _draws.choice(rng, (True, False)) else None,
    }


def _sample_matrix(rng: _draws.Rng, ranges: _Ranges) -> list:
    """[kind, numbers] of a distribution over matrices."""
    kind = _draws.choice(rng, ("normal", "linspace_eigen", "uniform", "logspace_eigen"))
    if kind == "normal":
        return [kind, {"mean": rng.normal(0.0, ranges.mean), "std": rng.uniform(0.0, ranges.std)}]
    if kind == "logspace_eigen":
        return [kind, {"min": SMALLEST_EIGENVALUE, "max": rng.uniform(1.0, ranges.top)}]
    low, width = (
        (ranges.min, ranges.width) if kind == "uniform" else ((0.01, ranges.eigenvalue), ranges.spread)
    )
    least = rng.uniform(*low)
    return [kind, {"min": least, "max": least + rng.uniform(0.0, width)}]


def _sample_vector(rng: _draws.Rng) -> list:
    """[kind, numbers] of the distribution of the starting point."""
    kind = _draws.choice(rng, ("normal", "uniform"))
    if kind == "normal":
        return [kind, {"mean": rng.normal(0.0, 1.0), "std": rng.uniform(0.0, 2.0)}]
    least = rng.uniform(-5.0, 2.5)
    return [kind, {"min": least, "max": least + rng.uniform(0.0, 5.0)}]


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/quadratic_family_seed<k>` as released."""
    return from_config(f"taskset/quadratic_family_seed{k}", sample(k), data_dir)


def from_config(
    name: str, config: Mapping[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the family. Tasks that differ in their numbers only share a program.

    Args:
      name: of the workload.
      config: as `sample` returns it.
      data_dir: not used, there are no data to read.
      quirks: none concerns this family.
    """
    del data_dir, quirks
    dims, noise = config["dims"], config["noise"] and config["noise"]["A_noise"]
    constants = {
        "matrix": _fixed_matrix(config["A_dist"], dims, _draws.generator(config["seed"] + MATRIX_STREAM)),
        "start": _entries(config["initial_dist"], (dims,), _draws.generator(config["seed"] + START_STREAM)),
        "loss_scale": np.asarray(config["loss_scale"], np.float32),
    }
    kind = None
    if noise:
        kind, numbers = _noise_numbers(noise, dims)
        constants |= {f"noise_{number}": value for number, value in numbers.items()}
    bind = _binder(config["output_fn"], kind)
    structure = {"family": "quadratic", "dims": dims, "output_fn": config["output_fn"], "noise": kind}
    return _task.task(
        name,
        "objective",
        _summary(config),
        bind(constants),
        GeneratedData(_draw_seeds if kind else _draw_nothing, PROVENANCE, _task.SPLITS),
        batch_size=1,
        loss_type="MEAN_SQUARED_ERROR",
        shared=SharedProgram(json.dumps(structure, sort_keys=True), constants, bind),
    )


def _binder(output_fn: str, noise: str | None) -> Callable[[Mapping[str, Any]], Functions]:
    """bind of `SharedProgram` for an output function and a kind of noise."""

    def bind(constants):
        matrix = constants["matrix"]
        numbers = {k.removeprefix("noise_"): v for k, v in constants.items() if k.startswith("noise_")}

        def output(square):
            value = square if output_fn == "identity" else jnp.log(jnp.maximum(square, 0.0) + 1e-8)
            return value * constants["loss_scale"]

        def value(x, seed):
            if noise is None:
                return output(jnp.sum((matrix @ x) ** 2))
            key = jax.random.wrap_key_data(seed)
            return output(_quadratic_noise.noisy_square(noise, numbers, matrix, x, key))

        def init(key):
            del key
            return {"x": jnp.asarray(constants["start"])}, ()

        def loss(params, model_state, batch, key, train, regularization):
            del key, train, regularization
            # A batch of training is one matrix.
            return value(params["x"], batch["noise"][0] if noise else None), model_state

        def metrics(params, model_state, batch, key):
            del model_state, key
            if noise is None:
                return {"loss": value(params["x"], None), "examples": jnp.float32(1.0)}
            losses = jax.lax.map(lambda seed: value(params["x"], seed), batch["noise"])
            return {"loss": jnp.sum(losses), "examples": jnp.float32(len(losses))}

        return Functions(init, loss, metrics)

    return bind


def _draw_seeds(key: jax.Array, examples: int) -> dict[str, jax.Array]:
    """One seed for every matrix N."""
    return {"noise": jax.random.key_data(jax.random.split(key, examples))}


def _draw_nothing(key: jax.Array, examples: int) -> dict[str, jax.Array]:
    del key, examples
    return {}


def _fixed_matrix(distribution: list, dims: int, rng: _draws.Rng) -> np.ndarray:
    """A, on the host. With a given spectrum Q diag(spectrum) Q^T, Q from the QR of U(-1, 1) with positive diagonal."""
    kind, numbers = distribution
    if kind in ("normal", "uniform"):
        return _entries(distribution, (dims, dims), rng)
    entries = rng.uniform(-1.0, 1.0, (dims, dims)).astype(np.float32)
    # On one thread, A does not depend on how many there are; and more only wait for each other on busy cores.
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        # SciPy factorises in single precision, NumPy in double.
        factors: Any = scipy.linalg.qr(entries)
        q, r = factors
        q *= np.sign(np.diag(r))
        return (q * _spectrum(kind, numbers, dims)) @ q.T


def _entries(distribution: list, shape: tuple[int, ...], rng: _draws.Rng) -> np.ndarray:
    """Independent entries, normal or uniform."""
    kind, numbers = distribution
    if kind == "normal":
        return rng.normal(numbers["mean"], numbers["std"], shape).astype(np.float32)
    return rng.uniform(numbers["min"], numbers["max"], shape).astype(np.float32)


def _spectrum(kind: str, numbers: Mapping[str, float], dims: int) -> np.ndarray:
    """Eigenvalues from min to max at equal distances, or at equal ratios."""
    space = np.linspace if kind == "linspace_eigen" else np.geomspace
    return space(numbers["min"], numbers["max"], dims).astype(np.float32)


def _noise_numbers(distribution: list, dims: int) -> tuple[str, dict[str, np.ndarray]]:
    """Kind and numbers as `_quadratic_noise` takes them."""
    kind, numbers = distribution
    if kind.endswith("_eigen"):
        return "spectrum", {"spectrum": _spectrum(kind, numbers, dims)}
    return kind, {number: np.asarray(value, np.float32) for number, value in numbers.items()}


def _summary(config: Mapping[str, Any]) -> str:
    logarithm = "logarithm of a " if config["output_fn"] == "log" else ""
    noise = f", {config['noise']['A_noise'][0]} noise" if config["noise"] else ""
    return f"TaskSet {logarithm}quadratic in {config['dims']} dimensions, {config['A_dist'][0]} matrix{noise}"
