"""A losg problem as a workload: mini-batches, changed gradients, and the program that equal structures share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workloads._source import Batch, GeneratedData, Provenance, ResidentData
from workloads._workload import Functions, SharedProgram, Workload
from workloads.taskset import _losg_data, _losg_gradients, _task
from workloads.taskset._losg_problem import Problem

WITHOUT_EXAMPLES = Provenance("synthetic", "no examples: an objective with numbers from the config's seed")


def losg_task(
    name: str, summary: str, problem: Problem, noise_stdev: float = 0.0, zero_probability: float = 0.0
) -> Workload:
    """The workload of a problem. Problems that differ in their numbers only share a program.

    Args:
      name, summary: of the workload.
      problem: the objective, the start, and the examples if it needs any.
      noise_stdev: standard deviation of the noise in gradients.
      zero_probability: probability that an entry of a gradient is set to zero.
    """
    noisy, sparse = noise_stdev > 0.0, zero_probability > 0.0
    constants = dict(problem.constants)
    if noisy:
        constants["noise_stdev"] = np.asarray(noise_stdev, np.float32)
    if sparse:
        constants["zero_probability"] = np.asarray(zero_probability, np.float32)
    bind = _binder(problem, noisy, sparse)
    structure = {"family": "losg", "problem": problem.structure, "noisy": noisy, "sparse": sparse}
    return _task.task(
        name,
        "objective",
        summary,
        bind(constants),
        _data(problem),
        problem.batch_size,
        problem.loss_type,
        SharedProgram(json.dumps(structure), constants, bind),
    )


def _data(problem: Problem) -> ResidentData | GeneratedData:
    """All four splits are the same examples, as in the original."""
    if problem.data is None:
        return GeneratedData(lambda key, examples: {}, WITHOUT_EXAMPLES, _task.SPLITS)
    examples = len(problem.data["inputs"])
    train = _losg_data.tiled(problem.data, problem.batch_size)
    provenance = Provenance(
        "synthetic", f"{examples:,} random examples by TaskSet's recipe, in all four splits"
    )
    return ResidentData(dict.fromkeys(_task.SPLITS, train), provenance)


def _binder(problem: Problem, noisy: bool, sparse: bool) -> Callable[[Mapping[str, Any]], Functions]:
    """bind of `SharedProgram` for a problem; nothing but its structure and the two switches matters here."""

    def bind(constants):
        def init(key):
            return problem.init(constants, key), ()

        def loss(params, model_state, batch, key, train, regularization):
            del train, regularization
            if not (noisy or sparse):
                return problem.objective(constants, params, batch), model_state
            change = _losg_gradients.Change(
                noisy, sparse, constants.get("noise_stdev"), constants.get("zero_probability")
            )
            deviation = problem.deviation(params, batch) if problem.deviation and noisy else None
            value = _losg_gradients.changed(
                lambda params: problem.objective(constants, params, batch), params, key, change, deviation
            )
            return value, model_state

        def metrics(params, model_state, batch, key):
            del model_state, key
            if not batch:
                value = problem.objective(constants, params, batch)
                return {"loss": value, "examples": jnp.float32(1.0)}
            values = jax.vmap(lambda batch: problem.objective(constants, params, batch))(
                _mini_batches(batch, problem.batch_size)
            )
            examples = float(len(values) * problem.batch_size)
            return {"loss": problem.batch_size * jnp.sum(values), "examples": jnp.float32(examples)}

        return Functions(init, loss, metrics)

    return bind


def _mini_batches(batch: Batch, size: int) -> dict[str, jax.Array]:
    """Examples cut into mini-batches of the training size, field -> [mini-batch, size, ...].

    Most objectives are sums over a mini-batch, or functions of such a sum, and mean nothing for another size.
    Examples that fill no mini-batch are dropped; fewer than one mini-batch are repeated until they fill one.
    """
    examples = len(next(iter(batch.values())))
    count = max(1, examples // size)
    rows = np.arange(count * size).reshape(count, size) % examples
    return {field: values[rows] for field, values in batch.items()}
