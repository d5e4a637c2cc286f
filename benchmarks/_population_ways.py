"""Ways to train: a plain loop, a scan over one trial, and the population engine. All with Adam, on the same data."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from submissions import from_optax
from tuning.engine.population import Evaluation, Population
from workloads import Regularization, Workload

LEARNING_RATE = 1e-4
PEAK_SIZE = 2048  # of the square matrices whose product is the peak

Run = Callable[[], None]


def adam(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """`optax.adam` with a learning rate that may be traced."""
    del total_steps
    return optax.adam(hyperparameters["learning_rate"])


RULE = from_optax(adam)


def peak() -> tuple[Run, int]:
    """One product of two large matrices in float32, and its operations: what the machine can do at best."""
    a = jnp.ones((PEAK_SIZE, PEAK_SIZE), jnp.float32)
    multiply = jax.jit(jnp.matmul)
    return lambda: jax.block_until_ready(multiply(a, a)), 2 * PEAK_SIZE**3


def plain_loop(workload: Workload, steps: int) -> Run:
    """One trial as a user writes it: a jitted step called from Python, the batch cut with NumPy."""
    step, start, source, batch_size = _step(workload), _start(workload), workload.data, workload.batch_size
    split = workload.eval_splits["train"]
    size = source.size(split)

    @jax.jit
    def train_step(state, stored, key, number):
        draw_key, loss_key = jax.random.split(jax.random.fold_in(key, number))
        rows = jnp.arange(batch_size if stored else 0)
        return step(state, source.batch(stored, rows, draw_key, split, batch_size), loss_key)

    def run() -> None:
        rng, state, key = np.random.default_rng(0), start, jax.random.key(1)
        for number in range(steps):
            rows = rng.integers(size or 1, size=batch_size)
            batch = {field: values[rows] for field, values in source.arrays(split).items()}
            state = train_step(state, batch, key, number)
        jax.block_until_ready(state)

    return run


def scan(workload: Workload, steps: int) -> Run:
    """One trial as one program: a scan over steps, data on the device."""
    step, start, source = _step(workload), _start(workload), workload.data
    split = workload.eval_splits["train"]
    stored = {field: jnp.asarray(values) for field, values in source.arrays(split).items()}

    @jax.jit
    def train(state, stored, key):
        def body(state, key):
            draw_key, loss_key = jax.random.split(key)
            return step(state, source.fresh(stored, draw_key, split, workload.batch_size), loss_key), None

        return jax.lax.scan(body, state, jax.random.split(key, steps))[0]

    return lambda: jax.block_until_ready(train(start, stored, jax.random.key(1)))


def engine(workload: Workload, steps: int, trials: int, width: int | None = None) -> tuple[Run, Population]:
    """The population engine on trials that share batches, evaluated once, on one batch per split."""
    population = Population(workload, RULE, steps, steps, evaluation=Evaluation(batches=1), width=width)
    rates = {"learning_rate": LEARNING_RATE * np.linspace(0.5, 1, trials)}
    seeds, order = np.arange(trials, dtype=np.uint32), np.zeros(1, np.uint32)

    def run() -> None:
        curves = population.run(rates, seeds, order)
        if (curves.diverged_step >= 0).any():
            raise ValueError(
                f"{workload.name}: trials diverged at {LEARNING_RATE}; a benchmark must not measure that"
            )

    return run, population


def long_engine(
    workload: Workload, trials: int, width: int | None, duration: float
) -> tuple[Run, Population, int]:
    """The engine on so many steps that a call takes about three times the duration, by the engine's own rate.

    Then initialisation and evaluation, which the other ways leave out, are a few per cent. The rate is only known once
    it runs, and a short run on an accelerator is mostly start-up: steps grow until a call is long enough.

    Returns:
      The call, its population, and its steps.
    """
    steps = 40
    while True:
        run, population = engine(workload, steps, trials, width)
        run()
        took = seconds(run)
        if took > 1.5 * duration:
            return run, population, steps
        steps = round(steps * min(20.0, 3 * duration / took))


def seconds(run: Run) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _step(workload: Workload) -> Callable[..., Any]:
    optimizer = adam({"learning_rate": LEARNING_RATE}, 0)

    def step(state, batch, key):
        params, model_state, opt_state = state
        grads, model_state = jax.grad(workload.loss, has_aux=True)(
            params, model_state, batch, key, True, Regularization()
        )
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        if workload.constraint:
            params = workload.constraint(params)
        return params, model_state, opt_state

    return step


def _start(workload: Workload) -> Any:
    params, model_state = jax.jit(workload.init)(jax.random.key(0))
    return params, model_state, adam({"learning_rate": LEARNING_RATE}, 0).init(params)
