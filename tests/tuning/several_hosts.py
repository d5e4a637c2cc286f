"""Two small workloads, and what trains them in one process or in several on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WORKLOADS = """
import dataclasses, itertools
import jax, jax.numpy as jnp, numpy as np
import workloads
from workloads import classification
from workloads.layers import dense, dropout, mlp_init


def rows(seed, examples):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(examples, 6)).astype(np.float32)
    return {"inputs": inputs, "targets": (inputs[:, 0] * inputs[:, 1] > 0).astype(np.int32)}


SPLITS = {"train": rows(0, 256), "validation": rows(1, 90), "test": rows(2, 30)}
MADE = workloads.Provenance("synthetic", "signs of products")


def init(key):
    return mlp_init(key, (6, 16, 2)), ()


def apply(params, model_state, batch, key, train, dropout_rate):
    x = jax.nn.tanh(dense(params["Dense_0"], batch["inputs"]))
    return dense(params["Dense_1"], dropout(key, x, dropout_rate, train)), model_state


@workloads.register("own/resident")
def resident(data_dir):
    return workloads.Workload(
        name="own/resident", cost_class="mlp", summary="signs",
        **classification.functions(init, apply)._asdict(),
        data=workloads.ResidentData(SPLITS, MADE, eval_batch_size=32),
        metric=workloads.Metric("accuracy", minimize=False), validation_target=None, test_target=None,
        step_hint=12, eval_period=4, batch_size=32, loss_type="SOFTMAX_CROSS_ENTROPY",
    )


def read(split, seed, batch_size, first_step):
    for step in itertools.count(first_step):
        chosen = np.random.default_rng((seed, step)).integers(256, size=batch_size)
        yield {name: values[chosen] for name, values in SPLITS["train"].items()}


def once(split, batch_size):
    for first in range(0, len(SPLITS[split]["targets"]), batch_size):
        yield {name: values[first : first + batch_size] for name, values in SPLITS[split].items()}


def accumulate(params, model_state, batch, key):
    return {"logits": apply(params, model_state, batch, key, False, 0.0)[0], "targets": batch["targets"]}


def merge(totals, more):
    return {name: np.concatenate([totals[name], more[name]]) for name in totals}


def compute(totals):
    right = totals["logits"].argmax(1) == totals["targets"]
    # In the order of the examples.
    return {"accuracy": right.mean(), "loss": float((np.arange(len(right)) * totals["logits"][:, 0]).sum())}


@workloads.register("own/streamed")
def streamed(data_dir):
    sizes = {split: len(fields["targets"]) for split, fields in SPLITS.items()}
    data = workloads.StreamedData(read, sizes, MADE, once, eval_batch_size=32)
    measure = workloads.Measure(accumulate, merge, compute, in_program=False)
    return dataclasses.replace(resident(data_dir), name="own/streamed", data=data, measure=measure)
"""

TRAINED = """
import json, sys
from pathlib import Path
from tuning.execution import team

given = json.loads(sys.argv[1])
if given["count"] > 1:
    team.joined(team.Join(given["address"], given["index"], given["count"]))
import jax
from submissions import api

found, folder = {}, Path(given["folder"])
for name in given["workloads"]:
    file, _, plain = name.rpartition(":")
    place = folder / f"{plain.replace('/', '_')}_{given['count']}_{given['index']}"
    place.mkdir()
    spec = api.TrialSpec(given["submission"], plain, str(place), 1, 5, {"rate": 0.05, "dies": "no"},
                         max_global_steps=12, eval_period_steps=4, workload_file=file)
    outcome = api.train(spec)
    found[plain] = {**outcome.metrics, "steps": outcome.global_step, "status": outcome.status}
(folder / f"found_{given['count']}_{given['index']}.json").write_text(json.dumps(found))
print(jax.device_count())
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def environment(devices: int) -> dict[str, str]:
    """Of a process that has so many devices."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    return os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}


def trained(folder: Path, submission: Path, names: list[str], processes: int, devices: int) -> list[dict]:
    """What every process found, of so many with their share of the devices."""
    address, running = f"127.0.0.1:{free_port()}", []
    for index in range(processes):
        given = {"address": address, "index": index, "count": processes, "folder": str(folder), "workloads": names,
                 "submission": str(submission / "submission.py")}  # fmt: skip
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", TRAINED, json.dumps(given)],
                env=environment(devices // processes),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in running:
        printed, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-3000:]
        assert printed.split()[-1] == str(devices)
    return [
        json.loads((folder / f"found_{processes}_{index}.json").read_text()) for index in range(processes)
    ]
