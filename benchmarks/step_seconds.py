"""How long a training step of VeLO's tasks takes on this machine, and the model that predicts it.

    python -m benchmarks.step_seconds [--per-family 12] [--out tuning/meta_training/step_seconds.json]

Times steps of Adam, scanned, of seeds whose work is small enough to be tried, and fits seconds = a + b operations +
c FLOPs + d parameters + e turns, all coefficients positive, by least squares of relative errors. Prints how far the
predictions are from what was measured; `--out` keeps the coefficients.
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
from workloads import Regularization, velo

MOST = 1e9  # FLOPs a step: what is dearer is not tried
SECONDS = 0.5  # of a measurement, at least
NAMES = ("", "operations", "FLOPs", "parameters", "turns")


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
            work = velo.work(family, seed)
            rows.append((1.0, work.operations, work.flops, work.parameters, work.turns))
            seconds.append(measured(f"velo/{family}_seed{seed}"))
            names.append(f"{family}_seed{seed}")
            print(f"{names[-1]:24} {seconds[-1]:9.3g} s", flush=True)
    matrix, times = np.asarray(rows), np.asarray(seconds)
    found, _ = scipy.optimize.nnls(matrix / times[:, None], np.ones(len(times)))
    ratio = matrix @ found / times
    print("seconds = " + " + ".join(f"{c:.3g} {n}" for c, n in zip(found, NAMES, strict=True)))
    print(
        f"predicted / measured: quartiles {np.percentile(ratio, [25, 50, 75]).round(2)}, extremes {ratio.min():.2f} "
        f"to {ratio.max():.2f}, on {jax.devices()[0].device_kind}"
    )
    for family in velo.FAMILIES:
        own = [r for r, name in zip(ratio, names, strict=True) if name.startswith(f"{family}_seed")]
        print(f"  {family:16} {np.median(own):.2f}")
    if asked.out:
        asked.out.write_text(json.dumps({"cpu": [float(f"{c:.4g}") for c in found]}) + "\n")


if __name__ == "__main__":
    main()
