"""Which hyperparameters an optimizer has, and how a point's values become the arrays that it is run with.

Nothing here needs JAX: points are checked on the host, before anything is compiled.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from submissions.optimizers._carried import carried
from submissions.optimizers._from_optax import from_optax
from submissions.optimizers._rule import Rule
from workloads.spelling import did_you_mean


@dataclasses.dataclass(frozen=True)
class Domain:
    """The values a hyperparameter may take, finite ones only."""

    text: str  # as a person writes it
    contains: Callable[[float], bool]


POSITIVE = Domain("(0, inf)", lambda x: 0 < x < math.inf)
NOT_NEGATIVE = Domain("[0, inf)", lambda x: 0 <= x < math.inf)
BELOW_ONE = Domain("[0, 1)", lambda x: 0 <= x < 1)
UP_TO_ONE = Domain("[0, 1]", lambda x: 0 <= x <= 1)
ABOVE_ZERO_BELOW_ONE = Domain("(0, 1)", lambda x: 0 < x < 1)
RIDGE = Domain("[1e-6, 1)", lambda x: 1e-6 <= x < 1)
SWITCH = Domain("{0, 1}", lambda x: x in (0, 1))


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """A number that a rule reads."""

    name: str
    domain: Domain
    default: float | None = None  # None: every point must give it


# What the workload reads instead of the optimizer: every point may have them, whatever the rule.
REGULARIZATION = (
    Hyperparameter("dropout_rate", BELOW_ONE, 0.0),
    Hyperparameter("label_smoothing", BELOW_ONE, 0.0),
)

ALIASES = {"warmup_factor": "warmup_fraction"}  # AlgoPerf's spelling -> ours
COMPLEMENTS = {  # given as 1 - value
    f"one_minus_{name}": name for name in ("beta1", "beta2", "adam_beta1", "adam_beta2")
}


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """A row of `submissions.OPTIMIZERS`: an update rule with its schedule, under a name that says which.

    Attributes:
      name: as it stands in a study's record.
      make: (prepared hyperparameters, horizon) -> `optax.GradientTransformation`; a function of a file that a packaged
        submission carries.
      hyperparameters: what the rule reads; `REGULARIZATION` comes on top.
      reference: where the rule is defined.
      formula: one update of x; by default what is indented in the docstring of `make`.
      source: whose rule it is, in sentences for somebody who reads a submission.
      schedule: of the learning rate, likewise.
      options: named switches of the rule, as keyword arguments of `make`.
      whole_warmup_steps: the schedule counts warm-up in whole steps: `prepare` adds `warmup_steps`.
      search_space: where points are drawn from when nobody says otherwise, as AlgoPerf's tuning_search_space.json
        data; None: Medapati et al., Table 1, or nothing at all where there are no hyperparameters.
      applies_constraints: a workload's constraint on its parameters is applied again after every update, as
        TensorFlow 1's own optimizers do. TaskSet's custom ones assign their result as it is.
      evaluated: (state of the transformation, params) -> what is evaluated; None: what is trained.
      gradient_at: the inverse of `evaluated`, by which a submission, whose parameters are those that are evaluated,
        finds where its gradients are taken.
    """

    name: str
    make: Callable[..., Any]
    hyperparameters: tuple[Hyperparameter, ...]
    reference: str
    formula: str = ""
    source: str = ""
    schedule: str = ""
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    whole_warmup_steps: bool = True
    search_space: Mapping[str, Mapping[str, Any]] | None = None
    applies_constraints: bool = True
    evaluated: Callable[[Any, Any], Any] | None = None
    gradient_at: Callable[[Any, Any], Any] | None = None

    def __post_init__(self) -> None:
        if not self.formula:
            object.__setattr__(self, "formula", _formula_in(inspect.getdoc(self.make) or ""))

    @functools.cached_property
    def rule(self) -> Rule:
        """What those who train are given: the same object at every access. Imports JAX."""
        names = [h.name for h in self.hyperparameters] + ["warmup_steps"] * self.whole_warmup_steps
        return from_optax(self, self.evaluated, names=names)

    def __call__(self, hyperparameters: Mapping[str, Any], horizon: Any) -> Any:
        """The `optax.GradientTransformation`. Imports JAX.

        Args:
          hyperparameters: as `prepare` gives them; they may be traced, so that a new point never compiles.
          horizon: where the schedule ends; may be traced, unless `rule.static_horizon`. Steps.

        Raises:
          ValueError: the hyperparameters were not prepared.
        """
        if self.whole_warmup_steps and "warmup_steps" not in hyperparameters:
            raise ValueError("warmup_steps is missing; hyperparameters must come from Optimizer.prepare")
        return self.make(hyperparameters, horizon, **self.options)

    def carried_source(self) -> str:
        """The functions of the rule and all that they need, as a packaged folder carries them."""
        functions = [f.__name__ for f in (self.make, self.evaluated, self.gradient_at) if f]
        return carried(Path(self.make.__code__.co_filename), functions)

    def canonical(self, hyperparameters: Mapping[str, float], *, where: str = "point") -> dict[str, float]:
        """A point's hyperparameters under their one name each, with defaults filled in.

        Args:
          hyperparameters: name -> number; aliases and complements (`one_minus_beta1`) are understood.
          where: opens every error message, such as "point 173".

        Returns:
          Name -> float; the same names in the same order for every point of an optimizer.

        Raises:
          ValueError: an unknown name, one given twice, a required one missing, or a value outside its domain.

        Example:
          >>> import submissions
          >>> point = {"learning_rate": 0.01, "one_minus_beta1": 0.25, "warmup_factor": 0.02}
          >>> submissions.optimizer("nadamw_optax").canonical(point)["beta1"]
          0.75
        """
        known = {h.name: h for h in (*self.hyperparameters, *REGULARIZATION)}
        spellings = [*known, *ALIASES, *COMPLEMENTS]
        values: dict[str, float] = {}
        given_as: dict[str, str] = {}
        for given, number in hyperparameters.items():
            name = ALIASES.get(given) or COMPLEMENTS.get(given) or given
            if name not in known:
                raise ValueError(
                    f"{where}: {self.name} has no hyperparameter {given!r}{did_you_mean(given, spellings)} "
                    f"(allowed: {', '.join(known)})"
                )
            if name in values:
                raise ValueError(f"{where}: {given_as[name]} and {given} both set {name}; give one of them")
            value = 1 - float(number) if given in COMPLEMENTS else float(number)
            if not known[name].domain.contains(value):
                so = f", so {name} is {value}" if given in COMPLEMENTS else ""
                raise ValueError(
                    f"{where}: {given} is {number}{so}; {name} must lie in {known[name].domain.text}"
                )
            values[name], given_as[name] = value, given
        missing = [h.name for h in known.values() if h.default is None and h.name not in values]
        if missing:
            raise ValueError(
                f"{where}: {self.name} needs {', '.join(missing)}; the point has {', '.join(given_as)}"
            )
        return {name: values.get(name, h.default) for name, h in known.items()}  # type: ignore[misc]

    def prepare(
        self, hyperparameters: Mapping[str, float], total_steps: int, *, where: str = "point"
    ) -> dict[str, float]:
        """The scalars that the rule and the workload are run with, ready to become arrays.

        What `canonical` returns and warmup_steps = int(warmup_fraction * total_steps), with AlgoPerf's
        rounding (init2winit rounds to nearest). It is computed here because a traced float32 product may
        truncate to another step.

        Args:
          hyperparameters: as for `canonical`.
          total_steps: end of the schedule, at least 1. Steps.
          where: opens every error message.

        Returns:
          Name -> float, the same names for every point of an optimizer.

        Raises:
          ValueError: as `canonical`, or fewer than 1 total steps.
        """
        if total_steps < 1:
            raise ValueError(f"{where}: total_steps is {total_steps}; must be at least 1")
        prepared = self.canonical(hyperparameters, where=where)
        if self.whole_warmup_steps:
            prepared["warmup_steps"] = float(int(prepared["warmup_fraction"] * total_steps))
        return prepared


def _formula_in(docstring: str) -> str:
    """The lines that are indented by four before anything else is: the text of arguments is indented by two."""
    lines = docstring.partition("\nArgs:")[0].splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    "))
