"""What a meta-training's folder says that it is: the plan, and what made the weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results.meta_trainings import DESCRIPTION
from submissions import environment
from tuning.meta_training.plan import Plan
from workloads.data.files import write_atomically

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Description:
    """The description of a folder.

    Attributes:
      file: that it is in, or will be.
      asked: the plan as JSON.
      parts: that an estimate was cut into when the training began; None: it has not begun.
    """

    file: Path
    asked: Mapping[str, Any]
    parts: int | None

    @classmethod
    def of(cls, folder: Path, plan: Plan, initial: str | None) -> Description:
        """Reads what is there.

        Args:
          folder: of the training.
          plan: that it must be of.
          initial: weights that it must have begun with.

        Raises:
          ValueError: there is one of another plan.
        """
        file = folder / DESCRIPTION
        asked = json.loads(json.dumps({**plan.describe(), "initial": initial}))
        if not file.exists():
            return cls(file, asked, None)
        there = json.loads(file.read_text())
        if there.get("format") != FORMAT:
            raise ValueError(f"{file}: format {there.get('format')}, not {FORMAT}")
        for name, value in asked.items():
            if there["plan"].get(name) != value:
                raise ValueError(
                    f"{folder}: holds a meta-training with {name} {json.dumps(there['plan'].get(name))}, not "
                    f"{json.dumps(value)}; choose another folder, or the same plan to go on"
                )
        return cls(file, asked, there["parts"])

    def write(self, parts: int) -> None:
        """Writes what the training is, and what makes it; what is there stays."""
        if self.file.exists():
            return
        made_by = {
            "versions": environment.versions(),
            "source": environment.source(),
            "device": environment.device(),
            "command": environment.command(),
        }
        content = {"format": FORMAT, "plan": self.asked, "parts": parts, "made_by": made_by, "data": {}}
        _write(self.file, content)

    def add_data(self, data: Mapping[str, str]) -> None:
        """Adds which data the workloads trained so far have."""
        content = json.loads(self.file.read_text())
        if not data.items() <= content["data"].items():
            _write(self.file, {**content, "data": {**content["data"], **data}})


def _write(file: Path, content: Mapping[str, Any]) -> None:
    write_atomically(file, json.dumps(content, indent=1).encode() + b"\n")
