"""Whether a workload trains at all: a few steps of Adam, at the first learning rate that keeps them finite."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from workloads import Functions, Regularization, Workload

STEPS = 20
LEARNING_RATES = (1e-3, 1e-5, 1e-7)

# The program runs for seconds, so the time goes into compiling it.
CPU_COMPILER_OPTIONS: dict[str, str | bool] = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": True,
}


@dataclasses.dataclass(frozen=True)
class FirstSteps:
    """What the first steps of a workload gave.

    Attributes:
      learning_rate: the first that kept every loss and all parameters finite; None if none did.
      losses: [step], the training losses at the last learning rate that was tried.
      compile_seconds, seconds_per_step: wall time.
    """

    learning_rate: float | None
    losses: np.ndarray
    compile_seconds: float
    seconds_per_step: float


def first_steps(
    workload: Workload,
    *,
    steps: int = STEPS,
    learning_rates: Sequence[float] = LEARNING_RATES,
    seed: int = 0,
) -> FirstSteps:
    """Trains a workload for a few steps with Adam (Kingma and Ba 2015, betas .9 and .999).

    Args:
      workload: what is tried.
      steps: updates per learning rate.
      learning_rates: tried in this order until one keeps losses and parameters finite.
      seed: of initialisation and batches.

    Returns:
      What happened; nothing is raised for losses that are not finite.
    """
    constants, batches = _constants(workload), _batches(workload, steps, seed)
    inputs = (constants, batches, jax.random.key(seed), jnp.float32(learning_rates[0]))
    began = time.perf_counter()
    options = CPU_COMPILER_OPTIONS if jax.default_backend() == "cpu" else None
    program = jax.jit(_program(workload, steps)).lower(*inputs).compile(compiler_options=options)
    compiled = time.perf_counter()
    found, losses, tried = None, np.zeros(0), 0
    for rate in learning_rates:
        values, finite = program(*inputs[:3], jnp.float32(rate))
        losses, tried = np.asarray(values), tried + 1
        if np.isfinite(losses).all() and bool(finite):
            found = float(rate)
            break
    return FirstSteps(found, losses, compiled - began, (time.perf_counter() - compiled) / (tried * steps))


def _constants(workload: Workload) -> dict[str, jax.Array]:
    return {k: jnp.asarray(v) for k, v in workload.shared.constants.items()} if workload.shared else {}


def _batches(workload: Workload, steps: int, seed: int) -> dict[str, np.ndarray]:
    """[step, example, ...], cut on the host so that the data set itself never enters the program."""
    if not workload.data.on_device:
        raise ValueError(
            f"{workload.name}: its data are streamed; its first steps are taken by 'shortlist tune'"
        )
    split = workload.eval_splits["train"]
    examples = workload.data.size(split) or 1
    rows = np.random.default_rng(seed).integers(examples, size=(steps, workload.batch_size))
    return {field: values[rows] for field, values in workload.data.arrays(split).items()}


def _program(workload: Workload, steps: int) -> Any:
    adam = optax.scale_by_adam()
    data, split = workload.data, workload.eval_splits["train"]

    def train(constants, batches, key, learning_rate):
        functions = Functions(workload.init, workload.loss, workload.metrics)
        if workload.shared:
            functions = workload.shared.bind(constants)
        init_key, *step_keys = jax.random.split(key, 3)
        params, model_state = functions.init(init_key)

        def step(state, number_and_batch):
            number, batch = number_and_batch
            params, model_state, moments = state
            batch_key, loss_key = (jax.random.fold_in(k, number) for k in step_keys)
            rows = jnp.arange(workload.batch_size if batch else 0)
            batch = data.batch(batch, rows, batch_key, split, workload.batch_size)
            (loss, model_state), gradients = jax.value_and_grad(functions.loss, has_aux=True)(
                params, model_state, batch, loss_key, True, Regularization()
            )
            directions, moments = adam.update(gradients, moments)
            params = jax.tree.map(lambda x, u: x - learning_rate * u, params, directions)
            return (params, model_state, moments), loss

        state = (params, model_state, adam.init(params))
        (params, _, _), losses = jax.lax.scan(step, state, (jnp.arange(steps), batches))
        finite = jnp.array([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()
        return losses, finite

    return train
