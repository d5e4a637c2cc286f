"""What the loops that train add to the bare jitted step, in pairs that take turns in one process.

    python -m benchmarks.harness [vit|wmt]... [--ways run,engine-1,engine-16] [--pairs N] [--steps N] [--out FILE]

Both of a pair make the same steps of the same compiled mathematics. The bare loop calls a jitted step again and again
on batches that lie ready, and waits at its end. `run` is the loop of `shortlist run`: draws batches and keys, calls the
submission, keeps the clock and asks whether to go on; without evaluations and checkpoints, which are not the
submission's time. `engine-N` is the population engine's `unroll` at N trials, which draws its batches too.

The ratio of a pair is what counts, and its median over pairs: a busy machine hits both. Where others take most of it,
the ratio of processor time, over all threads, says more than that of the clock. Aim: at most 1.03.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import submissions
import workloads
from submissions import api, environment
from submissions.api import _loop
from submissions.package import package
from tuning.engine import _programs, _trials
from tuning.engine._stepwise import Stepwise
from tuning.engine._training import Evaluation, Training
from workloads import Workload, copies

CASES = {"vit": "algoperf/imagenet_vit@mini", "wmt": "algoperf/wmt@mini"}
BATCH = {"run": 256, "engine-1": 256, "engine-16": 32}  # enough to fill the cores
FOREVER = 10**9
OPTIMIZER = "nadamw_optax"
POINT = {
    "learning_rate": 1e-3, "one_minus_beta1": 0.1, "one_minus_beta2": 0.01, "weight_decay": 0.01,
    "warmup_factor": 0.02, "dropout_rate": 0.1, "label_smoothing": 0.1,
}  # fmt: skip

Steps = Callable[[int], None]  # makes so many steps, and waits for them


class _Counting(api.Attendant):
    """Stops a trial after some steps; it can go on after that."""

    left = 0

    def is_to_stop(self) -> bool:
        self.left -= 1
        return self.left <= 0


def pair_of_run(workload: Workload, folder: Path) -> tuple[Steps, Steps]:
    """The loop of `run`, and the packaged submission's own compiled step without it."""
    name = f"harness/{workload.name.rpartition('/')[2].partition('@')[0]}"
    workloads.register(name)(lambda data_dir: dataclasses.replace(workload, name=name))
    submission = package(
        folder / "submission",
        name="harness",
        optimizer=OPTIMIZER,
        points=[POINT],
        authors="nobody",
        provenance="chosen",
    )
    (point,) = json.loads((submission / "tuning_search_space.json").read_text())  # with all that it reads
    spec = api.TrialSpec(
        submission_path=str(submission / "submission.py"), workload=name, folder=str(folder / "trial_1"), trial=1,
        seed=1, hyperparameters=point, max_global_steps=FOREVER, eval_period_steps=FOREVER, skip_evals=True,
        save_checkpoints=False,
    )  # fmt: skip
    attendant = _Counting()
    trial = _loop._Trial(spec, attendant)

    def looped(steps: int) -> None:
        attendant.left = steps
        trial.train()
        jax.block_until_ready((trial.training.params, trial.training.model_state))

    view = trial.training.workload
    key = jax.random.PRNGKey(1)
    queue = view._build_input_queue(key, "train", None, workload.batch_size)
    batches = [next(queue) for _ in range(8)]
    params, model_state = view.init_model_fn(key)
    state, step = trial.training.submission.init_optimizer_state(
        view, params, model_state, trial.training.hyperparameters, key
    )
    carried = [state, params, model_state]

    def bare(steps: int) -> None:
        state, params, model_state = carried
        for number in range(steps):
            state, params, model_state = step(model_state, state, params, batches[number % 8], key)
        carried[:] = jax.block_until_ready([state, params, model_state])

    return looped, bare


def pair_of_engine(workload: Workload, trials: int) -> tuple[Steps, Steps]:
    """The engine's program of many steps, and its step, compiled alike, called from Python."""
    optimizer = submissions.optimizer(OPTIMIZER)
    prepared = optimizer.prepare(POINT, FOREVER)
    training = Training(workload, optimizer.rule, FOREVER, FOREVER, True, Evaluation(), True)
    seeds = np.arange(trials, dtype=np.uint32)
    split = workload.eval_splits["train"]
    data = {split: copies.of_fields(workload.data.arrays(split))}
    inputs = _trials.Inputs(
        optimizer.rule.weights,
        {name: jnp.full(trials, value, jnp.float32) for name, value in prepared.items()},
        jnp.full(trials, workload.step_hint, jnp.int32),
        _trials.keys_of_seeds(jnp.uint32(seeds), jnp.uint32(seeds[:1])),
        {},
        jax.tree.map(lambda copy: copy.device, data),
    )
    kept: list[_programs.Program] = []  # a program that nobody holds would be compiled again at every call

    def compiled(*what: Any) -> _programs.Program:
        kept.append(_programs.program(*what)[0])
        return kept[-1]

    way = Stepwise(training, compiled)
    states = {"engine": way.start(inputs), "bare": way.start(inputs)}

    def looped(steps: int) -> None:
        states["engine"] = jax.block_until_ready(way.unroll(inputs, states["engine"], 0, steps))

    stream = workload.data.stream(split, jax.random.key(1), workload.batch_size)
    batches = [next(stream) for _ in range(8)]

    def one(inputs: Any, state: Any, batch: Any, number: Any) -> Any:
        return _trials.Trials(training, inputs).step(state, batch, number)

    given = inputs, states["bare"], batches[0], jnp.int32(0)
    step, _ = _programs.program(("bare", training.key()), one, given, (1,))

    def bare(steps: int) -> None:
        state = states["bare"]
        for number in range(steps):
            state = step.call(inputs, state, batches[number % 8], jnp.int32(number))
        states["bare"] = jax.block_until_ready(state)

    return looped, bare


def seconds(steps: Callable[[], None]) -> tuple[float, float]:
    """What a call takes, by the clock and of processors."""
    began = time.perf_counter(), time.process_time()
    steps()
    return time.perf_counter() - began[0], time.process_time() - began[1]


def measure(case: str, way: str, pairs: int, steps: int) -> dict[str, Any]:
    """Ratios of a way of training to the bare step."""
    workload = dataclasses.replace(workloads.load(CASES[case]), batch_size=BATCH[way])
    with tempfile.TemporaryDirectory() as scratch:
        if way == "run":
            looped, bare = pair_of_run(workload, Path(scratch))
        else:
            looped, bare = pair_of_engine(workload, int(way.partition("-")[2]))
        both = {"harness": functools.partial(looped, steps), "bare": functools.partial(bare, steps)}
        for each in both.values():
            each()  # compiles
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in both}
        for number in range(pairs):
            for name in both if number % 2 else reversed(both):
                found[name].append(seconds(both[name]))
    row = {"case": CASES[case], "way": way, "batch_size": workload.batch_size, "pairs": pairs, "steps": steps}
    for measured, what in enumerate(("wall", "cpu")):
        times = {name: [one[measured] / steps for one in each] for name, each in found.items()}
        ratios = sorted(a / b for a, b in zip(times["harness"], times["bare"], strict=True))
        row[what] = {
            "seconds_per_step": {name: statistics.median(each) for name, each in times.items()},
            "ratio_of_medians": statistics.median(times["harness"]) / statistics.median(times["bare"]),
            "median_ratio": statistics.median(ratios),
            "middle_half": [ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]],
        }
    return row


def main() -> None:
    """Prints one JSON object a line, as they are measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="|".join(CASES))
    parser.add_argument("--ways", default=",".join(BATCH))
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--steps", type=int, default=16, help="of each of a pair")
    parser.add_argument("--out", type=Path, help="for all of it, as JSON")
    asked = parser.parse_args()
    found = []
    for case in asked.cases:
        for way in asked.ways.split(","):
            found.append(measure(case, way, asked.pairs, asked.steps))
            print(json.dumps(found[-1]), flush=True)
    if asked.out:
        machine = {"device": environment.device(), "versions": environment.versions()}
        asked.out.write_text(json.dumps({**machine, "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
