"""SMAC3's facade for hyperparameters, a random forest, asked for one trial at a time.

It runs in a process of its own, so that training does not meet its state; what it writes to disk is thrown away.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tuning.strategies._process import LibraryProcess
from tuning.strategies._space import SPACE
from tuning.strategies._strategy import Row
from tuning.strategies._suggesting import Suggesting
from tuning.strategies._warm_start import WARM_START


@dataclasses.dataclass(frozen=True)
class Smac(Suggesting):
    """A Sobol design of a quarter of the budget, then a random forest with expected improvement; see `Suggesting`.

    Reference: Lindauer et al. 2022, JMLR 23(54), arXiv:2109.09831.
    """

    called = "SMAC3"
    process = LibraryProcess(
        "SMAC",
        "tuning.strategies._smac_worker",
        ("smac", "ConfigSpace"),
        "pip install 'shortlist[smac]'",
        lambda folder: {"PYTHONHASHSEED": "0"},  # it goes through sets of names
    )

    def settings(self) -> dict[str, Any]:
        return {"budget": self.budget}


ROW = Row(
    Smac,
    asks="sequential",
    role="baseline",
    takes=(SPACE, WARM_START),
    reference="Lindauer et al. 2022, arXiv:2109.09831, with smac.HyperparameterOptimizationFacade",
    fixed=lambda strategy: "SMAC makes its first points from how many there will be",
)
