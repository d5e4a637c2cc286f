"""Eight devices, which a process of its own is told that it has, train what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEVICES = 8
VIT, RESNET, OGBG = (f"algoperf/{name}@mini" for name in ("imagenet_vit", "imagenet_resnet", "ogbg"))

# float32 sums in another order: one step's gradients, then some steps of an optimizer that divides by them.
ROUNDING: Any = {"rtol": 1e-5, "atol": 1e-6}
STEPS_ROUNDING: Any = {"rtol": 1e-4, "atol": 1e-5}

GRADIENTS = """
import sys
import jax
import numpy as np
from submissions import api
from submissions.api import _jax_sharding_utils as sharding

api.install()
from algoperf import spec


def gradients(view, params, model_state, batch):
    def loss(params):
        logits, new = view.model_fn(params, batch, model_state, spec.ForwardPassMode.TRAIN, key, True, dropout_rate=0.1)
        found = view.loss_fn(batch["targets"], logits, batch.get("weights"))
        return found["summed"] / found["n_valid_examples"], new

    return jax.value_and_grad(loss, has_aux=True)(params)


key, found = jax.random.PRNGKey(3), {}
for name in sys.argv[2:]:
    view = api.algoperf_workload(name)
    params, model_state = view.init_model_fn(key)
    whole = sharding.get_replicate_sharding()
    step = jax.jit(lambda *arrays: gradients(view, *arrays))
    batch = next(view._build_input_queue(key, "train", None, view.batch_size))
    spread = {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(batch)}
    split = {leaf.addressable_shards[0].data.shape[0] < leaf.shape[0] for leaf in jax.tree.leaves(batch)}
    assert spread == {len(jax.devices())} and split == {len(jax.devices()) > 1}, (spread, split)
    (loss, new), grads = jax.device_get(step(params, model_state, batch))
    found[name] = loss
    for path, leaf in jax.tree_util.tree_leaves_with_path((new, grads)):
        found[name + jax.tree_util.keystr(path)] = leaf
print(len(jax.devices()))
np.savez(sys.argv[1], **found)
"""

GRAPHS = """
import jax
import numpy as np
from submissions.api import _jax_sharding_utils as sharding
from workloads.algoperf._graphs import lay_out

rng = np.random.default_rng(0)
stored = {
    "nodes": rng.normal(size=(11, 5, 2)), "edges": rng.normal(size=(11, 6, 2)),
    "senders": rng.integers(0, 2, (11, 6)), "receivers": rng.integers(0, 2, (11, 6)),
    "n_node": rng.integers(2, 6, 11), "n_edge": rng.integers(0, 7, 11),
    "targets": rng.normal(size=(11, 3)), "weights": np.ones((11, 3)),
}
stored = {name: values.astype(np.int32 if values.dtype == int else np.float32) for name, values in stored.items()}
split = jax.jit(lay_out.__wrapped__, out_shardings=sharding.get_batch_dim_sharding())(stored)
assert np.asarray(split["inputs"].n_node).sum() == len(split["inputs"].nodes)
jax.tree.map(np.testing.assert_array_equal, split, lay_out(stored))
print(len(jax.devices()))
"""

TRAINED = """
import json, sys
from pathlib import Path
import jax
from tuning.execution.trials.run import run
from tuning.studies.plan import plan
from tuning.studies.tune import tune

folder, name = Path(sys.argv[1]), sys.argv[2]
(outcome,) = run(optimizer="nadamw_optax", workload=name, experiment_dir=folder, experiment_name="run", rng_seed=1,
                 max_global_steps=4, eval_period_steps=2, isolated=False)
curves = {}
for devices in {1, len(jax.devices())}:  # whole trials, and shared batches
    spec = plan(name="tune", workloads=(name,), strategy="quasirandom", budget=2, seed=1, optimizer="nadamw_optax",
                steps=4, devices_per_trial=devices)
    trials = tune(folder / f"tune_{devices}", spec)
    curves[devices > 1] = {c: trials[c].to_list() for c in trials.columns if c.endswith("/loss")}
print(len(jax.devices()))
curves = {"tune": curves[False], "shared": curves.get(True, curves[False])}
Path(sys.argv[3]).write_text(json.dumps({"run": dict(outcome.metrics), **curves}))
"""


def child(program: str, devices: int, *arguments: object) -> None:
    """Runs a program on so many devices, which it must print."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    env = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    made = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    assert made.stdout.split()[-1] == str(devices)


def gradients(tmp_path: Path, *names: str) -> None:
    found = []
    for devices in (1, DEVICES):
        file = tmp_path / f"{devices}.npz"
        child(GRADIENTS, devices, file, *names)
        found.append(np.load(file))
    one, many = found
    assert one.files == many.files
    for name in one.files:
        np.testing.assert_allclose(many[name], one[name], **ROUNDING, err_msg=name)


def test_a_batch_of_graphs_is_the_same_on_all_devices():
    """Its rows are no multiple of the devices, and one of them is computed from all others."""
    child(GRAPHS, DEVICES)


SHARED = """
import jax
import numpy as np
import pytest
from pathlib import Path
from tests.tuning.toy import sgd, toy_workload
from tuning.engine.population import Population

workload, seeds = toy_workload(), np.arange(4, dtype=np.uint32)
rates = {"learning_rate": np.linspace(0.01, 0.1, 4, dtype=np.float32)}


def trained(devices, shared, **how):
    population = Population(workload, sgd, 12, 6, shared, devices_per_trial=devices)
    curves = population.run(rates, seeds, seeds[:1] if shared else seeds + 9, **how)
    return curves, population.programs[-1].call.as_text()


(alone, plain), (two, summed) = (trained(devices, True) for devices in (1, 2))
(four, _) = trained(4, True, checkpoint=Path.cwd() / "states")
(own, _), (own_by_two, _) = (trained(devices, False) for devices in (1, 2))
assert ("all-reduce" in plain, "all-reduce" in summed) == (False, True)
for one, other in ((alone, two), (alone, four), (own, own_by_two)):
    for name, values in one.metrics.items():
        np.testing.assert_allclose(other.metrics[name], values, rtol=1e-5, err_msg=name)  # float32 sums
for devices, message in ((3, "this process has 4"), (0, "devices_per_trial is 0")):
    with pytest.raises(ValueError, match=message):
        Population(workload, sgd, 12, 6, devices_per_trial=devices)
print(len(jax.devices()))
"""


def test_devices_that_share_a_trials_batches_train_what_one_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    child(SHARED, 4)


@pytest.mark.slow
def test_gradients_and_batch_statistics_are_those_of_the_whole_batch(tmp_path):
    gradients(tmp_path, OGBG, VIT, RESNET)


@pytest.mark.slow
@pytest.mark.parametrize("name", [VIT, RESNET, OGBG])
def test_run_and_tune_train_what_one_device_does(tmp_path, name):
    found = []
    for devices in (1, DEVICES):
        file = tmp_path / f"{devices}.json"
        child(TRAINED, devices, tmp_path / str(devices), name, file)
        found.append(json.loads(file.read_text()))
    one, many = found
    losses = [key for key in one["run"] if key.endswith("/loss")]
    assert losses
    for key in losses:
        np.testing.assert_allclose(many["run"][key], one["run"][key], **STEPS_ROUNDING, err_msg=key)
    for column, curves in one["tune"].items():
        np.testing.assert_allclose(many["tune"][column], curves, **STEPS_ROUNDING, err_msg=column)
        np.testing.assert_allclose(many["shared"][column], curves, **STEPS_ROUNDING, err_msg=column)
