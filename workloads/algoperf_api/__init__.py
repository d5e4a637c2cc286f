"""Workloads as AlgoPerf's submissions see them.

A submission written for AlgoPerf says `from algoperf import spec` and is handed a `spec.Workload`. Both work without
AlgoPerf:

    >>> from workloads import algoperf_api
    >>> algoperf_api.install()
    >>> from algoperf import spec
    >>> spec.ForwardPassMode.TRAIN.value
    0
    >>> workload = algoperf_api.algoperf_workload("algoperf/mnist")  # doctest: +SKIP
    >>> params, model_state = workload.init_model_fn(jax.random.PRNGKey(0))  # doctest: +SKIP

Where a real AlgoPerf is installed, its modules are used and ours stay out of the way. Importing this package costs no
JAX; making a view does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from workloads.algoperf_api._install import PROVIDED, ROOTS, install, is_installed, spec

if TYPE_CHECKING:
    from workloads._workload import Workload

__all__ = ["INSTALLED", "PROVIDED", "ROOTS", "algoperf_workload", "install", "is_installed", "spec", "view"]

INSTALLED = "algoperf-installed/"  # names of a real AlgoPerf's workloads begin with it


def view(workload: Workload, device_axis: bool = False) -> Any:
    """The workload as a `spec.Workload`, of the spec in force.

    Args:
      workload: with resident or generated data.
      device_axis: as submissions for AlgoPerf v0.5 expect it: parameters, model state and batches have a leading axis
        over the local devices, and the dropout rate is an argument of `init_model_fn`, not of `model_fn`.

    Returns:
      A `workloads.algoperf_api._view.View`, which says what there is beyond AlgoPerf's interface.

    Raises:
      TypeError: the data are neither resident nor generated.
    """
    from workloads.algoperf_api import _view

    return _view.view(workload, device_axis)


def algoperf_workload(
    name: str, data_dir: str | os.PathLike[str] | None = None, device_axis: bool = False
) -> Any:
    """The `spec.Workload` of a name: a view of ours, or the real object of an installed AlgoPerf.

    Args:
      name: as `workloads.load` takes it; behind `algoperf-installed/` one of AlgoPerf's own names.
      data_dir: see `workloads.load`.
      device_axis: see `view`.

    Raises:
      ValueError: unknown name, a device axis for a workload that has none, or `algoperf-installed/...` without
        AlgoPerf.
    """
    if name.startswith(INSTALLED):
        if device_axis:
            raise ValueError(
                f"{name}: an installed AlgoPerf hands out parameters without a device axis, but the submission uses "
                "jax.pmap; run it on one of our workloads, or port it to jax.jit"
            )
        from workloads import _installed_algoperf

        return _installed_algoperf.real_workload(name, data_dir)
    import workloads

    return view(workloads.load(name, data_dir), device_axis)
