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

Importing this package costs no JAX; loading a workload does.
"""

from workloads._catalogue import KINDS, Entry, Kind, describe, entry, families, select
from workloads._facts import facts, parameter_count
from workloads._flops import batch_shapes, flops_per_step
from workloads._registry import load, names, register, representatives
from workloads._streamed import StreamedBatch, StreamedData
from workloads._targets import Target, read_targets
from workloads._workload import (
    Batch,
    Functions,
    GeneratedData,
    Metric,
    ModelState,
    Params,
    Provenance,
    Regularization,
    ResidentData,
    SharedProgram,
    Workload,
)

__all__ = [
    "KINDS",
    "Batch",
    "Entry",
    "Functions",
    "GeneratedData",
    "Kind",
    "Metric",
    "ModelState",
    "Params",
    "Provenance",
    "Regularization",
    "ResidentData",
    "SharedProgram",
    "StreamedBatch",
    "StreamedData",
    "Target",
    "Workload",
    "batch_shapes",
    "describe",
    "entry",
    "facts",
    "families",
    "flops_per_step",
    "load",
    "names",
    "parameter_count",
    "read_targets",
    "register",
    "representatives",
    "select",
]
