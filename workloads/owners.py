"""A user's own functions, called by us: what fails in them is told with the user's line, and what they return checked.

Optimizers and workloads of one's own are both called so. Importable without JAX.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


def no_hint(error: BaseException) -> str:
    """Nothing to say beyond the error itself."""
    del error
    return ""


@dataclasses.dataclass(frozen=True)
class Owner:
    """Whose functions they are.

    Attributes:
      name: of the optimizer's function, or of the workload.
      file: where it stands; None where it was typed into an interpreter.
      line: where the function begins; named where no line of the file failed.
      hint: error -> what to add to it, beginning with "; ".
    """

    name: str
    file: Path | None
    line: int
    hint: Callable[[BaseException], str] = no_hint

    def call(self, what: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """The function's answer.

        Raises:
          ValueError: whatever it raised, in one line with the user's own line.
        """
        try:
            return function(*arguments, **named)
        except _Told:
            raise
        except (Exception, SystemExit) as error:  # whatever it is, the user's to mend
            why = f"{_said(error)}{self.hint(error)}{_of_traced(error)}"
            raise self.refusal(what, why, error, function) from error

    def refusal(
        self,
        what: str,
        why: str,
        error: BaseException | None = None,
        function: Callable[..., Any] | None = None,
    ) -> ValueError:
        """The error that tells what is wrong, and where in the user's file."""
        place = "" if self.file is None else f"{self.file}, line {self._line(error, function)}: "
        return _Told(f"{place}{what} of {self.name}: {why}")

    def check_alike(
        self, call: str, what: str, found: Any, as_: str, wanted: Any, types: bool = True
    ) -> None:
        """Refuses trees that a training cannot be carried on with.

        Args:
          call: which function made it.
          what: it is.
          found: the tree.
          as_: what it must be like.
          wanted: that tree.
          types: of the numbers must be equal, too.
        """
        import jax

        if jax.tree.structure(found) != jax.tree.structure(wanted):
            raise self.refusal(
                call,
                f"its {what} has another structure than {as_}: {_short(jax.tree.structure(found))} instead of "
                f"{_short(jax.tree.structure(wanted))}",
            )
        leaves = zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(wanted), strict=True)
        for (path, a), b in leaves:
            kinds = tuple(
                (getattr(x, "shape", ()), str(getattr(x, "dtype", type(x).__name__))) for x in (a, b)
            )
            weak = any(
                getattr(x, "weak_type", True) for x in (a, b)
            )  # a Python number takes the other's type
            if kinds[0][0] != kinds[1][0] or (types and not weak and kinds[0][1] != kinds[1][1]):
                (shape, dtype), (shape_wanted, dtype_wanted) = kinds
                raise self.refusal(
                    call,
                    f"its {what}{jax.tree_util.keystr(path)} is {dtype}{list(shape)}; must be "
                    f"{dtype_wanted}{list(shape_wanted)}, as {as_}",
                )

    def _line(self, error: BaseException | None, function: Callable[..., Any] | None) -> int:
        frames = traceback.extract_tb(error.__traceback__) if error is not None else []
        lines = [frame.lineno for frame in frames if frame.lineno and Path(frame.filename) == self.file]
        code = getattr(function, "__code__", None)
        own = code.co_firstlineno if code is not None and Path(code.co_filename) == self.file else self.line
        return lines[-1] if lines else own


class _Told(ValueError):
    """An error that has its line already: one call of ours lies within another."""


def kind(value: Any) -> str:
    """What a value is, for an error.

    Example:
      >>> kind(None), kind(3)
      ('nothing', 'a int')
    """
    if value is None:
        return "nothing"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"a {type(value).__name__}{size}"


def _of_traced(error: BaseException) -> str:
    names = ("ConcretizationTypeError", "TracerIntegerConversionError")
    if any(kind.__name__ in names for kind in type(error).__mro__):
        return "; arrays are traced: write jnp.where instead of 'if', and no float() of them"
    return ""


def _said(error: BaseException) -> str:
    first = next(iter(str(error).strip().splitlines()), "")
    return first if first and type(error) is ValueError else f"{type(error).__name__}: {first}".rstrip(": ")


def _short(value: Any, limit: int = 120) -> str:
    text = str(value).removeprefix("PyTreeDef(").removesuffix(")")
    return text if len(text) <= limit else text[: limit - 1] + "…"
