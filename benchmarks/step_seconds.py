"""How long a training step of VeLO's tasks takes on this machine, and the model that predicts it.

    python -m benchmarks.step_seconds [--per-family 12] [--out tuning/meta_training/step_seconds.json]

Times steps of Adam, scanned, of seeds whose work is small enough to be tried, and fits seconds = a + b operations +
c FLOPs of products + d FLOPs of convolutions + e parameters + f turns, all coefficients positive, by least squares of
relative errors. Prints how far the predictions are from what was measured, and how far those of a family are where the
model is fitted without it; `--out` keeps the coefficients. To be run with nothing else on the machine.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import time

import jax
import numpy as np
import optax
import scipy.optimize

import workloads
from tuning.meta_training import parametric
from workloads import Regularization, velo

MOST = 1e9  # FLOPs a step: what is dearer is not tried
SECONDS = 0.5  # of a measurement, at least


def measured(name: str) -> float:
    """Processor seconds of a step of Adam, the best of three scans over one batch: others on the machine count less."""
    task = workloads.load(name)
    batch = next(task.data.stream("train", jax.random.key(0), task.batch_size))
    params, model_state = task.init(jax.random.key(1))
    rule = optax.adam(1e-4)

    def step(carry, key):
        params, model_state, opt = carry

        def loss(p):
            return task.loss(p, model_state, batch, key, True, Regularization())

        (value, model_state), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt = rule.update(grads, opt)
        return (optax.apply_updates(params, updates), model_state, opt), value

    def of(steps: int):
        run = jax.jit(lambda carry, key: jax.lax.scan(step, carry, jax.random.split(key, steps)))
        carry = jax.block_until_ready(run((params, model_state, rule.init(params)), jax.random.key(2)))
        del carry
        best = np.inf
        for _ in range(3):
            start = time.process_time()
            jax.block_until_ready(run((params, model_state, rule.init(params)), jax.random.key(2)))
            best = min(best, time.process_time() - start)
        return best

    first = of(5) / 5
    steps = int(np.clip(SECONDS / 3 / first, 5, 2000))
    return of(steps) / steps


def fitted(matrix: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Coefficients, none negative, of least squares of relative errors."""
    return scipy.optimize.nnls(matrix / seconds[:, None], np.ones(len(seconds)))[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-family", type=int, default=12, metavar="N")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE")
    asked = parser.parse_args()
    rows, seconds, names = [], [], []
    for family in velo.FAMILIES:
        tried = [seed for seed in range(400) if velo.work(family, seed).flops < MOST][: asked.per_family]
        for seed in tried:
            rows.append(parametric.counts_of_step(velo.work(family, seed)))
            seconds.append(measured(f"velo/{family}_seed{seed}"))
            names.append(f"{family}_seed{seed}")
            print(f"{names[-1]:24} {seconds[-1]:9.3g} s", flush=True)
    matrix, times = np.asarray([list(row.values()) for row in rows]), np.asarray(seconds)
    found = fitted(matrix, times)
    ratio = matrix @ found / times
    print("seconds = " + " + ".join(f"{c:.3g} {name}" for c, name in zip(found, rows[0], strict=True)))
    print(
        f"predicted / measured: quartiles {np.percentile(ratio, [25, 50, 75]).round(2)}, extremes {ratio.min():.2f} "
        f"to {ratio.max():.2f}, on {jax.devices()[0].device_kind}"
    )
    for family in velo.FAMILIES:
        own = np.array([name.startswith(f"{family}_seed") for name in names])
        without = matrix[own] @ fitted(matrix[~own], times[~own]) / times[own]
        print(f"  {family:16} {np.median(ratio[own]):.2f}, fitted without it {np.median(without):.2f}")
    if asked.out:
        kept = {name: float(f"{c:.4g}") for c, name in zip(found, rows[0], strict=True)}
        asked.out.write_text(json.dumps({"cpu": kept}, indent=1) + "\n")


if __name__ == "__main__":
    main()
