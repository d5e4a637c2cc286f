"""A user's own functions, called by us: what fails in them is told with their line, and what they return is checked."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from submissions.optimizers._rule import Rule


@dataclasses.dataclass(frozen=True)
class Owner:
    """Whose functions they are.

    Attributes:
      name: of the optimizer's function.
      file: where it stands; None where it was typed into an interpreter.
      line: where the function begins.
      hyperparameters: names that it may read.
    """

    name: str
    file: Path | None
    line: int
    hyperparameters: Sequence[str]

    def call(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's answer.

        Raises:
          ValueError: whatever it raised, in one line with the user's own line.
        """
        try:
            return function(*arguments)
        except _Told:
            raise
        except (Exception, SystemExit) as error:  # whatever it is, the user's to mend
            raise self.refusal(what, f"{_said(error)}{self._hint(error)}", error) from error

    def refusal(self, what: str, why: str, error: BaseException | None = None) -> ValueError:
        """The error that tells what is wrong, and where in the user's file."""
        place = "" if self.file is None else f"{self.file}, line {self._line(error)}: "
        return _Told(f"{place}{what} of {self.name}: {why}")

    def _line(self, error: BaseException | None) -> int:
        frames = traceback.extract_tb(error.__traceback__) if error is not None else []
        lines = [frame.lineno for frame in frames if frame.lineno and Path(frame.filename) == self.file]
        return lines[-1] if lines else self.line

    def _hint(self, error: BaseException) -> str:
        if isinstance(error, KeyError):
            return f"; its hyperparameters are {', '.join(self.hyperparameters) or 'none'}"
        if any(
            kind.__name__ in ("ConcretizationTypeError", "TracerIntegerConversionError")
            for kind in type(error).__mro__
        ):
            return (
                "; hyperparameters are traced arrays: write jnp.where instead of 'if', and no float() of them"
            )
        return ""


class _Told(ValueError):
    """An error that has its line already: one call of ours lies within another."""


def guarded(rule: Rule, owner: Owner) -> Rule:
    """The rule, its functions called by way of their owner."""

    def init(*arguments):
        return owner.call("init", rule.init, *arguments)

    def update(weights, hyperparameters, grads, state, params, seen):
        answer = owner.call("update", rule.update, weights, hyperparameters, grads, state, params, seen)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise owner.refusal("update", f"returned {_kind(answer)}; must return (updates, state)")
        _check_alike(owner, "updates tree", answer[0], "params", params, types=False)
        _check_alike(owner, "new state", answer[1], "the state that it was given", state)
        return answer

    def observe(state, metrics):
        assert rule.observe is not None
        after = owner.call("observe", rule.observe, state, metrics)
        _check_alike(owner, "new state", after, "the state that it was given", state)
        return after

    def evaluated(state, params):
        assert rule.evaluated is not None
        shown = owner.call("evaluated", rule.evaluated, state, params)
        _check_alike(owner, "params", shown, "params", params)
        return shown

    return dataclasses.replace(
        rule,
        init=init,
        update=update,
        observe=rule.observe and observe,
        evaluated=rule.evaluated and evaluated,
    )


def _check_alike(owner: Owner, what: str, found: Any, as_: str, wanted: Any, types: bool = True) -> None:
    """Refuses trees that a training cannot be carried on with."""
    import jax

    if jax.tree.structure(found) != jax.tree.structure(wanted):
        raise owner.refusal(
            "update",
            f"its {what} has another structure than {as_}: {_short(jax.tree.structure(found))} instead of "
            f"{_short(jax.tree.structure(wanted))}",
        )
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(wanted), strict=True):
        kinds = tuple((getattr(x, "shape", ()), str(getattr(x, "dtype", type(x).__name__))) for x in (a, b))
        weak = any(getattr(x, "weak_type", True) for x in (a, b))  # a Python number takes the other's type
        if kinds[0][0] != kinds[1][0] or (types and not weak and kinds[0][1] != kinds[1][1]):
            (shape, dtype), (shape_wanted, dtype_wanted) = kinds
            raise owner.refusal(
                "update",
                f"its {what}{jax.tree_util.keystr(path)} is {dtype}{list(shape)}; must be "
                f"{dtype_wanted}{list(shape_wanted)}, as {as_}",
            )


def _said(error: BaseException) -> str:
    first = next(iter(str(error).strip().splitlines()), "")
    return first if first and type(error) is ValueError else f"{type(error).__name__}: {first}".rstrip(": ")


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _short(value: Any, limit: int = 120) -> str:
    text = str(value).removeprefix("PyTreeDef(").removesuffix(")")
    return text if len(text) <= limit else text[: limit - 1] + "…"
