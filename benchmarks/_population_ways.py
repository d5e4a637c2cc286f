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
from workloads import GeneratedData, Regularization, ResidentData, Workload

LEARNING_RATE = 1e-4
PEAK_SIZE = 2048  # of the square matrices whose product is the peak

Run = Callable[[], None]


def adam(hyperparameters: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.adam` with a learning rate that may be traced."""
    del horizon
    return optax.adam(hyperparameters["learning_rate"])


RULE = from_optax(adam)


def peak() -> tuple[Run, int]:
    """One product of two large matrices in float32, and its operations: what the machine can do at best."""
    a = jnp.ones((PEAK_SIZE, PEAK_SIZE), jnp.float32)
    multiply = jax.jit(jnp.matmul)
    return lambda: jax.block_until_ready(multiply(a, a)), 2 * PEAK_SIZE**3


def _source(workload: Workload) -> ResidentData | GeneratedData:
    if not isinstance(workload.data, ResidentData | GeneratedData):
        raise TypeError(f"{workload.name}: the ways compared here need resident or generated data")
    return workload.data


def plain_loop(workload: Workload, steps: int) -> Run:
    """One trial as a user writes it: a jitted step called from Python, the batch cut with NumPy."""
    step, start, source = _step(workload), _start(workload), _source(workload)
    split = workload.eval_splits["train"]

    @jax.jit
    def train_step(state, batch, key, number):
        draw_key, loss_key = jax.random.split(jax.random.fold_in(key, number))
        if isinstance(source, GeneratedData):
            batch = source.draw(draw_key, workload.batch_size)
        elif source.transform:
            batch = source.transform(draw_key, batch, split)
        return step(state, batch, loss_key)

    def run() -> None:
        rng, state, key = np.random.default_rng(0), start, jax.random.key(1)
        for number in range(steps):
            batch: dict[str, Any] = {}
            if not isinstance(source, GeneratedData):
                rows = rng.integers(source.size(split), size=workload.batch_size)
                batch = {field: values[rows] for field, values in source.splits[split].items()}
            state = train_step(state, batch, key, number)
        jax.block_until_ready(state)

    return run


def scan(workload: Workload, steps: int) -> Run:
    """One trial as one program: a scan over steps, data on the device."""
    step, start, source = _step(workload), _start(workload), _source(workload)
    split = workload.eval_splits["train"]
    stored = {}
    if not isinstance(source, GeneratedData):
        stored = {field: jnp.asarray(values) for field, values in source.splits[split].items()}

    @jax.jit
    def train(state, stored, key):
        def body(state, key):
            rows_key, draw_key, loss_key = jax.random.split(key, 3)
            if isinstance(source, GeneratedData):
                batch = source.draw(draw_key, workload.batch_size)
            else:
                rows = jax.random.randint(rows_key, (workload.batch_size,), 0, source.size(split))
                batch = {field: values[rows] for field, values in stored.items()}
                batch = source.transform(draw_key, batch, split) if source.transform else batch
            return step(state, batch, loss_key), None

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
