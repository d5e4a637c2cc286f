"""tuning_search_space.json: a list of points, or ranges, the same for every workload."""

from __future__ import annotations

import json
import keyword
import math
from pathlib import Path
from typing import Any

from submissions.validation._workload_names import WORKLOADS
from submissions.validation.findings import Finding

TRIALS = 5  # of one study under the external ruleset


def space_findings(file: Path) -> tuple[list[Finding], list[str] | None]:
    """Faults of a search space, and the names it declares (None if that cannot be said).

    Args:
      file: an existing tuning_search_space.json.
    """
    check = _Check(file)
    return check.findings, check.names


class _Check:
    def __init__(self, file: Path) -> None:
        self.file = file.name
        self.lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        self.findings: list[Finding] = []
        self.names: list[str] | None = None
        try:
            # NaN and Infinity are not JSON, but Python reads them; as values they are found below.
            space = json.loads("\n".join(self.lines), object_pairs_hook=self._object)
        except json.JSONDecodeError as error:
            self._add("S301", f"not valid JSON: {error.msg}", error.lineno)
            return
        if isinstance(space, list):
            self._list(space)
        elif isinstance(space, dict):
            self._ranges(space)
        else:
            self._add(
                "S301", f"is a {type(space).__name__}; a list of points or an object of ranges is needed"
            )

    def _add(self, code: str, message: str, line: int = 0) -> None:
        self.findings.append(Finding(code, message, self.file, line))

    def _line(self, name: str) -> int:
        wanted = json.dumps(name)
        return next((number for number, line in enumerate(self.lines, 1) if wanted in line), 0)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._add("S304", f"{name!r} is given twice in one object; the last one wins", self._line(name))
        return dict(pairs)

    def _list(self, points: list[Any]) -> None:
        if not points:
            self._add("S302", "the list is empty", 1)
            return
        if not all(isinstance(point, dict) for point in points):
            self._add("S302", "a point is not an object of names and values", 1)
            return
        self.names = list(points[0])
        for number, point in enumerate(points):
            for name in sorted(set(point) ^ set(points[0])):
                owner, other = (number, 0) if name in point else (0, number)
                self._add(
                    "S302", f"only point {owner} has {name!r}, point {other} does not", self._line(name)
                )
            for name, value in point.items():
                if not _is_value(value):
                    self._add("S302", f"point {number}: {name} is {value!r}", self._line(name))
        if len(points) != TRIALS:
            self._add("S306", f"{len(points)} points; a study has {TRIALS} trials")
        self._check_names()

    def _ranges(self, space: dict[str, Any]) -> None:
        self.names = list(space)
        if not space:
            self._add("S301", "declares no hyperparameter; the self-tuning ruleset needs no search space")
        for name, dimension in space.items():
            fault = _dimension_fault(dimension)
            if fault:
                self._add("S303", f"{name}: {fault}", self._line(name))
        self._check_names()

    def _check_names(self) -> None:
        for name in self.names or ():
            if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
                self._add("S304", f"{name!r} cannot be the name of a field", self._line(name))
            workload = next((known for known in WORKLOADS if known in name.lower()), None)
            if workload:
                self._add("S305", f"{name!r} is named after the workload {workload}", self._line(name))


def _is_value(value: Any) -> bool:
    return isinstance(value, (str, bool)) or (isinstance(value, (int, float)) and math.isfinite(value))


def _dimension_fault(dimension: Any) -> str:
    """What is wrong with one range; empty if nothing."""
    if not isinstance(dimension, dict):
        return f"is {dimension!r}, not an object with feasible_points, or with min, max and scaling"
    unknown = set(dimension) - {"feasible_points", "min", "max", "scaling"}
    if unknown:
        return f"unknown key {sorted(unknown)[0]!r} (allowed: min, max, scaling, feasible_points)"
    if "feasible_points" in dimension:
        if set(dimension) != {"feasible_points"}:
            return "has both feasible_points and a range"
        points = dimension["feasible_points"]
        if not isinstance(points, list) or not points:
            return "feasible_points is not a list with at least one value"
        bad = [value for value in points if not _is_value(value)]
        return f"the feasible point {bad[0]!r} is not usable" if bad else ""
    missing = {"min", "max", "scaling"} - set(dimension)
    if missing:
        return f"has no {sorted(missing)[0]!r}"
    low, high, scaling = dimension["min"], dimension["max"], dimension["scaling"]
    for bound in (low, high):
        if isinstance(bound, bool) or not isinstance(bound, (int, float)) or not math.isfinite(bound):
            return f"the bound {bound!r} is not a finite number"
    if scaling not in ("log", "linear"):
        return f"scaling is {scaling!r}; AlgoPerf knows 'log' and 'linear'"
    if low > high:
        return f"min {low} is above max {high}"
    if scaling == "log" and low <= 0:
        return f"min {low} has no logarithm"
    return ""
