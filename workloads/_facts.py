"""What can be said of a workload without training it."""

from __future__ import annotations

import math
from typing import Any

from workloads._workload import Workload


def parameter_count(workload: Workload) -> int:
    """Number of trained scalars. Nothing is computed: only shapes are traced."""
    import jax

    params, _ = jax.eval_shape(workload.init, jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def facts(workload: Workload) -> dict[str, Any]:
    """A row about a workload, ready for a table or for JSON: plain strings, numbers and None."""
    provenance = workload.data.provenance
    return {
        "name": workload.name,
        "cost_class": workload.cost_class,
        "summary": workload.summary,
        "metric": workload.metric.name,
        "minimize": workload.metric.minimize,
        "validation_target": workload.validation_target,
        "test_target": workload.test_target,
        "step_hint": workload.step_hint,
        "eval_period": workload.eval_period,
        "batch_size": workload.batch_size,
        "max_runtime_seconds": workload.max_runtime_seconds,
        "loss_type": workload.loss_type,
        "parameters": parameter_count(workload),
        "examples": {split: workload.data.size(split) for split in workload.data.splits},
        "data_kind": provenance.kind,
        "stands_in_for": provenance.stands_in_for,
        "data": str(provenance),
    }
