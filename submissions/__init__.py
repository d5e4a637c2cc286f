"""How a workload is trained: update rules with their schedules, by names that leave no doubt which is meant.

    >>> import submissions
    >>> optimizer = submissions.optimizer("nadamw_optax")
    >>> optimizer.prepare({"learning_rate": 0.001, "warmup_fraction": 0.05}, total_steps=1000)["warmup_steps"]
    50.0

| rules | module | what |
|---|---|---|
| `nadamw_*` | `_nadamw` | the update rules that are all called NAdamW |
| `adam1p` to `adam8p`, `adagrad_tf`, `zero` | `_taskset` | TaskSet's other optimizers |
| `*_optax` | `_optax` | optimizers of Optax, every hyperparameter traced |
| `shampoo_grafted` | `_shampoo` | Shampoo without LAPACK |
| yours | `custom` | a function of your own, with `register` |

`submissions.taskset_grids` has TaskSet's distributions over hyperparameters, `submissions.package` writes AlgoPerf
submissions.
Importing this needs no JAX; calling an optimizer does.
"""

from __future__ import annotations

import difflib

from submissions.optimizers._hyperparameters import REGULARIZATION, Domain, Hyperparameter, Optimizer
from submissions.optimizers._rows import OPTIMIZERS
from submissions.optimizers._rule import Rule, Seen, from_optax
from submissions.optimizers.own import REGISTERED, from_file, is_file_form, recorded_name, register

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
        close = difflib.get_close_matches(name, [*OPTIMIZERS, *REGISTERED], 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown optimizer {name!r}{hint} (allowed: {', '.join(OPTIMIZERS)})")
    return OPTIMIZERS[name]
