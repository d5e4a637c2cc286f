"""What runs in Optuna's processes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tuning.strategies._seeds import folded


def suggest(
    space: Mapping[str, Mapping[str, Any]],
    seed: int,
    minimize: bool,
    history: Sequence[Mapping[str, Any]],
    sampler: str,
    startup: int,
) -> dict[str, float]:
    """The sampler's next suggestion, a function of the arguments alone: the sampler is made anew and told everything.

    Args:
      space, seed, minimize, history: as Vizier's.
      sampler: tpe or gp.
      startup: trials without a model, at random.
    """
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(sorted(set(entry["feasible_points"])))
        if "feasible_points" in entry
        else FloatDistribution(entry["min"], entry["max"], log=entry["scaling"] == "log")
        for name, entry in space.items()
    }
    now = folded(seed, len(history))
    if sampler == "tpe":
        sampling = optuna.samplers.TPESampler(n_startup_trials=startup, seed=now)
    else:
        import torch  # type: ignore[import-not-found]

        torch.set_num_threads(1)  # the other cores belong to training
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is experimental, each time
            sampling = optuna.samplers.GPSampler(n_startup_trials=startup, seed=now)
    study = optuna.create_study(direction="minimize" if minimize else "maximize", sampler=sampling)
    finished = [told["value"] for told in history if told["value"] is not None]
    worst = (max if minimize else min)(finished, default=None)
    for told in history:
        value = told["value"]
        if value is not None:
            ended: dict[str, Any] = {"value": value, "state": TrialState.COMPLETE}
        elif sampler == "tpe":  # it ranks pruned trials after all that finished
            ended = {"state": TrialState.PRUNED}
        elif worst is not None:  # it knows finished trials alone
            ended = {"value": worst, "state": TrialState.COMPLETE}
        else:
            ended = {"state": TrialState.FAIL}
        study.add_trial(
            create_trial(
                params={
                    name: _inside(distributions[name], value)
                    for name, value in told["hyperparameters"].items()
                },
                distributions=distributions,
                **ended,
            )
        )
    return {name: float(value) for name, value in study.ask(distributions).params.items()}


def _inside(distribution: Any, value: float) -> float:
    """A value without the units of roundoff by which a computed bound may be missed."""
    if hasattr(distribution, "low"):
        return min(max(value, distribution.low), distribution.high)
    return value
