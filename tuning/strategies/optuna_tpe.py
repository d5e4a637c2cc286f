"""Optuna's tree of Parzen estimators, asked for one trial at a time.

It runs in a process of its own, so that training does not meet Optuna's state.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tuning.strategies._process import LibraryProcess
from tuning.strategies._space import SPACE
from tuning.strategies._strategy import Option, Row, check_whole
from tuning.strategies._suggesting import Suggesting
from tuning.strategies._warm_start import WARM_START

STARTUP = Option(
    "startup", int, "N", "trials at random before its model begins; default: 10, Optuna's own.", least=0
)


@dataclasses.dataclass(frozen=True)
class OptunaTpe(Suggesting):
    """A tree-structured Parzen estimator; see `Suggesting`.

    Attributes:
      startup: trials without a model, at random; those of a warm start count.

    Reference: Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization, NIPS 24, section 4.
    """

    called = "Optuna TPE"
    process = LibraryProcess(
        "Optuna", "tuning.strategies._optuna_worker", ("optuna",), "pip install 'shortlist[optuna]'"
    )
    sampler = "tpe"

    startup: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, startup=0)

    def settings(self) -> dict[str, Any]:
        return {"sampler": self.sampler, "startup": self.startup}


ROW = Row(
    OptunaTpe,
    asks="sequential",
    role="baseline",
    takes=(SPACE, STARTUP, WARM_START),
    reference="Bergstra et al. 2011, NIPS 24, with optuna.samplers.TPESampler",
)
