"""A protocol: stages, and the scales at which it is run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Scale:
    """How large a protocol is run.

    Attributes:
      workloads: what is trained, at least two, so that one can be left out.
      candidates: points from which lists are chosen, at least as many as a list has.
      repeats: trainings of every point of a list or a baseline, for medians; candidates train once.
      size: points in a list, and of every baseline.
      variants: workloads that nothing is chosen on; the list of all `workloads` is tried on them.
      draws: points of random search, whose subsets say how far luck goes; 0: no random search.
      whole: also choose a list from all workloads, and train it anew on them and on the variants.
      also: optional studies that are part of this scale.
      exact: points in exact lists, which are built and tried beside the greedy ones; 0: there are none.
    """

    workloads: tuple[str, ...]
    candidates: int
    repeats: int
    size: int
    variants: tuple[str, ...] = ()
    draws: int = 0
    whole: bool = False
    also: tuple[str, ...] = ()
    exact: int = 0

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
        if 0 < self.draws < self.size:
            raise ValueError(f"draws is {self.draws}; random search needs {self.size}, the points of a list")


@dataclasses.dataclass(frozen=True)
class Tune:
    """Trains a strategy's points on every workload.

    Attributes:
      study: its name.
      strategy: a name of `tuning.strategies.STRATEGIES`.
      options: what the strategy is told.
      points: how many: the scale's `candidates` or `draws`, each trained once; its `size`, trained as often as the
        scale repeats; or `twice` its size, each trained once, for a strategy that answers one trial after the other.
      published: name of the published list that gives the points, with its optimizer.
      optional: left out unless the scale or a person asks for it by the study's name.
      elsewhere: the strategy in its place where another optimizer or space is tuned; None: the stage makes sense for
        the protocol's own alone, and is left out.
    """

    study: str
    strategy: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    points: str = "size"
    published: str | None = None
    optional: bool = False
    elsewhere: str | None = None

    def __post_init__(self) -> None:
        if self.points not in POINTS:
            raise ValueError(f"{self.study}: points is {self.points!r}; must be one of {', '.join(POINTS)}")


POINTS = ("candidates", "draws", "size", "twice")


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
class RerunExact:
    """Trains exact lists of the scale's `exact` points anew, each on the workload that it has not seen.

    Where all its points are in the greedy list, which was trained on that workload, nothing is trained again: with the
    same seed it would be the same trainings.

    Attributes:
      study: its name; there is none where nothing need be trained.
      candidates: the study that the lists are chosen from.
      beside: the study of the greedy lists, of an earlier stage.
      fresh: that stage's.
    """

    study: str
    candidates: str
    beside: str
    fresh: int = 1


@dataclasses.dataclass(frozen=True)
class Whole:
    """Chooses a list from what the candidates did on all workloads, and trains it anew, where the scale says so.

    Attributes:
      study: its name.
      candidates: the study that the list is chosen from.
      on: the scale's `workloads`, which have all been seen, or its `variants`, which have not.
      fresh: see `Rerun`.
    """

    study: str
    candidates: str
    on: str = "workloads"
    fresh: int = 2


@dataclasses.dataclass(frozen=True)
class Publish:
    """Writes the list of all workloads as a list file, with what leaving one out says of it.

    Attributes:
      candidates: the study that it is chosen from.
      proof: the study of the lists that were trained anew on the workload that each has not seen.
    """

    candidates: str
    proof: str


@dataclasses.dataclass(frozen=True)
class Report:
    """Writes the report on all studies."""


Stage = Tune | Choose | Rerun | RerunExact | Whole | Publish | Report


@dataclasses.dataclass(frozen=True)
class Own:
    """What a user puts in the place of a protocol's own optimizer.

    Attributes:
      optimizer: its name, or FILE.py:FUNCTION.
      space: file of its search space; None: the one that the optimizer declares.
    """

    optimizer: str
    space: Path | None = None


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How lists are made, judged and compared.

    Attributes:
      stages: in order.
      scales: name -> how large it can be run, the smallest first.
      reference: whose protocol it is.
      optimizer: whose points are tuned.
    """

    stages: tuple[Stage, ...]
    scales: Mapping[str, Scale]
    reference: str
    optimizer: str = "nadamw_optax"
