"""The file of targets: workload -> its target, and everything that made it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

import workloads
from tuning.targets._measured import MeasuredTarget
from workloads.data import reading
from workloads.data.files import write_atomically


def write_targets(path: Path, targets: Mapping[str, MeasuredTarget], made_by: str) -> None:
    """Adds targets to a targets file, replacing those of the same workloads.

    Args:
      path: a JSON file of the layout of workloads/targets.json; made when missing.
      targets: workload -> target.
      made_by: the command that made them; stored with each.

    Raises:
      ValueError: what is at the path is no targets file, or one of another format; it is left as it is.
    """
    there = check_targets(path)
    added = {name: {**msgspec.to_builtins(target), "made_by": made_by} for name, target in targets.items()}
    content = {"format": 1, "targets": dict(sorted({**there, **added}.items()))}
    write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def check_targets(path: Path) -> Mapping[str, Any]:
    """Workload -> all that a targets file says of its target; nothing where no file is yet.

    Raises:
      ValueError: it is no targets file, or one of another format.
    """
    if not path.exists():
        return {}
    workloads.read_targets(path)  # says what is wrong with it
    return reading.read_json(path)["targets"]
