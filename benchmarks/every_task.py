"""Tries every task of TaskSet, and writes which are rejected and why.

    python -m benchmarks.every_task results.jsonl [PREFIX]...     only tasks whose names start so
    python -m benchmarks.every_task results.jsonl --write         workloads/taskset/rejected.json from the results

One line per task: cost, the learning rate that trains it or the reason why none does, and times. Tasks that are in the
file already are not tried again, so several processes may share the work by prefixes and a killed one goes on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax

import workloads
from benchmarks._first_steps import LEARNING_RATES, STEPS, first_steps
from workloads import taskset
from workloads.taskset import fixed

REJECTED = Path(taskset.__file__).with_name("rejected.json")


def names() -> list[str]:
    """Seeds 0 to 99 of every family, and the fixed tasks; families take turns."""
    return [f"{family}_seed{seed}" for seed in range(100) for family in taskset.FAMILIES] + list(
        fixed.configs()
    )


def attempt(name: str) -> dict[str, object]:
    """What became of a task."""
    try:
        workload = workloads.load(f"taskset/{name}")
    except ValueError as error:
        return {"task": name, "rejected": f"invalid: {error}"}
    flops = workloads.flops_per_step(workload)
    row: dict[str, object] = {
        "task": name, "flops_per_step": flops, "parameters": workloads.parameter_count(workload),
        "batch_size": workload.batch_size,
    }  # fmt: skip
    if flops > taskset.MOST_FLOPS_PER_STEP:
        limit = taskset.MOST_FLOPS_PER_STEP / 1e9
        return row | {"rejected": f"too slow: {flops / 1e9:.3g} GFLOP per step, more than {limit:g}"}
    tried = first_steps(workload)
    jax.clear_caches()
    row |= {
        "learning_rate": tried.learning_rate, "first_loss": float(tried.losses[0]),
        "last_loss": float(tried.losses[-1]), "compile_seconds": round(tried.compile_seconds, 2),
        "seconds_per_step": round(tried.seconds_per_step, 5),
    }  # fmt: skip
    if tried.learning_rate is None:
        rates = ", ".join(f"{rate:g}" for rate in LEARNING_RATES)
        row["rejected"] = f"diverges: no learning rate of {rates} keeps {STEPS} steps of Adam finite"
    return row


def main() -> None:
    """Tries what is missing, or writes the list."""
    results, arguments = Path(sys.argv[1]), sys.argv[2:]
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if arguments == ["--write"]:
        reasons = {row["task"]: row["rejected"] for row in rows if "rejected" in row}
        ordered = {name: reasons[name] for name in names() if name in reasons}
        REJECTED.write_text(json.dumps(ordered, indent=1) + "\n")
        print(f"{len(rows)} tasks tried, {len(ordered)} rejected")
        return
    done = {row["task"] for row in rows}
    for name in names():
        if name not in done and name.startswith(tuple(arguments or [""])):
            with results.open("a") as file:
                file.write(json.dumps(attempt(name)) + "\n")


if __name__ == "__main__":
    main()
