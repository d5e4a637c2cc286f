"""What a check of a workload says."""

from __future__ import annotations

import dataclasses
from typing import Literal

Outcome = Literal["passed", "failed", "skipped"]


class Skip(Exception):
    """Raised by a check that does not apply, with the reason."""


class Failure(Exception):
    """Raised by a check that found something, with what was found and what would be right."""


@dataclasses.dataclass(frozen=True)
class Check:
    """A check and how it went.

    Attributes:
      name: what was checked, such as `masks`.
      means: what holds where it passes.
      outcome: `passed`, `failed`, or `skipped` where it does not apply.
      message: what was found, or why it was skipped; numbers where it passed.
    """

    name: str
    means: str
    outcome: Outcome
    message: str

    def to_json(self) -> dict[str, str]:
        """A flat object for `--json`."""
        return dataclasses.asdict(self)
