"""Workloads as AlgoPerf's submissions see them.

A submission written for AlgoPerf says `from algoperf import spec` and is handed a `spec.Workload`. Both work without
AlgoPerf:

    >>> from submissions import api
    >>> api.install()
    >>> from algoperf import spec
    >>> spec.ForwardPassMode.TRAIN.value
    0
    >>> workload = api.algoperf_workload("algoperf/mnist")  # doctest: +SKIP
    >>> params, model_state = workload.init_model_fn(jax.random.PRNGKey(0))  # doctest: +SKIP

Where a real AlgoPerf is installed, its modules are used and ours stay out of the way. Importing this package costs no
JAX; making a view does.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import submissions
from submissions.api._install import PROVIDED, ROOTS, install, spec
from submissions.api._trial_spec import Attendant, TrialOutcome, TrialSpec, workload_folder
from workloads.data.files import write_atomically
from workloads.installed import PREFIX as INSTALLED
from workloads.installed import is_installed

if TYPE_CHECKING:
    from workloads import Workload

__all__ = [
    "INSTALLED", "PROVIDED", "ROOTS", "Attendant", "TrialOutcome", "TrialSpec", "algoperf_workload", "begin_logs",
    "evaluations", "install", "is_installed", "spec", "train", "view", "workload_folder", "write_rule",
]  # fmt: skip

WEIGHTS = "optimizer.weights"  # of a learned optimizer, in the folder of `write_rule`


def view(workload: Workload, device_axis: bool = False) -> Any:
    """The workload as a `spec.Workload`, of the spec in force.

    Args:
      workload: any.
      device_axis: as submissions for AlgoPerf v0.5 expect it: parameters, model state and batches have a leading axis
        over the local devices, and the dropout rate is an argument of `init_model_fn`, not of `model_fn`.

    Returns:
      A `submissions.api._view.View`, which says what there is beyond AlgoPerf's interface.
    """
    from submissions.api import _view

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
        from workloads import installed

        return installed.real_workload(name, data_dir)
    import workloads

    return view(workloads.load(name, data_dir), device_axis)


def write_rule(folder: Path, optimizer: str) -> None:
    """Writes a submission that trains a `Rule` in AlgoPerf's loop; it needs Shortlist, see `of_rule`.

    Args:
      folder: gets submission.py and tuning_search_space.json, and weights of a learned optimizer.
      optimizer: FILE.py:FUNCTION or NAME@FILE, with the whole path.
    """
    own = submissions.optimizer(optimizer)
    space: Any = own.search_space or {}
    called, what, imports = repr(optimizer), optimizer, ""
    if isinstance(own, submissions.LearnedOptimizer):
        write_atomically(folder / WEIGHTS, own.content)
        before = submissions.moved(optimizer, "")
        called = f'f"{before}{{Path(__file__).with_name({WEIGHTS!r})}}"'
        what, imports = (
            f"{before.removesuffix('@')} with the weights of SHA-256\n{own.sha256}\n",
            "from pathlib import Path\n\n",
        )
        space = [submissions.learned.UNTUNED]
    content = f'''"""The optimizer {what} in AlgoPerf's loop. Needs Shortlist."""

{imports}from submissions.api.of_rule import functions

get_batch_size, init_optimizer_state, update_params, data_selection, prepare_for_eval = functions({called})
'''
    write_atomically(folder / "submission.py", content.encode())
    space = json.dumps(space, indent=2)
    write_atomically(folder / "tuning_search_space.json", space.encode() + b"\n")


def evaluations(folder: os.PathLike[str]) -> list[dict[str, str]]:
    """The rows of a trial's eval_measurements.csv, column -> text; none if there are none."""
    from pathlib import Path

    from submissions.api import _logs

    return _logs.read_rows(Path(folder) / _logs.EVALUATIONS)


def train(spec: TrialSpec, attendant: Attendant | None = None) -> TrialOutcome:
    """Trains a trial to its end, by AlgoPerf's rules; see `TrialSpec`.

    Args:
      spec: what is trained, and where its logs go.
      attendant: who looks after it.

    Returns:
      How it ended; "interrupted", with a checkpoint, where the attendant wanted it to stop.

    Raises:
      Refused: it cannot be gone on with as asked for, or there is no such workload.
      OSError: of its folder.
      ValueError, FileNotFoundError, ImportError: the submission cannot be used.
      Exception: whatever the submission raises, with the call as a note, see `failures`.
    """
    from submissions.api import _loop

    return _loop.train(spec, attendant or Attendant())


def begin_logs(spec: TrialSpec) -> None:
    """Writes down what a trial was to be, for one that crashed before it did so itself. No code of the submission runs.

    Raises:
      ValueError, OSError: there is no such workload.
    """
    from submissions.api import _logs

    workload = algoperf_workload(spec.workload_to_load, spec.data_dir)
    _logs.TrialLogs(Path(spec.folder), resume=spec.resume).begin(spec, workload)
