"""Options of a command that trains one trial on several hosts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tuning.execution.team import Member

SLURM = "slurm"
PORTS = 20_000, 20_000  # a job of Slurm's has one of them by its number: the first, and how many

Coordinator = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT|slurm",
        help="One trial on several hosts, each of which runs this command: where process 0 is. 'slurm': this and the "
        "next two are Slurm's, under srun with a task per host.",
    ),
]
ProcessId = Annotated[
    int | None, typer.Option(metavar="I", help="With --coordinator: this host's number, from 0.")
]
Processes = Annotated[int | None, typer.Option(metavar="N", help="With --coordinator: hosts in all.")]
Silence = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=1,
        help="With --coordinator: a host of which nothing is heard for so long is taken for lost, the same on all; "
        "default: 60.",
    ),
]


def member_of(
    coordinator: str | None, process_id: int | None, processes: int | None, silence: float | None = None
) -> Member | None:
    """Which process of several hosts this is; None where nobody asked for several.

    Raises:
      ValueError: the options do not fit together, or Slurm's variables are missing.
    """
    from tuning.execution.team import Member

    how = {} if silence is None else {"silence": silence}
    if coordinator is None and how:
        raise ValueError("--silence is of several hosts, which --coordinator joins; leave it out")
    if coordinator == SLURM:
        if process_id is not None or processes is not None:
            raise ValueError("--coordinator slurm knows --process-id and --processes; leave them out")
        return Member(*of_slurm(os.environ), **how)
    given = {"--coordinator": coordinator, "--process-id": process_id, "--processes": processes}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if missing:
        raise ValueError(f"several hosts need {' and '.join(missing)}, too")
    assert coordinator is not None
    assert process_id is not None
    assert processes is not None
    return Member(coordinator, process_id, processes, **how)


def of_slurm(variables: Mapping[str, str]) -> tuple[str, int, int]:
    """Address of process 0, number of this process, and how many there are, of a step of Slurm's.

    Example:
      >>> of_slurm({"SLURM_STEP_NODELIST": "gpu[07-09,12],big1", "SLURM_JOB_ID": "81", "SLURM_PROCID": "1",
      ...           "SLURM_NTASKS": "4"})
      ('gpu07:20081', 1, 4)
    """
    nodes = variables.get("SLURM_STEP_NODELIST") or variables.get("SLURM_JOB_NODELIST") or ""
    first = re.match(r"([^,\[\]]+)(?:\[(\d+)[^\]]*\]([^,]*))?", nodes)
    numbers = [variables.get(f"SLURM_{name}", "") for name in ("JOB_ID", "PROCID", "NTASKS")]
    if first is None or not all(number.isdecimal() for number in numbers):
        raise ValueError(
            "--coordinator slurm: SLURM_STEP_NODELIST, SLURM_JOB_ID, SLURM_PROCID and SLURM_NTASKS are not all set; "
            "start the command by srun, with a task per host"
        )
    job, index, count = map(int, numbers)
    host = "".join(part or "" for part in first.groups())
    return f"{host}:{PORTS[0] + job % PORTS[1]}", index, count
