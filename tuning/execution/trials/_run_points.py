"""The points of a run: drawn once, written down, and taken from there by every machine that runs a slice of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import keyword
import math
from pathlib import Path
from typing import Any

from submissions.spaces import SearchSpace
from tuning.strategies import halton
from workloads.data.files import write_atomically, write_once

NAME = "points.json"
MOST = 1_000_000  # trials: each draws a point, which is written down
_REMEDY = "Ask for the same, for another --experiment-name, or --overwrite all trials"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The points of a run, of which nothing is written yet.

    Attributes:
      points: of trials 1, 2, ...
      file: where they are written down.
      content: of the file.
      is_there: the file has it already.
      grows: the file has the first of the points.
    """

    points: list[dict[str, Any]]
    file: Path
    content: bytes
    is_there: bool
    grows: bool = False

    def write(self) -> None:
        """Writes the points down.

        Raises:
          ValueError: another run has meanwhile written others.
        """
        if self.is_there:
            return
        if self.grows:
            write_atomically(self.file, self.content)
        elif not write_once(self.file, self.content):  # of several machines, the first
            there = _read(self.file)["points"]
            if there[: len(self.points)] != self.points:
                raise ValueError(f"{self.file}: another run has just drawn other points. {_REMEDY}")


def points(folder: Path, search_space: Path, trials: int, seed: int) -> list[dict[str, Any]]:
    """The hyperparameters of trials 1, 2, ...: those of `plan`, written down."""
    planned = plan(folder, search_space, trials, seed)
    planned.write()
    return planned.points


def plan(folder: Path, search_space: Path, trials: int, seed: int, anew: bool = False) -> Plan:
    """The hyperparameters of trials 1, 2, ..., as points.json in the folder says, or as they are to be written there.

    A list is used in its order. Ranges give AlgoPerf's quasi-random points in the order that it has after
    `numpy.random.seed(seed)`, which its own runner leaves to chance. More trials than there are points go on with the
    next rows of the list, or of the quasi-random set in its own order: together they are the set that so many trials
    would have had from the start, and the points that were there stay where they are.

    Args:
      folder: of the workload's trials.
      search_space: tuning_search_space.json.
      trials: how many in all, over all slices.
      seed: of the order.
      anew: as if there were no points.json.

    Raises:
      ValueError: the list is too short, points.json was drawn from something else or is damaged, or it has more points.
    """
    file = folder / NAME
    space = _read_space(search_space)
    digest = hashlib.sha256(search_space.read_bytes()).hexdigest()
    if anew or not file.exists():
        drawn = _draw(search_space, space, trials, seed)
        return Plan(drawn, file, _content(digest, space, trials, trials, seed, drawn), is_there=False)
    stored = _read(file)
    asked, there = stored["asked"], stored["points"]
    first = min(asked.get("drawn_at_once", len(there)), len(there))
    if asked["rng_seed"] != seed:
        raise ValueError(f"{file}: rng_seed was {asked['rng_seed']}, now {seed}. {_REMEDY}")
    if asked["tuning_search_space"] != digest:
        listed = isinstance(space, list)
        again = space[: len(there)] if listed else _grown(search_space, space, first, len(there), seed)
        if again != there:
            raise ValueError(f"{file}: {_difference(stored.get('space'), space, there, again)}. {_REMEDY}")
    if trials < len(there):
        raise ValueError(
            f"{file}: num_tuning_trials was {len(there)}, now {trials}; it may only grow. Ask for {len(there)}, or for "
            f"a slice of them, --hparam-end-index={trials}"
        )
    if trials == len(there):
        return Plan(there, file, b"", is_there=True)
    there = there + _grown(search_space, space, first, trials, seed)[len(there) :]
    content = _content(digest, space, trials, first, seed, there)
    return Plan(there, file, content, is_there=False, grows=True)


def stored_seed(folder: Path) -> int | None:
    """The seed that a run without --rng_seed drew when it began here; None if none did.

    Raises:
      ValueError: points.json is damaged.
    """
    file = folder / NAME
    return _read(file)["asked"]["rng_seed"] if file.exists() else None


def _content(
    digest: str, space: Any, trials: int, first: int, seed: int, drawn: list[dict[str, Any]]
) -> bytes:
    asked = {
        "tuning_search_space": digest,
        "num_tuning_trials": trials,
        "rng_seed": seed,
        "drawn_at_once": first,
    }
    return json.dumps({"asked": asked, "space": space, "points": drawn}, indent=1).encode() + b"\n"


def _read(file: Path) -> dict[str, Any]:
    """What points.json holds."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        asked, there = stored["asked"], stored["points"]
        numbers = {name: asked[name] for name in ("num_tuning_trials", "rng_seed")}
        if not all(isinstance(value, int) for value in numbers.values()):
            raise ValueError(f"asked is {asked}")
        if not isinstance(asked["tuning_search_space"], str) or not isinstance(
            asked.get("drawn_at_once", 1), int
        ):
            raise ValueError(f"asked is {asked}")
        if not isinstance(there, list) or not all(isinstance(point, dict) for point in there):
            raise ValueError("points are no list of objects")
        if len(there) != asked["num_tuning_trials"]:
            raise ValueError(f"{len(there)} points for {asked['num_tuning_trials']} trials")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"{file}: damaged ({said}); restore it, or delete it and give the --rng-seed that it had, which "
            "draws the same points again"
        ) from error
    return stored


def _grown(file: Path, space: Any, first: int, trials: int, seed: int) -> list[dict[str, Any]]:
    """Points of which so many were drawn first, in an order of their own."""
    if isinstance(space, list):
        return _listed(file, space, trials)
    return _draw(file, space, first, seed) + _draw(file, space, trials, None)[first:]


def _difference(then: Any, now: Any, there: list[Any], again: list[Any]) -> str:
    """How a search space differs from that which the points were drawn from."""
    if isinstance(then, dict) and isinstance(now, dict):
        names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        said = "; ".join(f"{name} was {_json(then.get(name))}, now {_json(now.get(name))}" for name in names)
        return f"tuning_search_space: {said or 'its dimensions have another order'}"
    place = next((i for i, (a, b) in enumerate(zip(there, again, strict=False)) if a != b), len(again))
    new = _json(again[place]) if place < len(again) else "missing"
    return f"tuning_search_space: point {place} was {_json(there[place])}, now {new}"


def _json(value: Any) -> str:
    return "missing" if value is None else json.dumps(value)


def _read_space(search_space: Path) -> Any:
    try:
        data = json.loads(search_space.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{search_space}: not valid JSON ({error})") from None
    if not isinstance(data, dict | list) or not data:
        raise ValueError(
            f"{search_space}: must be a list of points, or an object of dimensions; neither may be empty"
        )
    for name in data if isinstance(data, dict) else data[0] if isinstance(data[0], dict) else ():
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise ValueError(
                f"{search_space}: {name!r} cannot be a hyperparameter's name, which submissions read as "
                "hyperparameters.NAME"
            )
    return data


def _draw(search_space: Path, data: Any, trials: int, seed: int | None) -> list[dict[str, Any]]:
    """Values as the file spells them: an integer stays one, and switches and names are values too."""
    if isinstance(data, list):
        return _listed(search_space, data, trials)
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
        for name, value in point.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{search_space}: point {position}: {name} is {value}; must be finite")
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
