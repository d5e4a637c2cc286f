"""The population engine against the loops a user would write, in the same run.

    python -m benchmarks.population [WORKLOAD]...

Prints one JSON object: trial-steps per second (median and spread over repeats) of the engine at several widths, of a
plain jitted Optax step called from Python for one trial, and of `lax.scan` over one trial; their ratios to the plain
loop; and compile times. Without evaluation, so that only training is compared.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import submissions
import workloads
from tuning import environment
from tuning.population import Population, stack
from workloads import Regularization

STEPS = 200
REPEATS = 5
WIDTHS = (1, 5, 20)
POINT = {"learning_rate": 1e-3, "warmup_fraction": 0.05}


def measure(name: str) -> dict[str, object]:
    """Trial-steps per second of every way to train one workload."""
    workload = workloads.load(name)
    ways = {"plain loop": plain_loop(workload), "scan, 1 trial": scan(workload)}
    for width in WIDTHS:
        ways[f"engine, {width} trials"] = engine(workload, width)
    compile_seconds, rates = {}, {way: [] for way in ways}
    for way, (run, _) in ways.items():
        began = time.perf_counter()
        run()
        compile_seconds[way] = round(time.perf_counter() - began, 2)
    for _ in range(REPEATS):  # ways take turns, so that a busy moment hits them all
        for way, (run, trials) in ways.items():
            began = time.perf_counter()
            run()
            rates[way].append(trials * STEPS / (time.perf_counter() - began))
    medians = {way: statistics.median(values) for way, values in rates.items()}
    return {
        "workload": name,
        "trial_steps_per_second": {
            way: {"median": round(medians[way]), "min": round(min(v)), "max": round(max(v))}
            for way, v in rates.items()
        },
        "ratio_to_plain_loop": {way: round(medians[way] / medians["plain loop"], 2) for way in ways},
        "first_call_seconds": compile_seconds,
    }


def engine(workload: workloads.Workload, width: int):
    """The population engine: one program for all trials."""
    optimizer = submissions.optimizer("nadamw_optax")
    population = Population(workload, optimizer.rule, STEPS, STEPS)
    hyperparameters = stack([optimizer.prepare(POINT, STEPS)] * width)
    seeds, order = np.arange(width, dtype=np.uint32), np.zeros(1, np.uint32)
    return lambda: population.run(hyperparameters, seeds, order), width


def _step(workload: workloads.Workload):
    optimizer = submissions.optimizer("nadamw_optax")
    rule = optimizer(optimizer.prepare(POINT, STEPS), STEPS)

    def step(state, batch, key):
        params, model_state, opt_state = state
        grads, model_state = jax.grad(workload.loss, has_aux=True)(
            params, model_state, batch, key, True, Regularization()
        )
        updates, opt_state = rule.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), model_state, opt_state

    params, model_state = workload.init(jax.random.key(0))
    return step, (params, model_state, rule.init(params))


def plain_loop(workload: workloads.Workload):
    """One trial as a user writes it: a jitted step called from Python, the batch cut with NumPy."""
    step, start = _step(workload)
    jitted = jax.jit(step)
    split = workload.data.splits[workload.eval_splits["train"]]
    examples = workload.data.size(workload.eval_splits["train"])

    def run() -> None:
        rng, state, key = np.random.default_rng(0), start, jax.random.key(1)
        for i in range(STEPS):
            rows = rng.integers(examples, size=workload.batch_size)
            state = jitted(state, {k: v[rows] for k, v in split.items()}, jax.random.fold_in(key, i))
        jax.block_until_ready(state)

    return run, 1


def scan(workload: workloads.Workload):
    """One trial as one program."""
    step, start = _step(workload)
    split = {k: jnp.asarray(v) for k, v in workload.data.splits[workload.eval_splits["train"]].items()}
    examples = workload.data.size(workload.eval_splits["train"])

    @jax.jit
    def train(state, split):
        def body(state, key):
            rows = jax.random.randint(key, (workload.batch_size,), 0, examples)
            return step(state, {k: v[rows] for k, v in split.items()}, key), None

        return jax.lax.scan(body, state, jax.random.split(jax.random.key(1), STEPS))[0]

    return lambda: jax.block_until_ready(train(start, split)), 1


if __name__ == "__main__":
    names = sys.argv[1:] or workloads.representatives()
    made_by = {"device": environment.device(), "versions": environment.versions()}
    print(json.dumps({**made_by, "results": [measure(name) for name in names]}, indent=1))
