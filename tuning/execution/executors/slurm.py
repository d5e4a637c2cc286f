"""Workers of a shared folder as jobs of Slurm, through submitit. Slurm only starts them; the folder moves the jobs."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SECONDS_TO_END = 30.0  # for the job that a worker has, of the 90 seconds that submitit has Slurm give notice


class Worker:
    """`shortlist worker FOLDER`, begun again elsewhere when Slurm takes its machine away.

    Example:
      >>> Worker("/shared/queue", ["--help"]).command[-4:]
      ['shortlist.cli', 'worker', '/shared/queue', '--help']
    """

    def __init__(self, folder: str, arguments: Sequence[str] = ()) -> None:
        self.command = [sys.executable, "-m", "shortlist.cli", "worker", folder, *arguments]

    def __call__(self) -> None:
        """Works until the worker ends by itself.

        Raises:
          RuntimeError: it failed; its own message is in the job's log.
        """
        global _process
        _process = subprocess.Popen(self.command)
        while (status := _process.poll()) is None:  # `wait` would keep `checkpoint` from waiting
            time.sleep(0.5)
        if status != 0:
            raise RuntimeError(f"the worker ended with status {status}")

    def checkpoint(self) -> Any:
        """Called by submitit when this machine is wanted back: the worker may end its job first, and begins again
        where Slurm says."""
        from submitit.helpers import DelayedSubmission

        if _process is not None:
            _process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                _process.wait(_SECONDS_TO_END)
            _process.kill()
        return DelayedSubmission(self)


_process: subprocess.Popen[bytes] | None = None  # of this job; not in `Worker`, which travels


def logs(folder: Path) -> Path:
    """Where the logs of a shared folder's workers are, beside it.

    Example:
      >>> logs(Path("/shared/jobs")).as_posix()
      '/shared/jobs-slurm'
    """
    whole = folder.resolve()
    return whole.with_name(f"{whole.name}-slurm")


def start(
    folder: Path,
    workers: int,
    *,
    minutes: int,
    gpus: int = 0,
    cores: int | None = None,
    memory: str | None = None,
    partition: str | None = None,
    options: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    cluster: str = "slurm",
) -> list[str]:
    """Asks Slurm for workers of a shared folder, and does not wait for them.

    Args:
      folder: shared by all machines, see `shortlist worker`.
      workers: how many jobs, one an array's element.
      minutes: that each may take; whoever is at work then is queued again.
      gpus, cores: of each.
      memory: of each, such as "32GB".
      partition: of the cluster.
      options: others of `sbatch`, by their long names.
      arguments: of `shortlist worker`.
      cluster: "slurm", or "local" for processes of this machine.

    Returns:
      Ids of the jobs.

    Raises:
      ValueError: submitit is not installed, this is no machine of a Slurm cluster, or it refuses what is asked.
    """
    if importlib.util.find_spec("submitit") is None:
        raise ValueError("workers on Slurm need submitit: pip install 'shortlist[slurm]'")
    if cluster == "slurm" and shutil.which("srun") is None:
        raise ValueError("there is no srun here; run this on a login node of the Slurm cluster")
    import submitit

    executor = submitit.AutoExecutor(logs(folder), cluster=cluster, slurm_max_num_timeout=1_000_000)
    asked: dict[str, Any] = {
        "name": "shortlist-worker",
        "timeout_min": minutes,
        "gpus_per_node": gpus or None,
        "cpus_per_task": cores,
        "slurm_mem": memory,
        "slurm_partition": partition,
        "slurm_array_parallelism": workers,
        "slurm_additional_parameters": dict(options or {}) or None,
    }
    executor.update_parameters(**{name: value for name, value in asked.items() if value is not None})
    with executor.batch():
        jobs = [executor.submit(Worker(str(folder.resolve()), arguments)) for _ in range(workers)]
    for job in jobs:
        job.cancel_at_deletion(False)
    return [job.job_id for job in jobs]
