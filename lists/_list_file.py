"""List files: hyperparameter points in the order to try them, with where they come from.

A list file is JSON. All keys are required, no others are allowed; `asked`, `adds` and `ties` are in format 2 alone,
which is written where one of them is known. Format 1 is read on.

| key | value |
|---|---|
| format | 1 or 2 |
| name | what to call the list |
| update_rule | the optimizer the points are for: a key of `submissions.OPTIMIZERS`, or a submission's name |
| source | one sentence: paper and table, study or logs |
| method | a key of `lists.CONSTRUCTIONS`, "recommended", or "given" where somebody chose the points and their order |
| penalty | tau of the cost C_tau by which the list was built; null where another cost or none was used |
| workloads | names of the workloads the list was built on; [] where they are too many or not known |
| points | [{"id": ..., "hyperparameters": {name: number, ...}}, ...], first to try first |
| costs | C_tau on those workloads of the first 1, 2, ... points; [] where it is not known |
| asked | how many points were asked for; null where it is not known |
| adds | how many of the points, the first ones, lower what the construction grows by; null where it is not known |
| ties | the tie rule, a key of `lists.TIES`, by which the others were chosen; null where it is not known |
| made_by | {what: text or number, ...}: program, version, command, whatever lets one make it again |
"""

from __future__ import annotations

import dataclasses
import json
import keyword
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lists._constructions import CONSTRUCTIONS
from lists._greedy import how_many_add
from lists._ties import TIES
from submissions.points import Point
from workloads.data import reading
from workloads.data.files import write_atomically
from workloads.spelling import did_you_mean

FORMATS = (1, 2)
METHODS = (*CONSTRUCTIONS, "recommended", "given")
_ROUNDING = (
    1e-9  # costs are exponentials of sums of logarithms, in any order, and may be written with fewer digits
)


@dataclasses.dataclass(frozen=True)
class HyperparameterList:
    """Points in the order to try them, with where they come from; what a list file holds.

    Attributes:
      name, update_rule, source, method, penalty, workloads, costs, asked, adds, ties, made_by: see the module's
        table. Without `adds`, it is told from the costs where they are given.
      points: at least one, with unique ids and at least one hyperparameter each.

    Raises:
      ValueError: an attribute that the table does not allow; the message begins with its name.
    """

    name: str
    update_rule: str
    source: str
    method: str
    penalty: float | None
    workloads: tuple[str, ...]
    points: tuple[Point, ...]
    costs: tuple[float, ...]
    made_by: Mapping[str, str | int | float | bool | None]
    asked: int | None = None
    adds: int | None = None
    ties: str | None = None

    def __post_init__(self) -> None:
        for key in ("name", "update_rule", "source"):
            if not getattr(self, key).strip():
                raise ValueError(f"{key}: is empty; say what it is in a few words")
        if self.method not in METHODS:
            raise ValueError(f"method: is {self.method!r}; must be one of {', '.join(METHODS)}")
        if self.penalty is not None and not (math.isfinite(self.penalty) and self.penalty >= 1):
            raise ValueError(f"penalty: is {self.penalty:g}; must be finite and at least 1, or null")
        if not self.points:
            raise ValueError("points: is empty; a list needs at least one point")
        _check_unique("workloads", self.workloads)
        _check_unique("points", (point.id for point in self.points))
        for k, point in enumerate(self.points):
            if not point.hyperparameters:
                raise ValueError(f"points[{k}]: hyperparameters is empty; must hold at least one number")
        if self.costs and len(self.costs) != len(self.points):
            raise ValueError(
                f"costs: has {len(self.costs)} entries for {len(self.points)} points; "
                "must have one per point, or be empty"
            )
        if self.costs and self.penalty is None:
            raise ValueError("costs: are given but penalty is null; a cost means nothing without its penalty")
        for k, value in enumerate(self.costs):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"costs[{k}]: is {value:g}; must be positive and finite")
            # C_tau caps every fraction at tau, and a point more cannot make a list worse.
            if self.penalty is not None and value > self.penalty * (1 + _ROUNDING):
                raise ValueError(
                    f"costs[{k}]: is {value:g}; must be at most {self.penalty:g}, the penalty, which is what a list "
                    "costs that reaches nothing"
                )
            if k and value > self.costs[k - 1] * (1 + _ROUNDING):
                raise ValueError(
                    f"costs[{k}]: is {value:g}, more than {self.costs[k - 1]:g} of the list without its last point; "
                    "costs never rise along a list"
                )
        if self.adds is not None and not 0 <= self.adds <= len(self.points):
            raise ValueError(
                f"adds: is {self.adds}; must be from 0 to {len(self.points)}, the points of the list"
            )
        if self.asked is not None and self.asked < len(self.points):
            raise ValueError(
                f"asked: is {self.asked}; must be at least {len(self.points)}, the points of the list"
            )
        if self.ties is not None and self.ties not in TIES:
            raise ValueError(f"ties: is {self.ties!r}; must be one of {', '.join(TIES)}, or null")
        for key, value in self.made_by.items():
            number = isinstance(value, int | float) and math.isfinite(value)
            if not (number or value is None or isinstance(value, str)):
                raise ValueError(f"made_by: {key}: is {value!r}; must be text, a number, true, false or null")

    def to_json(self) -> dict[str, Any]:
        """The content of a list file as plain JSON data."""
        newer = any(getattr(self, key) is not None for key in _SINCE_2)
        keys = [
            key for key in _ListInFile.__struct_fields__ if key != "format" and (newer or key not in _SINCE_2)
        ]
        data = {key: getattr(self, key) for key in keys}
        points = [point.to_json() for point in self.points]
        return {"format": 2 if newer else 1, **data, "points": points, "made_by": dict(self.made_by)}

    @property
    def adding(self) -> int | None:
        """How many of the first points lower the cost: `adds`, or as the costs tell; None where neither is known.

        Example:
          >>> points = (Point("a", {"x": 1.0}), Point("b", {"x": 2.0}))
          >>> HyperparameterList("mine", "adamw_optax", "by hand", "greedy", 2.0, (), points, (0.9, 0.9), {}).adding
          1
        """
        if self.adds is not None or not self.costs or self.penalty is None:
            return self.adds
        return how_many_add([math.log(cost) for cost in self.costs], math.log(self.penalty))


def read_list(path: str | os.PathLike[str]) -> HyperparameterList:
    """Reads a list file.

    Args:
      path: a JSON file with the keys of the module's table.

    Returns:
      The list.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not JSON, another format, a key missing, unknown or of the wrong kind; the message names
        the file and the key.
    """
    content = reading.read_bytes(path, "no such list file; shortlist build-list SOURCE writes one")
    return parse_list(content, where=str(path))


def write_list(path: str | os.PathLike[str], content: HyperparameterList, overwrite: bool = False) -> None:
    """Writes a list file; whole or not at all.

    Args:
      path: where; the folder must exist.
      content: the list.
      overwrite: replace a file that is there.

    Raises:
      FileExistsError: the file is there and overwrite is off.
      FileNotFoundError: no such folder.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "mine.json"
      >>> mine = HyperparameterList(
      ...     name="mine", update_rule="nadamw_optax", source="the notebook of Tuesday", method="given",
      ...     penalty=None, workloads=(), points=(Point("a", {"learning_rate": 0.1}),), costs=(),
      ...     made_by={"by hand": True},
      ... )
      >>> write_list(path, mine)
      >>> read_list(path) == mine
      True
    """
    _write_json(Path(path), content.to_json(), overwrite)


def to_search_space(points: Iterable[Point], names: str = "shortlist") -> list[dict[str, float]]:
    """The points as AlgoPerf's list form of `tuning_search_space.json`: tried in order, one per trial.

    That form has no place to mark points that add nothing; `points[: HyperparameterList.adding]` leaves them out.

    Args:
      points: at least one, all with the same hyperparameters.
      names: "shortlist" keeps ours, for submissions packaged by this project. "algoperf" gives the names
        that AlgoPerf's NAdamW baselines read: warmup_factor for warmup_fraction, one_minus_beta1 for beta1,
        beta2 for one_minus_beta2. From 0.5 up a beta survives 1 - (1 - beta) to the last bit.

    Returns:
      One object per point, keys in the order of the first point.

    Raises:
      ValueError: no points; points that differ in their hyperparameters (AlgoPerf's runner refuses them);
        a name that cannot be a Python attribute (it becomes one); an unknown `names`.

    Example:
      >>> to_search_space([Point("a", {"beta1": 0.75, "warmup_fraction": 0.05})], names="algoperf")
      [{'one_minus_beta1': 0.25, 'warmup_factor': 0.05}]
    """
    if names not in _NAMES:
        raise ValueError(f"names is {names!r}; must be one of {', '.join(_NAMES)}")
    points = list(points)
    if not points:
        raise ValueError("points is empty; a search space needs at least one point")
    first = points[0]
    for name in first.hyperparameters:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise ValueError(
                f"hyperparameter {name!r} cannot go into a search space: AlgoPerf makes it a Python attribute"
            )
    for point in points:
        if point.hyperparameters.keys() != first.hyperparameters.keys():
            odd = sorted(point.hyperparameters.keys() ^ first.hyperparameters.keys())
            raise ValueError(
                f"points {first.id} and {point.id} differ in having {', '.join(odd)}; "
                "all points of a search space must have the same hyperparameters"
            )
    spelled = [(name, *_NAMES[names].get(name, (name, _same))) for name in first.hyperparameters]
    return [{theirs: f(point.hyperparameters[ours]) for ours, theirs, f in spelled} for point in points]


def write_search_space(
    path: str | os.PathLike[str],
    points: Iterable[Point],
    names: str = "shortlist",
    overwrite: bool = False,
) -> None:
    """Writes `to_search_space(points, names)` as a JSON file; whole or not at all.

    Raises:
      FileExistsError: the file is there and overwrite is off.
      FileNotFoundError: no such folder.
      ValueError: see `to_search_space`.
    """
    _write_json(Path(path), to_search_space(points, names), overwrite)


def _same(value: float) -> float:
    return value


def _one_minus(value: float) -> float:
    return 1.0 - value


# Our name -> the name in the search space, and its value from ours. Names not listed stay.
_NAMES: dict[str, dict[str, tuple[str, Callable[[float], float]]]] = {
    "shortlist": {},
    "algoperf": {
        "warmup_fraction": ("warmup_factor", _same),
        "beta1": ("one_minus_beta1", _one_minus),
        "one_minus_beta2": ("beta2", _one_minus),
    },
}


class _PointInFile(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    hyperparameters: dict[str, Any]  # checked by Point, whose message names the hyperparameter


class _ListInFormat1(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    name: str
    update_rule: str
    source: str
    method: str
    penalty: float | None
    workloads: tuple[str, ...]
    points: tuple[_PointInFile, ...]
    costs: tuple[float, ...]
    made_by: dict[str, Any]  # checked by HyperparameterList


_SINCE_2 = ("asked", "adds", "ties")


class _ListInFile(_ListInFormat1, forbid_unknown_fields=True):
    asked: int | None
    adds: int | None
    ties: str | None


class _FormatInFile(msgspec.Struct):
    format: int


def parse_list(text: bytes, where: str) -> HyperparameterList:
    """The list in the text of a list file; `where` opens every error message."""
    in_file: type[msgspec.Struct] = _ListInFile
    data = reading.parse_json(text, where)
    try:
        # On its own first: a newer format must be called that, not a file with unknown keys.
        version = msgspec.convert(data, _FormatInFile).format
        if version not in FORMATS:
            known = " and ".join(map(str, FORMATS))
            raise ValueError(f"format: is {version}; this version of shortlist reads formats {known}")
        in_file = _ListInFormat1 if version == 1 else _ListInFile
        read = msgspec.convert(data, in_file)
        points = []
        for k, point in enumerate(read.points):
            try:
                for name, value in point.hyperparameters.items():
                    if isinstance(value, bool):
                        raise ValueError(f"point {point.id}: {name} is {value!r}; write 1 or 0 for yes or no")
                points.append(Point(point.id, point.hyperparameters))
            except ValueError as error:
                raise ValueError(f"points[{k}]: {error}") from None
        fields = {name: getattr(read, name) for name in in_file.__struct_fields__ if name != "format"}
        return HyperparameterList(**{**fields, "points": tuple(points)})
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}: {_plain(str(error), in_file)}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _plain(message: str, in_file: type[msgspec.Struct]) -> str:
    """Puts the key first: "Expected `str`, got `int` - at `$.name`" -> "name: Expected `str`, got `int`"."""
    text, _, place = message.partition(" - at `$")
    place = place.rstrip("`").lstrip(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", text, re.DOTALL)
    if unknown:
        allowed = (_PointInFile if place else in_file).__struct_fields__
        hint = did_you_mean(unknown[1], allowed)
        text = f"unknown key {unknown[1]!r}{hint} (allowed: {', '.join(allowed)})"
    missing = re.fullmatch(r"Object missing required field `(.*)`", text)
    if missing:
        text = f"key '{missing[1]}' is missing"
    return f"{place}: {text}" if place else text


def _check_unique(key: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{key}: {name!r} appears more than once; names must be unique")
        seen.add(name)


def _write_json(path: Path, data: Any, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: exists already; choose another name, or ask to overwrite it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder; make it, or write elsewhere")
    write_atomically(path, json.dumps(data, indent=2, allow_nan=False).encode() + b"\n")
