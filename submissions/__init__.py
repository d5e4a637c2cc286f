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

`submissions.taskset_grids` has TaskSet's distributions over hyperparameters.
Importing this needs no JAX; calling an optimizer does.
"""

from __future__ import annotations

import difflib

from submissions._hyperparameters import REGULARIZATION, Domain, Hyperparameter, Optimizer
from submissions._rows import OPTIMIZERS

__all__ = ["OPTIMIZERS", "REGULARIZATION", "Domain", "Hyperparameter", "Optimizer", "optimizer"]


def optimizer(name: str) -> Optimizer:
    """The optimizer of a name in `OPTIMIZERS`.

    Raises:
      ValueError: no such optimizer.
    """
    if name not in OPTIMIZERS:
        close = difflib.get_close_matches(name, OPTIMIZERS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown optimizer {name!r}{hint} (allowed: {', '.join(OPTIMIZERS)})")
    return OPTIMIZERS[name]
