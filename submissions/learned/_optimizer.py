"""A learned optimizer with trained weights, as an optimizer like any other: NAME@FILE, or NAME,SWITCH=VALUE,...@FILE.

Without a file, NAME has the weights that come with it, where some do.

>>> found = parts("celo,weight_decay=1e-6@weights/trained.msgpack")
>>> found.learned.name, found.switches, found.file
('celo', {'weight_decay': 1e-06}, PosixPath('weights/trained.msgpack'))
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from submissions.learned import _switches
from submissions.learned._declaration import Learned
from submissions.learned._table import LEARNED, SHIPPED
from submissions.optimizers._hyperparameters import POSITIVE, Hyperparameter, Optimizer
from submissions.optimizers._rule import Rule
from workloads.own_files import is_file_form

HORIZON_FACTOR = Hyperparameter("horizon_factor", POSITIVE, 1.0)
SPACE = {"horizon_factor": {"min": 0.25, "max": 4.0, "scaling": "log"}}
UNTUNED: Mapping[str, float] = {"horizon_factor": 1.0}
SOURCE = (
    "A learned optimizer: the rule's weights were trained, and come in a file. Its one hyperparameter is the factor by "
    "which the number of steps that it is told differs from the step hint."
)


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedOptimizer(Optimizer):
    """A row of `LEARNED` with weights.

    Attributes:
      learned: the row.
      file: of the weights.
      content: of the file.
      sha256: of the content.
      weights: the tree that it holds.
      switches: that are not as the table has them.
    """

    learned: Learned = dataclasses.field(kw_only=True)
    file: Path = dataclasses.field(kw_only=True)
    content: bytes = dataclasses.field(kw_only=True, repr=False)
    sha256: str = dataclasses.field(kw_only=True)
    weights: Any = dataclasses.field(kw_only=True, repr=False)
    switches: Mapping[str, Any] = dataclasses.field(kw_only=True, default_factory=dict)

    @functools.cached_property
    def rule(self) -> Rule:
        """The learned rule, told a horizon of its factor times the one that it is given. Imports JAX."""
        own = {name: value for name, value in self.switches.items() if name in self.learned.switches}
        return scaled(self.learned.make(self.weights, **own), self.switches.get("continuation", "naive"))

    def __call__(self, hyperparameters: Mapping[str, Any], horizon: Any) -> Any:
        """Not for learned optimizers, which need the loss of every step."""
        raise ValueError(f"{self.name}: is learned, and no optax.GradientTransformation; take its rule")


def scaled(rule: Rule, continuation: str = "naive") -> Rule:
    """The rule with a hyperparameter `horizon_factor`; without it, the horizon is as it is given.

    Args:
      rule: a learned one.
      continuation: what it does after the steps that it was told, of `submissions.learned.continuation.WAYS`.
    """
    import jax.numpy as jnp

    from submissions.learned.continuation import continued

    def told(hyperparameters, horizon):
        if "horizon_factor" not in hyperparameters:
            return horizon
        steps = jnp.round(horizon * hyperparameters["horizon_factor"])
        return jnp.maximum(steps, 1).astype(jnp.int32)

    return continued(rule, continuation, told)


class Parts(NamedTuple):
    """What a name says."""

    learned: Learned
    file: Path
    switches: Mapping[str, Any]


def is_learned_form(name: str) -> bool:
    """Whether a name is of a learned optimizer and its weights: NAME@FILE, or NAME that comes with some."""
    before, at, file = name.partition("@")
    plain = before.partition(",")[0]
    return plain in LEARNED and bool(file or (not at and plain in SHIPPED)) and not is_file_form(name)


def parts(name: str) -> Parts:
    """The row, the file and the switches of NAME,SWITCH=VALUE,...@FILE.

    Raises:
      ValueError: a switch that it does not have, or a value that it cannot have.
    """
    before, _, file = name.partition("@")
    plain, *given = before.split(",")
    learned = LEARNED[plain]
    where = Path(file).expanduser() if file else SHIPPED[plain]
    return Parts(learned, where, _switches.parsed(learned, given))


def has_shipped_weights(name: str) -> bool:
    """Whether a name is of the weights that come with it, by itself or by their file."""
    return is_learned_form(name) and os.path.realpath(parts(name).file) == os.path.realpath(
        SHIPPED.get(parts(name).learned.name, "")
    )


def named(learned: Learned, file: Path | str | None, switches: Mapping[str, Any]) -> str:
    """The inverse of `parts`; without a file where it is None."""
    plain = f"{learned.name}{_switches.spelt(switches)}"
    return plain if file is None else f"{plain}@{file}"


def absolute(name: str) -> str:
    """NAME@FILE with the whole path."""
    found = parts(name)
    return named(found.learned, os.path.realpath(found.file), found.switches)


def with_weights(name: str) -> LearnedOptimizer:
    """The optimizer NAME@FILE. Imports JAX.

    Raises:
      FileNotFoundError: no such file.
      ValueError: it holds no weights, or another optimizer's; or a switch is not understood.
    """
    from submissions.learned import weight_files

    learned, file, switches = parts(name)
    read, content = weight_files.read_content(file)
    weights = weight_files.for_optimizer(learned, read, str(file))
    return LearnedOptimizer(
        name=learned.name,
        make=learned.make,
        hyperparameters=(HORIZON_FACTOR,),
        reference=learned.reference,
        source=SOURCE,
        schedule="It has no schedule beside the rule.",
        whole_warmup_steps=False,
        search_space=SPACE,
        learned=learned,
        file=file,
        content=content,
        sha256=read.sha256,
        weights=weights,
        switches=switches,
        options={key: repr(value) for key, value in switches.items() if key in learned.switches},
    )


def missing_weights(name: str) -> ValueError:
    """What is said where a learned optimizer is named alone."""
    name = name.partition(",")[0]
    return ValueError(
        f"{name} is a learned optimizer, which needs trained weights: --weights FILE, or {name}@FILE as its name"
    )
