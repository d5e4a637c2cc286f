"""What may be changed while a meta-training runs: `settings.json` in its folder, read again when it changes.

    {"learning_rate": 1e-4, "batch": 4, "distribution": {"digits/conv": 2}}

What the file does not name is as the command says, and without a file all is. A file that cannot be is told in one line
and not taken: what was in force stays.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuning.meta_training.distribution import Listed
from tuning.meta_training.learner import Learner
from tuning.meta_training.plan import Plan
from workloads.data import reading
from workloads.spelling import did_you_mean

FILE = "settings.json"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is in force.

    Attributes:
      learning_rate: Adam's.
      clip: bound of every element of a gradient.
      batch: gradients that are averaged for an outer step: of so many estimators; of an asynchronous training, of so
        many estimates.
      staleness: outer steps by which the weights of an accepted gradient may be older; of an asynchronous training.
      distribution: workload -> its weight, by which tasks are drawn from now on; None where tasks are not drawn of a
        list.
    """

    learning_rate: float
    clip: float
    batch: int
    staleness: int = 0
    distribution: Mapping[str, float] | None = None

    @classmethod
    def of(cls, plan: Plan, staleness: int = 0) -> Settings:
        """As the command says."""
        among = plan.distribution
        shares = dict(zip(among.names, among.weights, strict=True)) if isinstance(among, Listed) else None
        learner = plan.learner
        batch = plan.per_step or plan.estimators
        return cls(float(learner.learning_rate), float(learner.clip), batch, staleness, shares)

    def changes(self, before: Settings) -> dict[str, list[Any]]:
        """Name -> [before, now] of what differs; of the distribution, those workloads alone."""
        old, new = dataclasses.asdict(before), dataclasses.asdict(self)
        found = {name: [old[name], new[name]] for name in new if new[name] != old[name]}
        if self.distribution and before.distribution and "distribution" in found:
            differing = [
                name for name, weight in new["distribution"].items() if old["distribution"][name] != weight
            ]
            found["distribution"] = [{name: of[name] for name in differing} for of in found["distribution"]]
        return found

    def shares(self, plan: Plan) -> tuple[float, ...] | None:
        """Weights of the plan's workloads in their order; None where they are the plan's own."""
        among = plan.distribution
        if self.distribution is None or not isinstance(among, Listed):
            return None
        found = tuple(self.distribution[name] for name in among.names)
        return None if found == among.weights else found

    def learner(self, plan: Plan) -> Learner:
        """A plan's, with what is in force."""
        return dataclasses.replace(plan.learner, learning_rate=self.learning_rate, clip=self.clip)


def changed(said: Any, base: Settings, plan: Plan, where: str, asynchronous: bool = False) -> Settings:
    """Settings with what a file says.

    Args:
      said: its JSON.
      base: as the command says.
      plan: of the training.
      where: the file lies, for messages.
      asynchronous: whether estimates of one estimator may be averaged.

    Raises:
      ValueError: it says what cannot be.
    """
    if not isinstance(said, dict):
        raise ValueError(f'{where}: must be one JSON object, such as {{"learning_rate": 0.0003}}')
    names = [field.name for field in dataclasses.fields(Settings)]
    found: dict[str, Any] = {}
    for name, value in said.items():
        if name not in names:
            raise ValueError(
                f"{where}: unknown setting {name!r}{did_you_mean(name, names)} (allowed: {', '.join(names)})"
            )
        if name in ("learning_rate", "clip"):
            if not _is_number(value) or not 0 < value < math.inf:
                raise ValueError(f"{where}: {name} is {value!r}; must be a positive number")
            found[name] = float(value)
        elif name in ("batch", "staleness"):
            least = 1 if name == "batch" else 0
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{where}: {name} is {value!r}; must be a whole number, at least {least}")
            if name == "batch" and not asynchronous and value > plan.estimators:
                raise ValueError(
                    f"{where}: batch is {value}, of {plan.estimators} estimators; must be at most as many"
                )
            found[name] = value
        else:
            found[name] = _shares(value, base, where)
    return dataclasses.replace(base, **found)


def _shares(value: Any, base: Settings, where: str) -> dict[str, float]:
    there = base.distribution
    if there is None:
        raise ValueError(f"{where}: distribution: this training draws its own tasks, not workloads of a list")
    if not isinstance(value, dict):
        raise ValueError(f"{where}: distribution is {value!r}; must be workloads with their weights")
    for name, weight in value.items():
        if name not in there:
            raise ValueError(
                f"{where}: distribution: {name!r} is not trained on{did_you_mean(name, there)} (allowed: "
                f"{', '.join(there)})"
            )
        if not _is_number(weight) or not 0 < weight < math.inf:
            raise ValueError(f"{where}: distribution: {name} is {weight!r}; must be a positive number")
    return {**there, **{name: float(weight) for name, weight in value.items()}}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Watched:
    """The file of a folder, read when it is not as it was."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self._as_it_was: Any = ()

    def read(self, base: Settings, plan: Plan, asynchronous: bool = False) -> Settings | None:
        """What is in force by the file; None where it is as at the last call.

        Raises:
          ValueError, OSError: it cannot be taken; said once.
        """
        try:
            about = os.stat(self.file)
            now: Any = (about.st_mtime_ns, about.st_size, about.st_ino)
        except FileNotFoundError:
            now = None
        if now == self._as_it_was:
            return None
        self._as_it_was = now
        if now is None:
            return base
        return changed(reading.read_json(self.file), base, plan, str(self.file), asynchronous)
