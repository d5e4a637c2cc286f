"""A small submission whose trials crash, wait or die when told, and what their logs must have in common."""

from __future__ import annotations

import csv
import fcntl
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STEPS, PERIOD = 60, 10

SUBMISSION = """
import ctypes, fcntl, functools, os, pathlib, signal, time
import jax, jax.numpy as jnp
from algoperf import spec


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def step(workload, params, momentum, model_state, batch, rng, rate):
    def loss_fn(params):
        mode = spec.ForwardPassMode.TRAIN
        logits, new = workload.model_fn(params, batch, model_state, mode, rng, True, dropout_rate=0.1)
        found = workload.loss_fn(batch["targets"], logits)
        return found["summed"] / found["n_valid_examples"], new
    (loss, model_state), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
    momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, grads)
    params = jax.tree.map(lambda p, m: p - rate * m, params, momentum)
    return params, momentum, model_state, loss


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return {"momentum": jax.tree.map(jnp.zeros_like, model_params), "taken": 0}, None


def update_params(workload, current_param_container, current_params_types, model_state, hyperparameters, batch,
                  loss_type, optimizer_state, eval_results, global_step, rng):
    rate = hyperparameters.rate if hyperparameters else 0.01
    here = pathlib.Path(__file__).parent
    if (here / f"crash_{global_step}").exists():
        (here / f"crash_{global_step}").unlink()
        raise FloatingPointError("made to crash")
    if (here / f"wait_{global_step}").exists():
        lock = (here / "alive").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)  # as long as this process lives
        (here / "waiting").touch()
        ctypes.PyDLL(None).sleep(600)  # nothing else of the process runs, not even another thread
    if (here / "slow").exists():
        time.sleep(0.02)
    if getattr(hyperparameters, "dies", "no") == "yes":
        os.kill(os.getpid(), signal.SIGKILL)
    state, function = optimizer_state
    params, momentum, model_state, loss = step(
        workload, current_param_container, state["momentum"], model_state, batch, rng, rate)
    if global_step % 5 == 0:
        workload.metrics_logger.append_scalar_metrics({"loss": loss}, global_step)
    return ({"momentum": momentum, "taken": state["taken"] + 1}, function), params, model_state


def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters,
                   global_step, rng):
    return next(input_queue)


def get_batch_size(workload_name):
    return 16


def get_eval_batch_size(workload_name):
    raise ValueError(workload_name)
"""
TIMES = {
    "accumulated_eval_time", "accumulated_logging_time", "accumulated_submission_time", "preemption_count", "score",
    "total_duration",
}  # fmt: skip


def written(folder):
    folder.mkdir()
    (folder / "submission.py").write_text(SUBMISSION)
    (folder / "space.json").write_text(
        '[{"rate": 0.01, "dies": "no"}, {"rate": 0.02, "dies": "yes"}, {"rate": 0.03, "dies": "no"}]'
    )
    return folder


def arguments(submission, tmp_path, name, **others: Any) -> Any:
    given = {
        "submission_path": submission, "workload": "algoperf/mnist", "experiment_dir": tmp_path / "experiments",
        "experiment_name": name, "tuning_search_space": submission / "space.json", "max_global_steps": STEPS,
        "eval_period_steps": PERIOD, "rng_seed": 7, "isolated": False,
    }  # fmt: skip
    return given | others


def numbers(trial: str | Path, file: str) -> list[dict[str, str]]:
    with (Path(trial) / file).open() as lines:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(lines)]


def same_numbers(one, other):
    for file in ("eval_measurements.csv", "measurements.csv"):
        assert numbers(one, file) == numbers(other, file), file


def within(seconds, happens):
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_free(file):
    """Whether no process holds the lock on a file."""
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def command(submission, tmp_path, name, *others: object) -> list[str]:
    """The same run by the command line."""
    return [
        sys.executable, "-m", "shortlist.cli", "run", "--workload", "algoperf/mnist", "--experiment-name", name,
        "--submission-path", str(submission), "--experiment-dir", str(tmp_path / "experiments"),
        "--tuning-search-space", str(submission / "space.json"), "--rng-seed", "7", "--json",
        "--max-global-steps", str(STEPS), "--eval-period-steps", str(PERIOD), *map(str, others),
    ]  # fmt: skip


def environment(cache) -> dict[str, str]:
    """Of a process that finds this checkout, and shares what it compiles."""
    shared = {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.0"}
    return os.environ | shared | {"PYTHONPATH": str(ROOT)}
