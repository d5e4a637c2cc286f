"""What is trained, but for its arrays: workload, optimizer, steps, and how trials are evaluated."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable

from submissions import Rule
from workloads import Workload


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """When and on what a population is evaluated.

    | batches | each role's metric | randomness |
    |---|---|---|
    | None | of the whole split (the leading `eval_examples` of the training split) | one fixed key |
    | N | mean over N minibatches of each one's metric | fresh minibatches at every evaluation |

    Attributes:
      batches: minibatches of the training batch size per role. Their examples are drawn uniformly with replacement,
        independently for every role and evaluation, from a key derived from the batch seed and the number of the
        evaluation: trials that share batches share these too.
      at_start: evaluate the initial parameters too, at step 0.

    TaskSet is `Evaluation(batches=50, at_start=True)` every 200 of 10,000 steps: 51 evaluations (arXiv:2002.11887;
    its minibatches come from repeated, shuffled splits).
    """

    batches: int | None = None
    at_start: bool = False

    def __post_init__(self) -> None:
        if self.batches is not None and self.batches < 1:
            raise ValueError(
                f"evaluation on {self.batches} batches; must be at least 1, or None for whole splits"
            )


@dataclasses.dataclass(frozen=True, eq=False)  # what makes two of them equal is `key`
class Training:
    """A training but for its arrays; see `tuning.engine.population.Population` for the attributes.

    Attributes:
      horizon: of a rule that decides on it in Python, else None: then it is an array.
      weights_per_trial: the optimizer's weights have a leading axis [trial].
      constants_per_trial: so have the workload's constants: trials are tasks of one structure. Such trials are not
        evaluated.
      devices_per_trial: that share the examples of its batches.
    """

    workload: Workload
    rule: Rule
    total_steps: int
    eval_period: int
    shared_batches: bool
    evaluation: Evaluation
    constrained: bool
    horizon: int | None = None
    weights_per_trial: bool = False
    constants_per_trial: bool = False
    devices_per_trial: int = 1

    def key(self) -> Hashable:
        """Everything that determines the program. Trainings of equal keys differ in their arrays alone."""
        workload = self.workload
        return (
            workload.shared.key if workload.shared else _Itself(workload),
            workload.batch_size,
            tuple(workload.eval_splits.items()),
            workload.eval_examples,
            _Itself(self.rule),
            self.total_steps,
            self.eval_period,
            self.shared_batches,
            self.evaluation,
            self.constrained and workload.constraint is not None,
            self.horizon,
            self.weights_per_trial,
            self.constants_per_trial,
            self.devices_per_trial,
        )


class _Itself:
    """Equal to another of the same object, and to nothing else."""

    def __init__(self, what: object) -> None:
        self.what = what

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.what is self.what

    def __hash__(self) -> int:
        return id(self.what)
