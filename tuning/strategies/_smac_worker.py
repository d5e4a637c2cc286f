"""What runs in SMAC's process."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuning.strategies._seeds import folded


def suggest(
    space: Mapping[str, Mapping[str, Any]],
    seed: int,
    minimize: bool,
    history: Sequence[Mapping[str, Any]],
    budget: int,
) -> dict[str, float]:
    """SMAC's next suggestion, a function of the arguments alone: it is made anew and told everything.

    Args:
      space, seed, minimize, history: as Vizier's.
      budget: trials in all, by which SMAC sizes its initial design.
    """
    import numpy as np
    from ConfigSpace import Categorical, Configuration, ConfigurationSpace, Float
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.initial_design import SobolInitialDesign
    from smac.runhistory import StatusType, TrialInfo, TrialValue

    # Parts of it draw from the generators of the process.
    random.seed(folded(seed, len(history)))
    np.random.seed(folded(seed, len(history)))  # noqa: NPY002
    searched = ConfigurationSpace(seed=folded(seed, len(history)))
    for name, entry in space.items():
        if "feasible_points" in entry:
            # By position: what it makes of numbers need not be the numbers.
            searched.add(Categorical(name, list(range(len(set(entry["feasible_points"]))))))
        else:
            searched.add(Float(name, (entry["min"], entry["max"]), log=entry["scaling"] == "log"))
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            searched,
            name="one",
            output_directory=Path(folder),
            deterministic=True,
            n_trials=budget,
            seed=folded(seed, len(history)),
        )
        smac = HyperparameterOptimizationFacade(
            scenario,
            # As it began, so that what was asked of it is recognised.
            initial_design=SobolInitialDesign(scenario, seed=folded(seed, 0)),
            logging_level=False,
            overwrite=True,
        )
        costs = _costs([told["value"] for told in history], minimize)
        for told, cost in zip(history, costs, strict=True):
            values = {
                name: _choices(space[name]).index(value) if "feasible_points" in space[name]
                else min(max(value, space[name]["min"]), space[name]["max"])
                for name, value in told["hyperparameters"].items()
            }  # fmt: skip
            smac.tell(
                TrialInfo(Configuration(searched, values), seed=0),
                TrialValue(cost=cost, status=StatusType.SUCCESS),
                save=False,
            )
        asked = dict(smac.ask().config)
    return {
        name: _choices(entry)[int(asked[name])] if "feasible_points" in entry else float(asked[name])
        for name, entry in space.items()
    }


def _choices(entry: Mapping[str, Any]) -> list[float]:
    return sorted(set(entry["feasible_points"]))


def _costs(values: Sequence[float | None], minimize: bool) -> list[float]:
    """What SMAC is told of values: it takes logarithms of costs, so values that have none are told as exponentials.

    A diverged trial is told as the worst that finished: a failed one would have an infinite cost in its model.
    """
    finished = [value if minimize else -value for value in values if value is not None]
    worst, best = max(finished, default=1.0), min(finished, default=1.0)
    every = [worst if value is None else (value if minimize else -value) for value in values]
    if best > 0:
        return every
    return [math.exp((cost - best) / ((worst - best) or 1.0)) for cost in every]
