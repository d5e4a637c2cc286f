"""Optuna's Gaussian process, asked for one trial at a time.

It runs in a process of its own, as it needs PyTorch, which none of our extras brings.
"""

from __future__ import annotations

import dataclasses

from tuning.strategies._process import LibraryProcess
from tuning.strategies._space import SPACE
from tuning.strategies._strategy import Row
from tuning.strategies._warm_start import WARM_START
from tuning.strategies.optuna_tpe import STARTUP, OptunaTpe

INSTALL = "pip install 'shortlist[optuna]' torch --extra-index-url https://download.pytorch.org/whl/cpu"


@dataclasses.dataclass(frozen=True)
class OptunaGp(OptunaTpe):
    """A Gaussian process with log expected improvement; otherwise as `OptunaTpe`."""

    called = "Optuna GP"
    process = LibraryProcess("Optuna's GP", "tuning.strategies._optuna_worker", ("optuna", "torch"), INSTALL)
    sampler = "gp"


ROW = Row(
    OptunaGp,
    asks="sequential",
    role="baseline",
    takes=(SPACE, STARTUP, WARM_START),
    reference="optuna.samplers.GPSampler",
)
