"""The points of a run: drawn once, written down, and taken from there by every machine that runs a slice of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from submissions.spaces import SearchSpace
from tuning.strategies import halton
from workloads.data.files import write_once

NAME = "points.json"


def points(folder: Path, search_space: Path, trials: int, seed: int) -> list[dict[str, Any]]:
    """The hyperparameters of trials 1, 2, ..., as points.json in the folder says; it is made if it is missing.

    A list is used in its order. Ranges give AlgoPerf's quasi-random points in the order that it has after
    `numpy.random.seed(seed)`, which its own runner leaves to chance.

    Args:
      folder: of the workload's trials.
      search_space: tuning_search_space.json.
      trials: how many in all, over all slices.
      seed: of the order.

    Raises:
      ValueError: the list is too short, or points.json was drawn from something else.
    """
    asked = {
        "tuning_search_space": hashlib.sha256(search_space.read_bytes()).hexdigest(),
        "num_tuning_trials": trials,
        "rng_seed": seed,
    }
    file = folder / NAME
    if not file.exists():
        drawn = _draw(search_space, trials, seed)
        content = json.dumps({"asked": asked, "points": drawn}, indent=1)
        write_once(file, content.encode() + b"\n")  # of several machines, the first; all then read the same
    stored = json.loads(file.read_text(encoding="utf-8"))
    differing = [name for name, value in asked.items() if stored["asked"].get(name) != value]
    if differing:
        said = ", ".join(f"{name} was {stored['asked'].get(name)}, now {asked[name]}" for name in differing)
        raise ValueError(
            f"{file}: these points were drawn for another run ({said}); give the same flags to run the rest of them, "
            "or another --experiment-name, or --overwrite"
        )
    return stored["points"]


def stored_seed(folder: Path) -> int | None:
    """The seed that a run without --rng_seed drew when it began here; None if none did."""
    file = folder / NAME
    return json.loads(file.read_text(encoding="utf-8"))["asked"]["rng_seed"] if file.exists() else None


def _draw(search_space: Path, trials: int, seed: int) -> list[dict[str, Any]]:
    """Values as the file spells them: an integer stays one, and switches and names are values too."""
    try:
        data = json.loads(search_space.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{search_space}: not valid JSON ({error})") from None
    if isinstance(data, list) and data:
        return _listed(search_space, data, trials)
    if not isinstance(data, dict) or not data:
        raise ValueError(
            f"{search_space}: must be a list of points, or an object of dimensions; neither may be empty"
        )
    # Choices may be anything that JSON can say, as in AlgoPerf; points hold numbers, so their positions are drawn.
    choices = {name: entry["feasible_points"] for name, entry in data.items() if _has_choices(entry)}
    numbered = {name: {"feasible_points": list(range(len(values)))} for name, values in choices.items()}
    space = SearchSpace.from_json(data | numbered, str(search_space))
    return [
        {
            name: choices[name][int(value)] if name in choices else value
            for name, value in point.hyperparameters.items()
        }
        for point in halton.points(space, trials, order_seed=seed)
    ]


def _listed(search_space: Path, data: list[Any], trials: int) -> list[dict[str, Any]]:
    for position, point in enumerate(data):
        if not isinstance(point, dict) or set(point) != set(data[0]):
            raise ValueError(
                f"{search_space}: point {position}: must be an object with the names of point 0, "
                f"{', '.join(data[0]) if isinstance(data[0], dict) else 'which is none either'}"
            )
    if len(data) < trials:
        raise ValueError(
            f"{search_space}: {len(data)} points for {trials} trials; ask for --num-tuning-trials={len(data)}"
        )
    return data[:trials]


def _has_choices(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"feasible_points"}
        and isinstance(entry["feasible_points"], list)
    )
