"""Inner steps per second of meta-training, ours and learned_optimization's, on one small image perceptron.

    python -m benchmarks.meta_training --tasks 8,64
    git clone https://github.com/google/learned_optimization LO
    pip install dm-haiku==0.0.17 gin-config==0.5.0
    python -m benchmarks.meta_training --tasks 8,64 --reference LO

The perceptron: 8x8x3 random images, one hidden layer of 32, batches of 64, 10 classes. An inner step is one training
step of one task with one sign of the perturbation. Both take whole outer steps, Adam on the weights included, in turns
in one process: windows of 20 steps of persistent evolution strategies, tasks of 200 steps; or whole trainings of 100.
Wall-clock rates are of the best turn; rates per second of processor time are of all turns, and move less on a machine
that others use too. learned_optimization is read from where it is, unmodified, with its defaults (10 steps per program,
signs one after the other); what it lacks on a current JAX is put in its place in memory.
"""

from __future__ import annotations

# pyright: reportMissingImports=false
import argparse
import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.learned_optimization import importable_from
from submissions.learned import LEARNED
from tuning.meta_training.distribution import Task
from tuning.meta_training.estimators import FullES, PersistentES
from tuning.meta_training.plan import Plan
from tuning.meta_training.schedules import Lengths
from tuning.meta_training.training import MetaTraining
from workloads import Functions, Metric, Provenance, ResidentData, SharedProgram, Workload
from workloads.products import product

INPUTS, HIDDEN, CLASSES, BATCH, EXAMPLES = 192, 32, 10, 64, 2048
WINDOW, LENGTH, FULL_LENGTH = 20, 200, 100
CLASSES_OF = {"learnable_adam": "LearnableAdam", "mlp_lopt": "MLPLOpt", "adafac_mlp_lopt": "AdafacMLPLOpt"}
OuterStep = Callable[[], int]  # takes one, and returns its inner steps


def init(key: jax.Array) -> dict[str, jax.Array]:
    keys = jax.random.split(key)
    return {
        "w0": jax.random.normal(keys[0], (INPUTS, HIDDEN)) / INPUTS**0.5,
        "b0": jnp.zeros(HIDDEN),
        "w1": jax.random.normal(keys[1], (HIDDEN, CLASSES)) / HIDDEN**0.5,
        "b1": jnp.zeros(CLASSES),
    }


def loss(p: Any, x: jax.Array, y: jax.Array, product: Callable[..., Any]) -> jax.Array:
    logits = product(jax.nn.relu(product(x, p["w0"]) + p["b0"]), p["w1"]) + p["b1"]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))


def images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(EXAMPLES, INPUTS)).astype(np.float32)
    return {"inputs": x, "targets": rng.integers(0, CLASSES, EXAMPLES).astype(np.int32)}


def workload() -> Workload:
    def of_batch(params, model_state, batch, key, train, regularization):
        del key, train, regularization
        return loss(params, batch["inputs"], batch["targets"], product), model_state

    def metrics(params, model_state, batch, key):
        return {"loss": of_batch(params, model_state, batch, key, False, None)[0], "examples": jnp.float32(1)}

    functions = Functions(lambda key: (init(key), ()), of_batch, metrics)
    data = images()
    return Workload(
        "benchmark/perceptron", "mlp", "A perceptron on random images.", *functions[:3],
        data=ResidentData(dict.fromkeys(("train", "validation", "test"), data), Provenance("synthetic", "random")),
        metric=Metric("loss", minimize=True), validation_target=None, test_target=None, step_hint=LENGTH,
        eval_period=LENGTH, batch_size=BATCH, loss_type="SOFTMAX_CROSS_ENTROPY",
        shared=SharedProgram("benchmark perceptron", {}, lambda constants: functions),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class One:
    """A distribution of one task."""

    task: Task
    names = ("benchmark/perceptron",)

    def draw(self, key, outer_step):
        del key, outer_step
        return self.task

    def describe(self):
        return {"workloads": list(self.names)}


def ours(optimizer: str, estimator: str, tasks: int, shared: bool) -> OuterStep:
    from concurrent.futures import ThreadPoolExecutor

    windows = estimator == "persistent-es"
    length = LENGTH if windows else FULL_LENGTH
    made = PersistentES(window=WINDOW) if windows else FullES()
    plan = Plan(
        optimizer, One(Task(workload())), made, Lengths(length, length), tasks=tasks,
        offset=length if windows else 0, shared_batches=shared, scaled=False,
    )  # fmt: skip
    training = MetaTraining(plan)
    pool = ThreadPoolExecutor(training.parts)

    def step() -> int:
        _, _, taken = training.step(pool)
        return taken

    return step


def theirs(optimizer: str, estimator: str, tasks: int) -> OuterStep:
    from learned_optimization.learned_optimizers import adafac_mlp_lopt, base, mlp_lopt
    from learned_optimization.optimizers import optax_opts
    from learned_optimization.outer_trainers import (
        full_es,
        gradient_learner,
        lopt_truncated_step,
        truncated_pes,
        truncation_schedule,
    )
    from learned_optimization.tasks import base as tasks_base
    from learned_optimization.tasks.datasets import base as datasets_base

    data, rng = images(), np.random.default_rng(1)

    def batches():
        while True:
            rows = rng.integers(0, EXAMPLES, BATCH)
            yield {name: values[rows] for name, values in data.items()}

    class Perceptron(tasks_base.Task):
        datasets = datasets_base.Datasets(*(batches() for _ in range(4)))

        def init(self, key):
            return init(key)

        def loss(self, params, key, data):
            return loss(params, data["inputs"], data["targets"], jnp.matmul)

    learned = next(
        getattr(module, CLASSES_OF[optimizer])()
        for module in (base, mlp_lopt, adafac_mlp_lopt)
        if hasattr(module, CLASSES_OF[optimizer])
    )
    family = tasks_base.single_task_to_family(Perceptron())
    windows = estimator == "persistent-es"
    inside = (
        truncation_schedule.ConstantTruncationSchedule(LENGTH)
        if windows
        else truncation_schedule.NeverEndingTruncationSchedule()
    )
    unroll = lopt_truncated_step.VectorizedLOptTruncatedStep(
        family, learned, inside, tasks, random_initial_iteration_offset=LENGTH if windows else 0
    )
    made = (
        truncated_pes.TruncatedPES(unroll, trunc_length=WINDOW)
        if windows
        else full_es.FullES(unroll, truncation_schedule.ConstantTruncationSchedule(FULL_LENGTH))
    )
    trainer = gradient_learner.SingleMachineGradientLearner(learned, [made], optax_opts.Adam(3e-4))
    state, key = trainer.init(jax.random.PRNGKey(0)), jax.random.PRNGKey(1)
    taken = 2 * tasks * (WINDOW if windows else FULL_LENGTH)  # resets counted too

    def step() -> int:
        nonlocal state, key
        key, now = jax.random.split(key)
        state, loss, _ = trainer.update(state, now)
        jax.block_until_ready(loss)
        return taken

    return step


def measure(ways: dict[str, OuterStep], turns: int) -> None:
    """A line for each way, and one for their ratio."""
    for step in ways.values():
        step()  # compiles
    best, processor, taken = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0)
    for _ in range(turns):
        for name, step in ways.items():
            wall, used = time.perf_counter(), time.process_time()
            steps = step()
            best[name] = max(best[name], steps / (time.perf_counter() - wall))
            processor[name] += time.process_time() - used
            taken[name] += steps
    for name in ways:
        print(
            f"  {name:22s} {best[name]:9.0f} inner steps/s, "
            f"{taken[name] / processor[name]:9.0f} per second of processor",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--reference", type=Path, metavar="FOLDER", help="of learned_optimization (default: ours alone)"
    )
    parser.add_argument("--optimizers", default="mlp_lopt,adafac_mlp_lopt", metavar="NAME,...")
    parser.add_argument("--estimators", default="persistent-es,full-es", metavar="NAME,...")
    parser.add_argument("--tasks", default="8,64", metavar="N,...", help="of an estimate (default: 8,64)")
    parser.add_argument("--turns", type=int, default=5, metavar="N", help="(default: 5)")
    a = parser.parse_args()
    if a.reference:
        importable_from(a.reference)
    for optimizer in a.optimizers.split(","):
        if optimizer not in LEARNED:
            sys.exit(f"unknown learned optimizer {optimizer!r}; known are {', '.join(LEARNED)}")
        for estimator in a.estimators.split(","):
            for tasks in map(int, a.tasks.split(",")):
                print(f"{optimizer}, {estimator}, {tasks} tasks", flush=True)
                ways = (
                    {} if not a.reference else {"learned_optimization": theirs(optimizer, estimator, tasks)}
                )
                ways["ours, own batches"] = ours(optimizer, estimator, tasks, False)
                ways["ours, shared batches"] = ours(optimizer, estimator, tasks, True)
                measure(ways, a.turns)


if __name__ == "__main__":
    main()
