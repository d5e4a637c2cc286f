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
| `LEARNED`, `Learned`, `LearnedOptimizer` | optimizers whose weights were trained, see `submissions.learned` |
| `own_file`, `moved` | the file that an optimizer's name points to, and the name with the file elsewhere |

`submissions.taskset_grids` has TaskSet's distributions over hyperparameters, `submissions.package` writes AlgoPerf
submissions.
Importing this needs no JAX; calling an optimizer does.
"""

from __future__ import annotations

import os
from pathlib import Path

from submissions import learned
from submissions.learned import LEARNED, Learned, LearnedOptimizer
from submissions.optimizers._from_optax import from_optax
from submissions.optimizers._hyperparameters import REGULARIZATION, Domain, Hyperparameter, Optimizer
from submissions.optimizers._rows import OPTIMIZERS
from submissions.optimizers._rule import Rule, Seen
from submissions.optimizers.own import REGISTERED, from_file, register
from workloads import own_files
from workloads.own_files import is_file_form
from workloads.spelling import did_you_mean

__all__ = [
    "LEARNED",
    "OPTIMIZERS",
    "REGULARIZATION",
    "Domain",
    "Hyperparameter",
    "Learned",
    "LearnedOptimizer",
    "Optimizer",
    "Rule",
    "Seen",
    "from_optax",
    "moved",
    "optimizer",
    "own_file",
    "portable_name",
    "recorded_name",
    "register",
    "same_but_for_place",
]


def optimizer(name: str) -> Optimizer:
    """The optimizer of a name in `OPTIMIZERS`, a user's own, or a learned one with its weights.

    Args:
      name: of `OPTIMIZERS`; of `register` in this process; FILE.py:FUNCTION, see `submissions.optimizers.own`; or
        NAME@FILE, of `LEARNED` and a file of weights, with switches as NAME,SWITCH=VALUE@FILE; NAME alone where it
        comes with weights.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no such optimizer, or not its weights.
    """
    if is_file_form(name):
        return from_file(name)
    if learned.is_learned_form(name):
        return learned.with_weights(name)
    if name in REGISTERED:
        return REGISTERED[name]
    if name not in OPTIMIZERS:
        if name.rstrip("@").partition(",")[0] in LEARNED:
            raise learned.missing_weights(name.rstrip("@"))
        hint = did_you_mean(name, [*OPTIMIZERS, *REGISTERED, *LEARNED])
        raise ValueError(
            f"unknown optimizer {name!r}{hint} (allowed: {', '.join(OPTIMIZERS)}; with weights: {', '.join(LEARNED)})"
        )
    return OPTIMIZERS[name]


def own_file(name: str) -> Path | None:
    """The file of FILE.py:FUNCTION or NAME@FILE; None for other names."""
    if is_file_form(name):
        return own_files.parts(name)[0]
    return learned.parts(name).file if learned.is_learned_form(name) else None


def moved(name: str, file: Path | str) -> str:
    """The name of the same optimizer, whose file lies elsewhere.

    Example:
      >>> moved("mine.py:clipped", "/copies/mine.py"), moved("hierarchical@weights", "/copies/weights")
      ('/copies/mine.py:clipped', 'hierarchical@/copies/weights')
    """
    if is_file_form(name):
        return f"{file}:{own_files.parts(name)[1]}"
    if not learned.is_learned_form(name):
        return name
    of, _, switches = learned.parts(name)
    return learned.named(of, file, switches)


def same_but_for_place(one: str, other: str) -> bool:
    """Whether two names mean the same wherever their files lie; what is in the files is compared by others.

    Example:
      >>> same_but_for_place("a/mine.py:clipped", "b/mine.py:clipped"), same_but_for_place("celo@w", "velo@w")
      (True, False)
    """
    return moved(one, "") == moved(other, "")


def recorded_name(name: str) -> str:
    """A name as other processes can be given it: with the whole path where it has a file, any other as it is."""
    return learned.absolute(name) if learned.is_learned_form(name) else own_files.absolute(name)


def portable_name(name: str) -> str:
    """A name as a study keeps it: with its file from here, not from the root of this machine's disk.

    What counts is the content, of which the study has a copy.
    """
    if learned.has_shipped_weights(name):  # wherever this program is installed
        of, _, switches = learned.parts(name)
        return learned.named(of, None, switches)
    file = own_file(name)
    return name if file is None else moved(name, Path(os.path.relpath(file)).as_posix())
