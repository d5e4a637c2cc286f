"""What every workload of AlgoPerf's has to show: its parameters, and equality with the golden files."""

from __future__ import annotations

import functools

import jax
import numpy as np
import optax

import workloads
from submissions import api
from tests.workloads.algoperf import golden


def check_parameters(name):
    """Paths, shapes, types, totals and the state of the batch normalisation are those of the fact sheet."""
    sheet = golden.counts()[name]
    workload = workloads.load(f"algoperf/{name}")
    params, state = jax.eval_shape(workload.init, jax.random.key(0))
    total = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))
    assert total == sheet["total_params"]
    assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(state)) == sheet["model_state_total"]
    if "params" not in sheet:
        return
    types = golden.flat(api.view(workload).model_params_types)
    found = [[path, shape, types[path].name] for path, shape in golden.paths_and_shapes(params)]
    assert found == sorted(sheet["params"])
    states = [[f"batch_stats/{path}", shape] for path, shape in golden.paths_and_shapes(state)]
    assert states == sorted(
        [p if p.startswith("batch_stats") else f"batch_stats/{p}", s] for p, s in sheet["model_state"]
    )


def check_against_golden(
    name, logits=1e-5, training_logits=2e-4, state=2e-5, loss=1e-5, gradient_norm=1e-4, gradient=2e-3
):
    """Logits, losses, statistics and gradients agree with AlgoPerf's to float32 rounding.

    Args:
      name: of the workload.
      logits, training_logits: largest absolute differences, for logits of standard deviation 1. The golden files tell
        what one unit in the last place of every parameter changes (`noise/...`): a few times that is the tolerance.
      state: largest absolute difference of batch statistics.
      loss: relative, of summed losses.
      gradient_norm: relative, of the global norm.
      gradient: of sampled entries, relative to the leaf's largest. Leaves whose norm is below 1e-5 of the global norm
        are zero in exact arithmetic and are left out.
    """
    found = golden.outputs_and_gradients(name)
    report = golden.compared(name, found)
    total = golden.scalars(name)["grad/global_norm"]
    assert report["eval/logits"]["max_abs"] < logits
    assert report["train/logits"]["max_abs"] < training_logits
    compared = 0
    for key, row in report.items():
        if "/per_example" in key:
            assert row["max_abs"] < max(training_logits, 1e-4) * max(1.0, row["reference_std"]), key
        elif "/new_state/" in key:
            assert row["max_abs"] < state, key
        elif "rel" in row:
            assert row["rel"] < (gradient_norm if key.startswith("grad/") else loss), key
        elif key.startswith("grad/") and np.linalg.norm(np.asarray(found[key], np.float64)) > 1e-5 * total:
            assert row.get("rel_to_leaf_max", row["norm_rel"]) < gradient, key
            compared += 1
    assert compared
    return report


def check_builds(name):
    """Initialisation, model and loss at full scale can be traced, on batches as the data have them."""
    workload = workloads.load(f"algoperf/{name}")
    key = jax.random.key(0)
    params, state = jax.eval_shape(workload.init, key)
    batch = workloads.batch_shapes(workload)

    def loss(params, state, batch):
        return workload.loss(params, state, batch, key, True, workloads.Regularization(0.1, 0.1))

    value, new_state = jax.eval_shape(loss, params, state, batch)
    assert value.shape == ()
    assert jax.tree.structure(new_state) == jax.tree.structure(state)


def check_step(name, examples):
    """A real step of AdamW at full scale, on so many examples, gives finite losses and moves every kind of leaf."""
    workload = workloads.load(f"algoperf/{name}")
    init_key, batch_key, key = jax.random.split(jax.random.key(0), 3)
    params, state = jax.jit(workload.init)(init_key)
    batch = workload.data.fresh(workload.data.arrays("train"), batch_key, "train", examples)
    rule = optax.adamw(1e-3)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(params, state):
        def loss(params):
            return workload.loss(params, state, batch, key, True, workloads.Regularization())

        (value, _), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, _ = rule.update(gradients, rule.init(params), params)
        norms = jax.tree.map(jax.numpy.linalg.norm, gradients)
        return optax.apply_updates(params, updates), value, norms

    new, value, norms = step(params, state)
    assert np.isfinite(value)
    assert all(np.isfinite(norm) and norm > 0 for norm in jax.tree.leaves(norms))
    assert all(bool(jax.numpy.isfinite(leaf).all()) for leaf in jax.tree.leaves(new))
