"""What a meta-training is: everything that determines its numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from submissions.learned import LEARNED, Learned
from tuning.meta_training.distribution import Distribution, Listed
from tuning.meta_training.estimators import ESTIMATORS, Estimator, FullES, FullGradient
from tuning.meta_training.learner import Learner
from tuning.meta_training.parametric import Parametric
from tuning.meta_training.schedules import Lengths
from workloads.spelling import did_you_mean


@dataclasses.dataclass(frozen=True)
class Plan:
    """A meta-training.

    Attributes:
      optimizer: name in `LEARNED`.
      distribution: what it is trained on.
      estimator: of gradients.
      lengths: of tasks.
      learner: what becomes of gradients.
      tasks: trained at a time by each estimator; of evolution strategies each is trained twice.
      estimators: how many there are, each with a workload of its own.
      per_step: estimators whose gradients are averaged for an outer step, in turn; None: all.
      resample_every: after an outer step each estimator gets another workload with probability 1 / this; None: never.
      offset: tasks of windows begin as if up to so many steps had been taken, so that they do not end together.
      shared_batches: all tasks of an estimator see the same batches.
      meta_loss: training, same-batch, or a role of the workload's splits: see `tuning.meta_training._unroll.Unroll`.
      scaled: losses count relative to those of fresh parameters, see `distribution.scale_of`; where not, as they are.
      sizes, switches: of the optimizer, where not its own.
      seed: determines everything else.
    """

    optimizer: str
    distribution: Distribution
    estimator: Estimator
    lengths: Lengths
    learner: Learner = dataclasses.field(default_factory=Learner)
    tasks: int = 16
    estimators: int = 1
    per_step: int | None = None
    resample_every: int | None = None
    offset: int = 0
    shared_batches: bool = True
    meta_loss: str = "training"
    scaled: bool = True
    sizes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    switches: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in LEARNED:
            raise ValueError(
                f"unknown learned optimizer {self.optimizer!r}{did_you_mean(self.optimizer, LEARNED)} (allowed: "
                f"{', '.join(LEARNED)})"
            )
        for what, allowed in (("sizes", self.learned.sizes), ("switches", self.learned.switches)):
            for name in getattr(self, what):
                if name not in allowed:
                    has = ", ".join(allowed) or "none"
                    raise ValueError(
                        f"{self.optimizer} has no {what[:-2] if what == 'switches' else what[:-1]} {name!r}"
                        f"{did_you_mean(name, allowed)} (it has: {has})"
                    )
        for name in ("tasks", "estimators", "per_step", "resample_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; must be at least 1")
        if self.per_step is not None and self.per_step > self.estimators:
            raise ValueError(
                f"per_step is {self.per_step}, of {self.estimators} estimators; must be at most as many"
            )
        if self.offset and self.whole:
            raise ValueError("offset sets apart tasks of windows; an estimator of whole trainings has none")

    @property
    def learned(self) -> Learned:
        """The optimizer's row."""
        return LEARNED[self.optimizer]

    @property
    def whole(self) -> bool:
        """Whether tasks are trained from start to end for every estimate."""
        return isinstance(self.estimator, FullES | FullGradient)

    def describe(self) -> dict[str, Any]:
        """The plan as JSON."""
        kind = next(name for name, made in ESTIMATORS.items() if type(self.estimator) is made)
        left = ("optimizer", "distribution", "estimator", "lengths", "learner")
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in left}
        return {
            "optimizer": self.optimizer,
            "distribution": dict(self.distribution.describe()),
            "estimator": {"kind": kind, **dataclasses.asdict(self.estimator)},
            "lengths": dataclasses.asdict(self.lengths),
            "learner": dataclasses.asdict(self.learner),
            **{name: dict(x) if isinstance(x, Mapping) else x for name, x in plain.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Reads what `describe` says, of distributions of this package.

        Raises:
          ValueError: the distribution is another's.
        """
        given, estimator = dict(data), dict(data["estimator"])
        made = ESTIMATORS[estimator.pop("kind")](**estimator)
        given |= {
            "distribution": _distribution(data["distribution"]),
            "estimator": made,
            "lengths": Lengths(**data["lengths"]),
            "learner": Learner(**data["learner"]),
        }
        return cls(**given)


def _distribution(said: Mapping[str, Any]) -> Distribution:
    match said:
        case {"workloads": names, "weights": weights, "data_dir": data_dir}:
            return Listed(tuple(names), tuple(weights), data_dir)
        case {"phase": phase, "slowdown": slowdown, "augment": augment, "data_dir": data_dir}:
            return Parametric(phase, slowdown, augment, data_dir)
    raise ValueError(f"no distribution of this package says {', '.join(said)} of itself")
