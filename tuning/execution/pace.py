"""How far a wall-clock budget reaches, measured on a few steps before a training that may take days.

`python -m tuning.execution.pace NAME [DATA_DIR]` prints it as JSON: `run` asks a process of its own, so that the
device's memory is free again when the trials begin.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec

NO_WORKLOAD = 2  # exit status
STEPS = 6  # timed one by one; the median of all but the first counts


class Pace(msgspec.Struct, frozen=True):
    """What a step of plain NAdamW took, its batch's reading included.

    Attributes:
      workload: name.
      seconds_per_step: median.
      batch_size: examples per step, over all devices.
      step_hint: steps of the full budget.
      budget_seconds: AlgoPerf's wall-clock budget; None where there is none.
      devices: how many, and which.
    """

    workload: str
    seconds_per_step: float
    batch_size: int
    step_hint: int
    budget_seconds: float | None
    devices: str

    @property
    def examples_per_second(self) -> float:
        """Training examples per second."""
        return self.batch_size / self.seconds_per_step

    @property
    def covered(self) -> float | None:
        """Part of the step hint that the budget lasts for; above 1 where there is time to spare."""
        if self.budget_seconds is None:
            return None
        return self.budget_seconds / (self.seconds_per_step * self.step_hint)

    def __str__(self) -> str:
        """In a sentence."""
        speed = (
            f"{self.workload}: {self.seconds_per_step:.3g} s a step of {self.batch_size} examples, "
            f"{self.examples_per_second:,.0f} examples/s, with plain NAdamW on {self.devices}"
        )
        if self.covered is None or self.budget_seconds is None:
            seconds = self.step_hint * self.seconds_per_step
            return f"{speed}; the step hint of {self.step_hint:,} steps takes {seconds:,.0f} s"
        return (
            f"{speed}; the budget of {self.budget_seconds:,.0f} s covers {self.covered:.0%} of the step hint of "
            f"{self.step_hint:,} steps, evaluations not counted"
        )


def measure(name: str, data_dir: Path | None = None) -> Pace:
    """Trains a few steps of a workload, on all devices, and throws them away.

    Raises:
      ValueError, FileNotFoundError: see `workloads.load`.
    """
    import jax
    import optax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    import workloads

    workload = workloads.load(name, data_dir)
    devices = jax.local_devices()
    used = len(devices) if workload.batch_size % len(devices) == 0 else 1
    mesh = Mesh(devices[:used], ("batch",))
    everywhere, rows = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))
    optimizer = optax.nadamw(1e-4)
    key = jax.random.key(0)

    def start(key):
        params, model_state = workload.init(key)
        return params, model_state, optimizer.init(params)

    def step(carried, batch, key):
        params, model_state, state = carried

        def loss(params):
            return workload.loss(params, model_state, batch, key, True, workloads.Regularization())

        grads, model_state = jax.grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), model_state, state

    carried = jax.jit(start, out_shardings=everywhere)(key)
    train = jax.jit(step, donate_argnums=0)
    batches = workload.data.stream(
        workload.eval_splits["train"], key, workload.batch_size, sharding=rows if used > 1 else None
    )
    seconds = []
    for number in range(STEPS + 1):
        before = time.perf_counter()
        carried = jax.block_until_ready(train(carried, next(batches), jax.random.fold_in(key, number)))
        seconds.append(time.perf_counter() - before)
    return Pace(
        workload=workload.name,
        seconds_per_step=statistics.median(seconds[1:]),  # the first compiles
        batch_size=workload.batch_size,
        step_hint=workload.step_hint,
        budget_seconds=workload.max_runtime_seconds,
        devices=f"{used} {devices[0].device_kind}",
    )


def is_wanted(name: str, data_dir: Path | None) -> bool:
    """Whether a training of it takes hours under a clock: AlgoPerf's workloads at full scale, on real data."""
    return name.startswith(("algoperf/", "algoperf-installed/")) and "@" not in name and data_dir is not None


class NoWorkload(ValueError):
    """There is no such workload, or its data are not there: whoever trains it will be told the same."""


def measured_apart(name: str, data_dir: Path | None = None) -> Pace:
    """`measure` in a process of its own.

    Raises:
      NoWorkload: see `workloads.load`.
      ValueError: it failed; with its last line.
    """
    given = [] if data_dir is None else [str(data_dir)]
    command = [sys.executable, "-m", "tuning.execution.pace", name, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        kind = NoWorkload if done.returncode == NO_WORKLOAD else ValueError
        raise kind(f"{name}: its pace cannot be measured: {lines[-1]}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Pace)


def _main(name: str, data_dir: Path | None) -> int:
    import workloads

    try:
        workloads.load(name, data_dir)
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return NO_WORKLOAD
    print(json.dumps(msgspec.structs.asdict(measure(name, data_dir))))
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None))
