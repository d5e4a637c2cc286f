"""The process in which Vizier runs: one request a line on stdin, one answer a line on stdout, both JSON.

Vizier's Gaussian process needs float64, which JAX switches for a whole process, and importing it may load
TensorFlow. So it never meets the process that trains: `tuning.strategies.vizier` starts this one, with
JAX_ENABLE_X64=1.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

METRIC = "value"


def suggest(
    space: Mapping[str, Mapping[str, Any]], seed: int, minimize: bool, history: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """The bandit's next suggestion, a function of the arguments alone.

    The designer is made anew for every call and told the whole history at once, so that a study that was
    stopped goes on as it would have. Its random key is folded with the length of the history.

    Args:
      space: AlgoPerf's JSON form of a search space.
      seed: of the study.
      minimize: direction of the values.
      history: {"hyperparameters": {...}, "value": float or null where the trial diverged}, in order.

    Returns:
      Name -> value, unchecked.
    """
    import jax
    from vizier import algorithms as vza
    from vizier import pyvizier as vz

    # The public module imports every designer, and with them packages that nobody here needs.
    from vizier._src.algorithms.designers.gp_ucb_pe import VizierGPUCBPEBandit
    from vizier.pyvizier.converters import padding

    problem = vz.ProblemStatement()
    goal = vz.ObjectiveMetricGoal.MINIMIZE if minimize else vz.ObjectiveMetricGoal.MAXIMIZE
    problem.metric_information.append(vz.MetricInformation(METRIC, goal=goal))
    scales = {"log": vz.ScaleType.LOG, "linear": vz.ScaleType.LINEAR}
    root = problem.search_space.root
    for name, entry in space.items():
        if "feasible_points" in entry:
            root.add_discrete_param(name, sorted(set(entry["feasible_points"])))
        else:
            scale = scales[entry["scaling"]]
            root.add_float_param(name, entry["min"], entry["max"], scale_type=scale)

    trials = []
    for number, told in enumerate(history, 1):
        trial = vz.Trial(id=number, parameters=dict(told["hyperparameters"]))
        if told["value"] is None:
            trial.complete(vz.Measurement(), infeasibility_reason="diverged")
        else:
            trial.complete(vz.Measurement({METRIC: told["value"]}))
        trials.append(trial)

    # Shapes grow in steps of ten trials: otherwise every suggestion would be a new program to compile.
    schedule = padding.PaddingSchedule(num_trials=padding.PaddingType.MULTIPLES_OF_10)  # type: ignore[call-arg]
    rng = jax.random.fold_in(jax.random.PRNGKey(seed), len(trials))
    designer = VizierGPUCBPEBandit(problem, rng=rng, padding_schedule=schedule)  # type: ignore[call-arg]
    designer.update(vza.CompletedTrials(trials), vza.ActiveTrials())
    parameters = designer.suggest(1)[0].parameters
    return {name: float(parameters.get_value(name)) for name in parameters}


def main() -> None:
    """Answers requests until stdin ends, which it does when the parent ends, however that happens."""
    # Libraries print to stdout; only answers may go where the parent reads.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        try:
            answer = {"hyperparameters": suggest(**json.loads(line))}
        except ImportError as error:
            answer = {"missing": str(error)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
