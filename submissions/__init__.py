"""How a workload is trained: update rules with their schedules, by names that leave no doubt which is meant.

    >>> import submissions
    >>> optimizer = submissions.optimizer("nadamw_optax")
    >>> optimizer.prepare({"learning_rate": 0.001, "warmup_fraction": 0.05}, total_steps=1000)["warmup_steps"]
    50.0

Every rule is one file of `submissions.optimizers`: its formula, code, hyperparameters, search space and reference; a
line of `submissions.optimizers._rows` makes it known. A function of your own becomes an optimizer by `register`, see
`submissions.optimizers.own`.

| from here | what |
|---|---|
| `optimizer`, `OPTIMIZERS`, `register`, `recorded_name` | optimizers by name |
| `Optimizer`, `Hyperparameter`, `Domain`, `REGULARIZATION` | what one is made of |
| `Rule`, `Seen`, `from_optax` | what an update may see, and how it is called |

`submissions.taskset_grids` has TaskSet's distributions over hyperparameters, `submissions.package` writes AlgoPerf
submissions.
Importing this needs no JAX; calling an optimizer does.
"""

from __future__ import annotations

from submissions.optimizers._from_optax import from_optax
from submissions.optimizers._hyperparameters import REGULARIZATION, Domain, Hyperparameter, Optimizer
from submissions.optimizers._rows import OPTIMIZERS
from submissions.optimizers._rule import Rule, Seen
from submissions.optimizers.own import REGISTERED, from_file, register
from workloads.own_files import absolute as recorded_name
from workloads.own_files import is_file_form
from workloads.spelling import did_you_mean

__all__ = [
    "OPTIMIZERS",
    "REGULARIZATION",
    "Domain",
    "Hyperparameter",
    "Optimizer",
    "Rule",
    "Seen",
    "from_optax",
    "optimizer",
    "recorded_name",
    "register",
]


def optimizer(name: str) -> Optimizer:
    """The optimizer of a name in `OPTIMIZERS`, or a user's own: see `submissions.optimizers.own`.

    Args:
      name: of `OPTIMIZERS`; of `register` in this process; or FILE.py:FUNCTION.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no such optimizer.
    """
    if is_file_form(name):
        return from_file(name)
    if name in REGISTERED:
        return REGISTERED[name]
    if name not in OPTIMIZERS:
        hint = did_you_mean(name, [*OPTIMIZERS, *REGISTERED])
        raise ValueError(f"unknown optimizer {name!r}{hint} (allowed: {', '.join(OPTIMIZERS)})")
    return OPTIMIZERS[name]
