"""What is trained: models, losses, data and facts, each as one `Workload`.

    >>> import workloads
    >>> len([name for name in workloads.names() if name.startswith("taskset/")])
    1309
    >>> workloads.entry("taskset/mlp_family_seed15").config["layer_sizes"]
    [18]

A workload of your own is one file with one decorated function:

    import workloads

    @workloads.register("mine/name")
    def build(data_dir):
        return workloads.Workload(name="mine/name", ...)

Every command takes it as FILE.py:mine/name. docs/own_workload.md has the whole of it.

Importing this package costs no JAX; loading a workload does.
"""

from workloads._catalogue import KINDS, Entry, Kind, comparable_facts, describe, entry, families, select
from workloads._facts import facts, parameter_count
from workloads._flops import batch_shapes, flops_per_step
from workloads._measure import ForeignMeasure, Measure
from workloads._registry import load, names, own_file, recorded_name, register, representatives
from workloads._source import (
    Batch,
    GeneratedData,
    Provenance,
    ResidentData,
    Source,
    StreamedBatch,
    StreamedData,
)
from workloads._targets import Target, read_targets
from workloads._workload import (
    Functions,
    Metric,
    ModelFn,
    ModelState,
    Params,
    Regularization,
    SharedProgram,
    Workload,
)

__all__ = [
    "KINDS",
    "Batch",
    "Entry",
    "ForeignMeasure",
    "Functions",
    "GeneratedData",
    "Kind",
    "Measure",
    "Metric",
    "ModelFn",
    "ModelState",
    "Params",
    "Provenance",
    "Regularization",
    "ResidentData",
    "SharedProgram",
    "Source",
    "StreamedBatch",
    "StreamedData",
    "Target",
    "Workload",
    "batch_shapes",
    "comparable_facts",
    "describe",
    "entry",
    "facts",
    "families",
    "flops_per_step",
    "load",
    "names",
    "own_file",
    "parameter_count",
    "read_targets",
    "recorded_name",
    "register",
    "representatives",
    "select",
]
