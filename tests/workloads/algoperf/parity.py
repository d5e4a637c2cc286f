"""What every workload of AlgoPerf's has to show: its parameters, and equality with the golden files."""

from __future__ import annotations

import jax
import numpy as np

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
    name,
    logits=1e-5,
    training_logits=2e-4,
    state=2e-5,
    loss=1e-5,
    gradient_norm=1e-4,
    gradient=2e-3,
    workload=None,
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
      workload: see `golden.outputs_and_gradients`.
    """
    found = golden.outputs_and_gradients(name, workload=workload)
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
