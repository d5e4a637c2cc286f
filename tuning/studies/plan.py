"""From what a person asks for to a study's specification: points drawn once and written down."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import submissions
from results.studies import StudySpec
from submissions import spaces, taskset_grids
from submissions.points import Point
from tuning import strategies


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Budget, evaluation and repeats under a name. None and False are a study's own defaults, see `StudySpec`."""

    steps: int | None = None
    eval_period: int | None = None
    eval_batches: int | None = None
    eval_at_start: bool = False
    repeats: int = 1


PROTOCOLS = {
    #                      steps  period batches at start repeats
    "taskset": Protocol(10_000, 200, 50, True, 5),  # Metz et al. 2020, arXiv:2002.11887, section 3
}
DEFAULT_BUDGET = 20
ROLE_OF = {
    "quasirandom": "candidates",
    "medapati-candidates": "candidates",
    "taskset-grid": "candidates",
}  # every other strategy is a baseline


def plan(
    *,
    name: str,
    workloads: Sequence[str],
    strategy: str = "quasirandom",
    budget: int | None = None,
    optimizer: str | None = None,
    points: Sequence[Point] | None = None,
    list_name: str | None = None,
    space: Path | None = None,
    weight_decay: float | None = None,
    order_seed: int | None = None,
    grid: str | None = None,
    protocol: str | None = None,
    repeats: int | None = None,
    seed: int = 0,
    cohort_size: int | None = None,
    shared_batches: bool = True,
    steps: int | None = None,
    eval_period: int | None = None,
    eval_batches: int | None = None,
    eval_at_start: bool | None = None,
    title: str | None = None,
) -> StudySpec:
    """The specification of a study in which every workload gets the same strategy.

    Args:
      name: of the study.
      workloads: what to train.
      strategy: a name of `strategies.STRATEGIES`.
      budget: number of points; by default all of a list, 5 of a sweep, 20 otherwise.
      optimizer: a name of `submissions.OPTIMIZERS`, or FILE.py:FUNCTION; by default the grid's own, else nadamw_optax.
      points, list_name: for "list", the points in order and what they are called.
      space: a tuning_search_space.json: what "quasirandom" and "vizier" draw from, by default the optimizer's own
        and Medapati et al., Table 1, where it has none; for "list", bounds that its points must lie in.
      weight_decay: for "lr-sweep"; 1e-4 by default.
      order_seed: for "quasirandom", AlgoPerf's shuffle.
      grid: for "taskset-grid", a name of `submissions.taskset_grids.GRIDS`.
      protocol: a name of `PROTOCOLS`, which gives repeats, steps and evaluation; each that is given replaces its own.
      repeats, seed, cohort_size, shared_batches, steps, eval_period, eval_batches, eval_at_start: see `StudySpec`.
      title: how reports call it; made from the strategy by default.

    Raises:
      ValueError: an unknown strategy or protocol, or an argument that this strategy does not take or needs.
    """
    agreed = _protocol(protocol)
    asked = {
        "repeats": repeats,
        "steps": steps,
        "eval_period": eval_period,
        "eval_batches": eval_batches,
        "eval_at_start": eval_at_start,
    }
    agreed = dataclasses.replace(agreed, **{key: value for key, value in asked.items() if value is not None})
    given = {
        "points": points,
        "space": None if space is None else _search_space(space),
        "weight_decay": weight_decay,
        "order_seed": order_seed,
        "grid": grid,
    }
    takes = {
        "quasirandom": ("space", "order_seed"),
        "vizier": ("space",),
        "lr-sweep": ("weight_decay",),
        "list": ("points", "space"),
        "taskset-grid": ("grid",),
    }.get(strategy, ())
    for argument, value in given.items():
        if value is not None and argument not in takes:
            option = "list" if argument == "points" else argument.replace("_", "-")
            raise ValueError(f"--{option} does not go with strategy {strategy!r}; leave it out")
    arguments: dict[str, Any] = {key: _plain(given[key]) for key in takes if given[key] is not None}
    if optimizer is None:
        optimizer = taskset_grids.grid(grid).optimizer if grid else "nadamw_optax"
    optimizer = submissions.recorded_name(optimizer)
    if strategy in ("quasirandom", "vizier") and space is None:
        arguments |= _default_space(submissions.optimizer(optimizer))
    if strategy == "list":
        if points is None:
            raise ValueError("strategy 'list' needs --list: a published name, or a list file")
        if budget is not None and budget > len(points):
            raise ValueError(
                f"--budget {budget}: the list has {len(points)} points; ask for so many or fewer"
            )
        arguments["points"] = arguments["points"][:budget]
        bounds = arguments.pop("space", None)
        if bounds is not None:
            for point in points[:budget]:
                spaces.SearchSpace.from_json(bounds).check(point)
    elif strategy == "lr-sweep":
        arguments = {"weight_decay": 1e-4, "budget": budget or 5} | arguments
    elif strategy == "vizier":
        arguments |= {"budget": budget or DEFAULT_BUDGET, "seed": seed}
    elif strategy == "taskset-grid":
        if grid is None:
            raise ValueError(f"strategy 'taskset-grid' needs --grid: {', '.join(taskset_grids.GRIDS)}")
        arguments["budget"] = budget or min(DEFAULT_BUDGET, taskset_grids.grid(grid).size)
    else:
        arguments["budget"] = budget or DEFAULT_BUDGET
    made = strategies.from_spec({"name": strategy, **arguments})
    record = strategies.to_spec(made)
    drawn = None if strategies.STRATEGIES[strategy].asks == "sequential" else made.ask(())
    if strategy == "list":
        record = {"name": "list", "list": list_name or name}  # the points themselves stand beside it
    return StudySpec(
        name=name,
        title=title or _title(strategy, arguments, list_name),
        role=ROLE_OF.get(strategy, "baseline"),
        optimizer=optimizer,
        strategy=record,
        points=None if drawn is None else dict.fromkeys(workloads, drawn),
        workloads=tuple(workloads),
        seed=seed,
        cohort_size=cohort_size,
        shared_batches=shared_batches,
        **dataclasses.asdict(agreed),
    )


def plan_leave_one_out(
    *,
    name: str,
    points: Mapping[str, Sequence[Point]],
    candidates: str,
    optimizer: str,
    repeats: int,
    seed: int,
    cohort_size: int | None = None,
    steps: int | None = None,
    title: str = "leave-one-out list",
) -> StudySpec:
    """The specification of a study that reruns, on each workload, the list built without that workload.

    Args:
      name, title: of the study.
      points: workload -> the list built without it.
      candidates: name of the study that the lists were built from.
      optimizer: that study's.
      repeats: trainings of every point, for medians.
      seed: must differ from that study's, so that nothing that chose a list also judges it.
      cohort_size, steps: that study's.
    """
    return StudySpec(
        name=name,
        title=title,
        role="leave-one-out",
        optimizer=optimizer,
        strategy={"name": "list", "list": f"built from {candidates} without the workload it is tried on"},
        points={workload: tuple(chosen) for workload, chosen in points.items()},
        workloads=tuple(points),
        repeats=repeats,
        seed=seed,
        cohort_size=cohort_size,
        steps=steps,
    )


def _protocol(name: str | None) -> Protocol:
    if name is None:
        return Protocol()
    if name not in PROTOCOLS:
        close = difflib.get_close_matches(name, PROTOCOLS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown protocol {name!r}{hint} (allowed: {', '.join(PROTOCOLS)})")
    return PROTOCOLS[name]


def _default_space(optimizer: submissions.Optimizer) -> dict[str, Any]:
    """The argument "space", where the optimizer has a space of its own."""
    if not optimizer.hyperparameters:
        raise ValueError(
            f"optimizer {optimizer.name!r} has no hyperparameters to search; use --strategy taskset-grid "
            f"--grid {optimizer.name}"
        )
    return {} if optimizer.search_space is None else {"space": dict(optimizer.search_space)}


def _search_space(path: Path) -> spaces.SearchSpace:
    read = spaces.read_space(path)
    if not isinstance(read, spaces.SearchSpace):
        raise ValueError(
            f"{path}: a list of {len(read)} points, not a space; use --strategy list --list {path}"
        )
    return read


def _plain(value: Any) -> Any:
    if isinstance(value, spaces.SearchSpace):
        return value.to_json()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [point.to_json() for point in value]
    return value


def _title(strategy: str, arguments: Mapping[str, Any], list_name: str | None) -> str:
    if strategy == "lr-sweep":
        return f"learning-rate sweep, weight decay {arguments['weight_decay']:g}"
    titles = {
        "quasirandom": "quasi-random search",
        "medapati-candidates": "quasi-random search (candidates of Medapati et al.)",
        "taskset-grid": f"TaskSet's {arguments.get('grid')}",
        "vizier": "Vizier",
        "list": f"list {list_name}",
    }
    return titles[strategy]
