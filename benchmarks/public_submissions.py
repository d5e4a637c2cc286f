"""Runs public AlgoPerf submissions on our workloads, unmodified, and says which ran and what they reached.

    python benchmarks/public_submissions.py FOLDER... --workload algoperf/mnist --workload digits/conv --steps 100

Every submission and workload has a process of its own. FOLDER is a submission, or holds some at any depth; those for
PyTorch are counted and left out. A line of JSON per pair goes to --out, a table in Markdown to the output.

This is not AlgoPerf's runner (that is `shortlist run`): no clock, no evaluation while training. It asks for a point of
the submission's own tuning_search_space.json (of ranges, the geometric middle), trains, and evaluates at the end.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMEOUT = 420  # seconds per pair


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--workload", action="append", required=True, metavar="NAME")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file for lines of JSON, appended to")
    parser.add_argument("--inside", action="store_true", help="run one pair here; what the processes do")
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(run(arguments.folders[0], arguments.workload[0], arguments.steps, arguments.seed)))
        return
    print("| submission | workload | batch | first loss | last loss | steps/s | remarks |")
    print("|---|---|---|---|---|---|---|")
    for file in (file for folder in arguments.folders for file in files(folder)):
        for workload in arguments.workload:
            row = in_process(file, workload, arguments.steps, arguments.seed)
            print(line(row), flush=True)
            if arguments.out:
                with arguments.out.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(row) + "\n")


def files(folder: Path) -> Iterator[Path]:
    """Submissions in a folder, or the file itself."""
    if folder.is_file():
        yield folder
    else:
        yield from sorted(folder.rglob("submission.py"))


def in_process(file: Path, workload: str, steps: int, seed: int) -> dict[str, Any]:
    """`run` in a process of its own; what goes wrong there becomes a row."""
    command = [sys.executable, __file__, "--inside", str(file), "--workload", workload]
    command += ["--steps", str(steps), "--seed", str(seed)]
    row: dict[str, Any] = {"submission": str(file), "workload": workload}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return row | {"error": f"not done after {TIMEOUT} s"}
    try:
        return row | json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return row | {"error": f"exit status {done.returncode}: {done.stderr.strip()[-300:]}"}


def run(path: Path, name: str, steps: int, seed: int) -> dict[str, Any]:
    """Trains a workload by a submission. An error of the submission is part of the outcome."""
    import jax

    from submissions import api
    from submissions.api import loading

    try:
        submission = loading.load(path)
        workload = api.algoperf_workload(name, device_axis=submission.device_axis)
        hyperparameters = point(submission.path.parent)
        keys = jax.random.split(jax.random.PRNGKey(seed), 4)
        batch_size = loading.batch_size(submission, name, default=workload.batch_size)
        queue = workload._build_input_queue(keys[0], "train", None, batch_size)
        dropout = {"dropout_rate": getattr(hyperparameters, "dropout_rate", None)}
        params, model_state = workload.init_model_fn(keys[1], **(dropout if submission.device_axis else {}))
        state = submission.init_optimizer_state(workload, params, model_state, hyperparameters, keys[2])
        losses, began = [], 0.0
        loss_of = batch_loss(workload)
        for step in range(steps):
            step_keys = jax.random.split(jax.random.fold_in(keys[3], step), 4)
            batch = submission.data_selection(
                workload, queue, state, params, model_state, hyperparameters, step, step_keys[0]
            )
            if step in (0, steps - 1):
                losses.append(loss_of(params, model_state, batch))
            extra = {"train_state": {}} if submission.wants_train_state else {}
            if step == 1:
                jax.block_until_ready(params)
                began = time.perf_counter()
            state, params, model_state = submission.update_params(
                workload=workload,
                current_param_container=params,
                current_params_types=workload.model_params_types,
                model_state=model_state,
                hyperparameters=hyperparameters,
                batch=batch,
                loss_type=workload.loss_type,
                optimizer_state=state,
                eval_results=[],
                global_step=step,
                rng=step_keys[1],
                **extra,
            )
            params = workload.project_params(params)
        jax.block_until_ready(params)
        seconds = time.perf_counter() - began
        if submission.prepare_for_eval:
            state, params, model_state = submission.prepare_for_eval(
                workload=workload,
                current_param_container=params,
                current_params_types=workload.model_params_types,
                model_state=model_state,
                hyperparameters=hyperparameters,
                loss_type=workload.loss_type,
                optimizer_state=state,
                eval_results=[],
                global_step=steps,
                rng=keys[3],
            )
        metrics = workload.eval_model(batch_size, params, model_state, keys[3], None, None, steps)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return {
            "error": f"{type(error).__name__}: {str(error).strip()[:400]}",
            "at": f"{frame.filename}:{frame.lineno}",
        }
    return {
        "batch_size": batch_size,
        "steps": steps,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "steps_per_second": (steps - 1) / seconds,
        "device_axis": submission.device_axis,
        "hyperparameters": hyperparameters._asdict() if hyperparameters is not None else None,
        "metrics": metrics,
    }


def batch_loss(workload: Any) -> Any:
    """(params, model_state, batch) -> the model's loss on a training batch, without dropout and smoothing."""
    import jax

    spec = workload.spec

    @jax.jit
    def loss(params, model_state, batch):
        if workload.device_axis:
            params, model_state, batch = jax.tree.map(lambda x: x[0], (params, model_state, batch))
        key = jax.random.PRNGKey(0)
        outputs, _ = workload.model_fn(
            params, batch, model_state, spec.ForwardPassMode.TRAIN, key, False, dropout_rate=0.0
        )
        found = workload.loss_fn(batch["targets"], outputs, batch.get("weights"))
        return found["summed"] / found["n_valid_examples"]

    return lambda *args: float(loss(*args))


def point(folder: Path) -> Any:
    """Hyperparameters of a submission's own search space: its first point, or the middles of its ranges.

    None without tuning_search_space.json: the self-tuning ruleset.
    """
    file = next(
        (
            folder / name
            for name in (
                "tuning_search_space.json",
                "../tuning_search_space.json",
                "../../tuning_search_space.json",
            )
            if (folder / name).is_file()
        ),
        None,
    )
    if file is None:
        return None
    space = json.loads(file.read_text())
    chosen = space[0] if isinstance(space, list) else {name: middle(each) for name, each in space.items()}
    return collections.namedtuple("Hyperparameters", chosen)(**chosen)


def middle(dimension: dict[str, Any]) -> Any:
    """Of a dimension of AlgoPerf's search space."""
    if "feasible_points" in dimension:
        return dimension["feasible_points"][len(dimension["feasible_points"]) // 2]
    low, high = dimension["min"], dimension["max"]
    return math.sqrt(low * high) if dimension.get("scaling") == "log" else (low + high) / 2


def line(row: dict[str, Any]) -> str:
    """Of the table."""
    name = os.path.join(*Path(row["submission"]).parts[-4:-1])
    if "error" in row:
        return f"| {name} | {row['workload']} | | | | | {row['error'].splitlines()[0][:160]} |"
    remark = "device axis" if row["device_axis"] else ""
    return (
        f"| {name} | {row['workload']} | {row['batch_size']} | {row['first_loss']:.4g} | {row['last_loss']:.4g} "
        f"| {row['steps_per_second']:.0f} | {remark} |"
    )


if __name__ == "__main__":
    main()
