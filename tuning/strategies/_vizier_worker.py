"""What runs in Vizier's process. Its Gaussian process needs float64, which JAX switches for a whole process, and
importing it may load TensorFlow, so it never meets the process that trains.
"""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

METRIC = "value"
# Times by which Vizier knows which trials are newer; only their order counts.
EARLY, THEN, LATE = (datetime.datetime(2000, 1, day, tzinfo=datetime.UTC) for day in (1, 2, 3))


def problem(space: Mapping[str, Mapping[str, Any]], minimize: bool) -> Any:
    """Vizier's statement of a search for the best value in a space, which is in AlgoPerf's JSON form."""
    from vizier import pyvizier as vz

    stated = vz.ProblemStatement()
    goal = vz.ObjectiveMetricGoal.MINIMIZE if minimize else vz.ObjectiveMetricGoal.MAXIMIZE
    stated.metric_information.append(vz.MetricInformation(METRIC, goal=goal))
    scales = {"log": vz.ScaleType.LOG, "linear": vz.ScaleType.LINEAR}
    root = stated.search_space.root
    for name, entry in space.items():
        if "feasible_points" in entry:
            root.add_discrete_param(name, sorted(set(entry["feasible_points"])))
        else:
            scale = scales[entry["scaling"]]
            root.add_float_param(name, entry["min"], entry["max"], scale_type=scale)
    return stated


def suggest(
    space: Mapping[str, Mapping[str, Any]],
    seed: int,
    minimize: bool,
    history: Sequence[Mapping[str, Any]],
    pending: Sequence[Mapping[str, float]] = (),
    fresh: bool = True,
) -> dict[str, float]:
    """The bandit's next suggestion, a function of the arguments alone.

    The designer is made anew for every call and told the whole history at once, so that a study that was
    stopped goes on as it would have. Its random key is folded with the number of trials so far.

    Args:
      space: AlgoPerf's JSON form of a search space.
      seed: of the study.
      minimize: direction of the values.
      history: {"hyperparameters": {...}, "value": float or null where the trial diverged}, in order.
      pending: hyperparameters of trials that were suggested and are not in the history, in order; none where trials
        come one after the other.
      fresh: whether any of the history came after the last of the pending was suggested.

    Returns:
      Name -> value, unchecked.
    """
    import jax
    from vizier import algorithms as vza
    from vizier import pyvizier as vz

    # The public module imports every designer, and with them packages that nobody here needs.
    from vizier._src.algorithms.designers.gp_ucb_pe import VizierGPUCBPEBandit
    from vizier.pyvizier.converters import padding

    trials = []
    for number, told in enumerate(history, 1):
        trial = vz.Trial(id=number, parameters=dict(told["hyperparameters"]), creation_time=EARLY)
        if told["value"] is None:
            trial.complete(vz.Measurement(), infeasibility_reason="diverged")
        else:
            trial.complete(vz.Measurement({METRIC: told["value"]}))
        trial.completion_time = LATE if fresh else EARLY
        trials.append(trial)
    under_way = [
        vz.Trial(id=number, parameters=dict(hyperparameters), creation_time=THEN)
        for number, hyperparameters in enumerate(pending, len(trials) + 1)
    ]

    # Shapes grow in steps of ten trials: otherwise every suggestion would be a new program to compile.
    schedule = padding.PaddingSchedule(num_trials=padding.PaddingType.MULTIPLES_OF_10)  # type: ignore[call-arg]
    rng = jax.random.fold_in(jax.random.PRNGKey(seed), len(trials) + len(under_way))
    designer = VizierGPUCBPEBandit(
        problem(space, minimize),
        rng=rng,  # type: ignore[call-arg]
        padding_schedule=schedule,  # type: ignore[call-arg]
        gp_model_class=_KeptModels,  # type: ignore[call-arg]
        acquisition_optimizer_factory=functools.partial(_kept_optimizer, json.dumps(space)),  # type: ignore[call-arg]
    )
    designer.update(vza.CompletedTrials(trials), vza.ActiveTrials(under_way))
    parameters = designer.suggest(1)[0].parameters
    return {name: float(parameters.get_value(name)) for name in parameters}


# Vizier makes its model and the optimizer of its acquisition anew for every suggestion. They hold no data, but JAX
# knows a program by such objects, so it would trace all again, most of what a suggestion costs. With one of
# each it finds what it traced, and suggestions are the same, bit for bit.
_models: dict[tuple[Any, ...], Any] = {}
_optimizers: dict[str, Any] = {}


class _KeptModels:
    """Vizier's Gaussian process, one for every number of dimensions and metrics."""

    @staticmethod
    def build_model(data: Any, **options: Any) -> Any:
        from vizier._src.jax.models.tuned_gp_models import VizierGaussianProcess

        features = data.features
        sizes = features.continuous.padded_array.shape[-1], features.categorical.padded_array.shape[-1]
        key = (*sizes, data.labels.shape[-1], *sorted(options.items()))
        if key not in _models:
            _models[key] = VizierGaussianProcess.build_model(data, **options)
        return _models[key]


def _kept_optimizer(space: str, converter: Any) -> Any:
    """Vizier's optimizer of its acquisition, one for every space."""
    from vizier._src.algorithms.designers.gp_ucb_pe import VizierGPUCBPEBandit

    if space not in _optimizers:
        _optimizers[space] = VizierGPUCBPEBandit.default_acquisition_optimizer_factory(converter)
    return _optimizers[space]
