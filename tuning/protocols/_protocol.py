"""A protocol: stages, and the scales at which it is run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Scale:
    """How large a protocol is run.

    Attributes:
      workloads: what is trained, at least two, so that one can be left out.
      candidates: points from which lists are chosen, at least as many as a list has.
      repeats: trainings of every point of a list or a baseline, for medians; candidates train once.
      size: points in a list, and of every baseline.
    """

    workloads: tuple[str, ...]
    candidates: int
    repeats: int
    size: int

    def __post_init__(self) -> None:
        if len(self.workloads) < 2:
            raise ValueError(f"{len(self.workloads)} workloads; leaving one out takes at least 2")
        for field in ("repeats", "size"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}; must be at least 1")
        if self.candidates < self.size:
            raise ValueError(
                f"size is {self.size} but there are only {self.candidates} candidates; "
                f"ask for lists of {self.candidates} or fewer, or for more candidates"
            )


@dataclasses.dataclass(frozen=True)
class Tune:
    """Trains a strategy's points on every workload.

    Candidates are as many as the scale says, and train once; baselines have as many points as a list, and its repeats.

    Attributes:
      study: its name.
      strategy: a name of `tuning.strategies.STRATEGIES`.
      options: what the strategy is told.
      published: name of the published list that gives the points, with its optimizer.
      optional: left out unless it is asked for by the study's name.
    """

    study: str
    strategy: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    published: str | None = None
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Choose:
    """Chooses a list for every workload from what the candidates did on all the others.

    Attributes:
      candidates: name of a study of an earlier stage.
    """

    candidates: str


@dataclasses.dataclass(frozen=True)
class Rerun:
    """Trains every chosen list anew, on the workload that it has not seen.

    Attributes:
      study: its name.
      candidates: the study that the lists were chosen from.
      fresh: added to the protocol's seed: nothing that chose a list may also judge it.
    """

    study: str
    candidates: str
    fresh: int = 1


@dataclasses.dataclass(frozen=True)
class Report:
    """Writes the report on all studies."""


Stage = Tune | Choose | Rerun | Report


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How lists are made, judged and compared.

    Attributes:
      stages: in order.
      scales: name -> how large it can be run, the smallest first.
      reference: whose protocol it is.
    """

    stages: tuple[Stage, ...]
    scales: Mapping[str, Scale]
    reference: str
