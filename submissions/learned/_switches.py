"""Switches of learned optimizers as text: NAME,SWITCH=VALUE,...@FILE.

Values are true and false, numbers, words, none where the default is none or a number of steps, and several numbers with
colons between them.

Beside its own every learned optimizer has `continuation`, what it does after the steps that it was told, see
`submissions.learned.continuation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from submissions.learned._declaration import Learned
from submissions.learned.continuation import WAYS
from workloads.spelling import did_you_mean

TRUTH = {"true": True, "false": False}
NONE = "none"
OF_ALL = {"continuation": "naive"}


def parsed(learned: Learned, given: Iterable[str]) -> dict[str, Any]:
    """SWITCH=VALUE, ... as arguments of `Learned.make`, in the order of the table.

    Raises:
      ValueError: no such switch, a value that it cannot have, or one twice.
    """
    found: dict[str, Any] = {}
    switches = {**learned.switches, **OF_ALL}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{learned.name}: switch {text!r}; give NAME=VALUE")
        if name not in switches:
            if name in learned.sizes:
                raise ValueError(
                    f"{learned.name}: {name} is a size, which its weights have already; no switch"
                )
            has = ", ".join(switches)
            raise ValueError(
                f"{learned.name} has no switch {name!r}{did_you_mean(name, switches)} (it has: {has})"
            )
        if name in found:
            raise ValueError(f"{learned.name}: {name} is given twice")
        if name in OF_ALL and value not in WAYS:
            raise ValueError(f"{learned.name}: {name} is {value!r}; must be one of {', '.join(WAYS)}")
        found[name] = _value(f"{learned.name}: {name}", switches[name], value)
    return {name: found[name] for name in switches if name in found}


def spelt(switches: Mapping[str, Any]) -> str:
    """The inverse of `parsed`: ",SWITCH=VALUE" for each.

    Example:
      >>> spelt({"weight_decay": 1e-06, "longest_horizon": None, "skip_nonfinite": True})
      ',weight_decay=1e-06,longest_horizon=none,skip_nonfinite=true'
    """
    return "".join(f",{name}={_text(value)}" for name, value in switches.items())


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ":".join(map(repr, value)) if isinstance(value, tuple) else str(value)


def _value(what: str, default: Any, text: str) -> Any:
    if isinstance(default, bool):
        if text.lower() not in TRUTH:
            raise ValueError(f"{what} is {text!r}; must be true or false")
        return TRUTH[text.lower()]
    if default is None or isinstance(default, int):  # steps
        if text.lower() == NONE:
            return None
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"{what} is {text!r}; must be a whole number above 0, or {NONE}")
        return int(text)
    if isinstance(default, tuple):
        numbers = tuple(_number(what, one) for one in text.split(":"))
        if len(numbers) != len(default):
            raise ValueError(f"{what} is {text!r}; must be {len(default)} numbers with colons between them")
        return numbers
    return _number(what, text) if isinstance(default, float) else text


def _number(what: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{what} is {text!r}; must be a number")
    return value
