"""The table of strategies, and how one is made from a specification or from what a person asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from submissions.points import Point
from submissions.spaces import SearchSpace
from tuning.strategies import (
    asha,
    listed,
    lr_sweep,
    medapati_candidates,
    median_stopping,
    optuna_gp,
    optuna_tpe,
    quasirandom,
    random_search,
    rate_grid,
    smac,
    successive_halving,
    taskset_grid,
    vizier,
)
from tuning.strategies._step_budget import StepBudget
from tuning.strategies._strategy import Asked, Option, Row, Strategy
from tuning.strategies._warm_start import WarmStart
from workloads.spelling import did_you_mean

STRATEGIES = {
    "quasirandom": quasirandom.ROW,
    "random": random_search.ROW,
    "medapati-candidates": medapati_candidates.ROW,
    "taskset-grid": taskset_grid.ROW,
    "lr-sweep": lr_sweep.ROW,
    "rate-grid": rate_grid.ROW,
    "vizier": vizier.ROW,
    "optuna-tpe": optuna_tpe.ROW,
    "optuna-gp": optuna_gp.ROW,
    "smac": smac.ROW,
    "successive-halving": successive_halving.ROW,
    "asha": asha.ROW,
    "median-stopping": median_stopping.ROW,
    "list": listed.ROW,
}
DEFAULT = "quasirandom"


def row(name: object) -> Row:
    """The row of a name in `STRATEGIES`.

    Raises:
      ValueError: no such strategy.
    """
    if name not in STRATEGIES:
        hint = did_you_mean(name, STRATEGIES)
        raise ValueError(f"unknown strategy {name!r}{hint} (allowed: {', '.join(STRATEGIES)})")
    return STRATEGIES[name]  # type: ignore[index]


def meant_by(given: Collection[str]) -> str:
    """The strategy that is meant where none is named: the one that needs an option that was given, else the default.

    Example:
      >>> meant_by(["points", "list_name"]), meant_by(["space"])
      ('list', 'quasirandom')
    """
    for name, described in STRATEGIES.items():
        if any(option.needed and option.name in given for option in described.takes):
            return name
    return DEFAULT


def options() -> dict[str, tuple[Option, tuple[str, ...]]]:
    """Name -> an option of the command line, and the strategies that take it."""
    found: dict[str, tuple[Option, tuple[str, ...]]] = {}
    for strategy, described in STRATEGIES.items():
        for option in described.takes:
            if option.type is not None:
                same, takers = found.setdefault(option.name, (option, ()))
                found[option.name] = same, (*takers, strategy)
    return found


def check_options(name: str, given: Mapping[str, Any]) -> None:
    """Accepts the options that a strategy takes, if all that it needs are there.

    Raises:
      ValueError: an option that it does not take, or one missing.
    """
    takes = {option.name: option for option in row(name).takes}
    flags = {option.name: option.flag for described in STRATEGIES.values() for option in described.takes}
    for key in given:
        if key not in takes:
            raise ValueError(f"{flags.get(key, key)} does not go with strategy {name!r}; leave it out")
    for key, option in takes.items():
        if option.needed and key not in given:
            raise ValueError(f"strategy {name!r} needs {option.flag}: {option.needed}")


def planned(name: str, asked: Asked) -> Strategy:
    """The strategy that a person asked for, with options that `check_options` accepts.

    Raises:
      ValueError: a value that is not allowed.
    """
    try:
        return row(name).make.planned(asked)
    except ValueError as error:
        raise ValueError(f"strategy {name!r}: {error}") from None


def to_spec(strategy: Strategy) -> dict[str, Any]:
    """A strategy as JSON data: its name and all of its arguments."""
    name = next(name for name, row in STRATEGIES.items() if row.make is type(strategy))
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(strategy):  # type: ignore[arg-type]
        value = getattr(strategy, field.name)
        if field.name == "space":
            value = value.to_json()
        elif field.name == "points":
            value = [point.to_json() for point in value]
        elif field.name == "warm_start":
            if value is None:  # as studies from before there were any
                continue
            value = value.to_json()
        elif field.name == "parallel" and value == 1:  # likewise
            continue
        arguments[field.name] = value
    return {"name": name, **arguments}


def from_spec(spec: Mapping[str, Any]) -> Strategy:
    """The strategy of a specification; arguments left out take their defaults.

    Args:
      spec: {"name": a name of `STRATEGIES`, and the arguments of its class}; a space in AlgoPerf's JSON form.

    Raises:
      ValueError: an unknown name or argument, one missing, or a value that is not allowed.

    Example:
      >>> strategy = from_spec({"name": "lr-sweep", "weight_decay": 0.5})
      >>> [point.hyperparameters["learning_rate"] for point in strategy.ask(())][::4]
      [0.0001, 0.01]
    """
    name = spec.get("name")
    make, where = row(name).make, f"strategy {name!r}"
    fields = {field.name: field for field in dataclasses.fields(make)}  # type: ignore[arg-type]
    arguments = {key: value for key, value in spec.items() if key != "name"}
    for key in arguments:
        if key not in fields:
            hint = did_you_mean(key, fields)
            raise ValueError(f"{where}: unknown argument {key!r}{hint} (allowed: {', '.join(fields)})")
    for key, field in fields.items():
        if key not in arguments and field.default is dataclasses.MISSING:
            raise ValueError(f"{where}: argument {key!r} is missing (it takes: {', '.join(fields)})")
    try:
        if "space" in arguments:
            arguments["space"] = SearchSpace.from_json(arguments["space"], "space")
        if "warm_start" in arguments:
            arguments["warm_start"] = WarmStart.from_json(arguments["warm_start"])
        if "points" in arguments:
            arguments["points"] = _read_points(arguments["points"])
        return make(**arguments)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def step_budget(spec: Mapping[str, Any]) -> StepBudget | None:
    """The strategy of a specification if it is one that stops trials, else None."""
    described = STRATEGIES.get(str(spec.get("name")))
    if described is None or not issubclass(described.make, StepBudget):
        return None
    strategy = from_spec(spec)
    assert isinstance(strategy, StepBudget)
    return strategy


def _read_points(data: Any) -> tuple[Point, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str):
        raise ValueError(f"points is {data!r}; must be a list of points")
    return tuple(Point.from_json(point, f"points[{i}]") for i, point in enumerate(data))
