"""Whether a spoilt file is a legal one still: what changed in it, against rules that say which values are allowed.

Nothing here asks the readers under test. A rule stands for a place in a kind of file, and says why another value there
is none of anybody's errors; a change that no rule allows makes the file a spoilt one.
"""

from __future__ import annotations

import fnmatch
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

ABSENT = object()  # the value of a key that is not there

Place = tuple[str, ...]
Legal = Callable[[Path, Path], str]


class Rule(NamedTuple):
    """Values that a place may have.

    Attributes:
      place: keys, with patterns; the indices of a list are patterns of numbers.
      allows: of a value, or `ABSENT`.
      why: in a few words.
    """

    place: Place
    allows: Callable[[Any], bool]
    why: str


def never(valid: Path, spoilt: Path) -> str:
    """No change is legal."""
    del valid, spoilt
    return ""


def text(value: Any) -> bool:
    """A text with something to read in it."""
    return isinstance(value, str) and bool(value.strip())


def number(low: float = -math.inf, high: float = math.inf, above: float = -math.inf) -> Callable[[Any], bool]:
    """A finite number, or a column or array of such, within bounds; `above` is itself out of them."""

    def allows(value: Any) -> bool:
        if isinstance(value, pl.Series):
            return not value.has_nulls() and all(map(allows, value))
        if isinstance(value, np.ndarray):
            return bool(np.isfinite(value).all() and (value >= low).all() and (value <= high).all())
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value) and low <= value <= high and value > above

    return allows


def whole(low: float = -math.inf, high: float = 2.0**53) -> Callable[[Any], bool]:
    """A whole number within bounds."""
    return lambda value: number(low, high)(value) and value == int(value)


def either(*allowed: Any) -> Callable[[Any], bool]:
    """One of these values, of just that type; `ABSENT` may be one."""
    return lambda value: any(value is one or (type(value) is type(one) and value == one) for one in allowed)


def any_of(*rules: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """What one of several allows."""
    return lambda value: any(rule(value) for rule in rules)


def json_by(*rules: Rule) -> Legal:
    """Of JSON files."""

    def legal(valid: Path, spoilt: Path) -> str:
        try:
            before, after = (json.loads(path.read_text(encoding="utf-8-sig")) for path in (valid, spoilt))
        except (OSError, ValueError):
            return ""
        return _all_allowed(list(_changes(before, after)), rules)

    return legal


def table_by(*rules: Rule) -> Legal:
    """Of tables, CSV and Parquet; places are names of columns, and "rows" where there are fewer."""

    def legal(valid: Path, spoilt: Path) -> str:
        try:
            before, after = _table(valid), _table(spoilt)
        except (OSError, ValueError, pl.exceptions.PolarsError):
            return ""
        columns = {name: after[name] if name in after.columns else ABSENT for name in before.columns}
        columns |= {name: after[name] for name in after.columns}
        changed = [
            ((name,), column)
            for name, column in columns.items()
            if name not in before.columns
            or not isinstance(column, pl.Series)
            or not before[name].equals(column, check_dtypes=True, null_equal=True)
        ]
        if len(after) < len(before) and before.head(len(after)).equals(after):
            changed = [(("rows",), after)]
        return _all_allowed(changed, rules)

    return legal


def npz_by(*rules: Rule) -> Legal:
    """Of array files; places are names of arrays."""

    def legal(valid: Path, spoilt: Path) -> str:
        try:
            with np.load(valid) as old, np.load(spoilt) as new:
                before, after = dict(old), dict(new)
        except Exception:  # whatever NumPy makes of it, it is none
            return ""
        names = before.keys() | after.keys()
        changed = [
            ((name,), after.get(name, ABSENT))
            for name in sorted(names)
            if name not in before
            or name not in after
            or before[name].dtype != after[name].dtype
            or before[name].tobytes() != after[name].tobytes()
        ]
        return _all_allowed(changed, rules)

    return legal


def _all_allowed(changes: list[tuple[Place, Any]], rules: tuple[Rule, ...]) -> str:
    """Why all changes are legal; "" where one is not."""
    whys = []
    for place, value in changes:
        why = next((rule.why for rule in rules if _fits(place, rule.place) and rule.allows(value)), None)
        if why is None:
            return ""
        whys.append(why)
    return "; ".join(dict.fromkeys(whys))


def _fits(place: Place, pattern: Place) -> bool:
    return len(place) == len(pattern) and all(map(fnmatch.fnmatchcase, place, pattern))


def _changes(before: Any, after: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """(place, new value) of all that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            if key not in before or key not in after:
                yield (*place, key), after.get(key, ABSENT)
            else:
                yield from _changes(before[key], after[key], (*place, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for k, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _changes(old, new, (*place, str(k)))
    elif type(before) is not type(after) or before != after:
        yield place, after


def _table(path: Path) -> pl.DataFrame:
    return pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
