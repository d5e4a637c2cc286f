"""What is trained: models, losses, data and facts, each as one `Workload`.

    >>> import workloads
    >>> workloads.names()[0]
    'algoperf/mnist'

A workload of your own is one file with one decorated function:

    import workloads

    @workloads.register("mine/name")
    def build(data_dir):
        return workloads.Workload(name="mine/name", ...)

Importing this package costs no JAX; loading a workload does.
"""

from workloads._facts import facts, parameter_count
from workloads._registry import load, names, register
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
    "Batch",
    "Functions",
    "GeneratedData",
    "Metric",
    "ModelState",
    "Params",
    "Provenance",
    "Regularization",
    "ResidentData",
    "SharedProgram",
    "Target",
    "Workload",
    "facts",
    "load",
    "names",
    "parameter_count",
    "read_targets",
    "register",
]
