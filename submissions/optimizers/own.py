"""A user's own optimizer: a function in a file, which `tune`, `run` and `package` take as FILE.py:FUNCTION.

    # my_optimizer.py
    import optax
    import submissions

    @submissions.register("clipped_adam", learning_rate=(1e-4, 1e-1, "log"), largest_norm=[0.1, 1.0, 10.0])
    def clipped_adam(hyperparameters, horizon):
        schedule = optax.cosine_decay_schedule(hyperparameters["learning_rate"], horizon)
        return optax.chain(
            optax.clip_by_global_norm(hyperparameters["largest_norm"]), optax.adam(schedule)
        )

The hyperparameters are traced arrays of shape (): write `jnp.where` instead of `if` on them, and a new point never
compiles. What is declared decides what is searched:

| declaration | meaning |
|---|---|
| `name=(low, high, "log")`, or "linear" | an interval |
| `name=[a, b, c]` | one of these |
| `name=number` | a number that points may replace, but that is not searched |

A function of nothing may give a `submissions.Rule` instead, which sees more than gradients.

A name `one_minus_beta1` is searched as such and reaches the function as `beta1`; `label_smoothing` and `dropout_rate`
may be searched too, and reach the workload.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from submissions.optimizers._exported import exported_space
from submissions.optimizers._from_optax import from_optax
from submissions.optimizers._guarded import guarded, owner
from submissions.optimizers._hyperparameters import (
    ALIASES,
    COMPLEMENTS,
    REGULARIZATION,
    Domain,
    Hyperparameter,
    Optimizer,
)
from submissions.optimizers._rows import OPTIMIZERS
from submissions.optimizers._rule import Rule
from workloads import own_files
from workloads.slow import told_when_slow

ANY_NUMBER = Domain("(-inf, inf)", math.isfinite)
ROOMS = {
    "workloads",
    "submissions",
    "tuning",
    "results",
    "lists",
    "reports",
    "shortlist",
}  # what a folder may not import
BESIDE_ALGOPERF = {"jax", "jaxlib", "optax", "numpy", "flax", "chex", "algoperf"}  # AlgoPerf installs these

REGISTERED: dict[str, OwnOptimizer] = {}


@dataclasses.dataclass(frozen=True)
class OwnOptimizer(Optimizer):
    """An optimizer that a user wrote.

    Attributes:
      file: where it stands; None where it was typed into an interpreter.
    """

    file: Path | None = None

    @functools.cached_property
    def rule(self) -> Rule:
        """What those who train are given: what the function returns, where it takes nothing. Imports JAX."""
        names = [h.name for h in self.hyperparameters]
        code = self.make.__code__
        of = owner(self.make.__name__, self.file, code.co_firstlineno, names)
        if not self.is_rule:
            return guarded(from_optax(self, names=names), of)
        rule = of.call("the call", self.make)
        if not isinstance(rule, Rule):
            raise of.refusal("the call", f"returned a {type(rule).__name__}; must return a submissions.Rule")
        return guarded(rule, of)

    def __call__(self, hyperparameters: Mapping[str, Any], horizon: Any) -> Any:
        """See `Optimizer`; refuses what is no transformation."""
        made = self.make(hyperparameters, horizon)
        if not all(callable(getattr(made, name, None)) for name in ("init", "update")):
            raise ValueError(f"returned a {type(made).__name__}; must return an optax.GradientTransformation")
        return made

    @property
    def is_rule(self) -> bool:
        """Whether the function gives a `Rule`, which may see more than gradients, and no Optax transformation."""
        return not inspect.signature(self.make).parameters

    @property
    def requirements(self) -> tuple[str, ...]:
        """What the file imports that AlgoPerf does not install, as lines of a requirements.txt.

        Raises:
          ValueError: an import belongs to no installed package.
        """
        from importlib import metadata

        provides = metadata.packages_distributions()
        needed = _imports(ast.parse(self._source())) - BESIDE_ALGOPERF - ROOMS - sys.stdlib_module_names
        unknown = sorted(needed - set(provides))
        if unknown:
            raise ValueError(
                f"{self.file}: imports {', '.join(unknown)}, which no installed package provides"
            )
        found = sorted({provides[name][0] for name in needed})
        return tuple(f"{name}=={metadata.version(name)}" for name in found)

    @property
    def optax_version(self) -> str:
        """Of the Optax that the function was written with."""
        from importlib.metadata import version

        return version("optax")

    def carried_source(self) -> str:
        """The file as a packaged folder carries it: without the declaration, and without imports of ours.

        Raises:
          ValueError: the file needs more of this project, or modules beside it.
        """
        if self.is_rule:
            raise ValueError(
                f"{self.file}: {self.make.__name__} gives a Rule, which AlgoPerf's interface cannot feed by itself; "
                "'shortlist tune' and 'shortlist run --optimizer' train it, a packaged folder needs a function of "
                "(hyperparameters, total_steps)"
            )
        source = self._source()
        tree = ast.parse(source)
        imports = [
            n
            for n in tree.body
            if isinstance(n, ast.Import | ast.ImportFrom) and _imports(n) == {"submissions"}
        ]
        ours = {alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names}
        declarations = [
            decorator
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
            for decorator in node.decorator_list
            if _names(decorator.func if isinstance(decorator, ast.Call) else decorator) & ours
        ]
        dropped = {
            line
            for node in (*imports, *declarations)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        lines = source.splitlines(keepends=True)
        carried = "".join(line for number, line in enumerate(lines, 1) if number not in dropped)
        self._check_self_contained(ast.parse(carried), ours)
        return carried

    def _check_self_contained(self, tree: ast.Module, ours: set[str]) -> None:
        used = sorted((_imports(tree) & ROOMS) | (_names(tree) & ours))
        if used:
            raise ValueError(
                f"{self.file}: uses {', '.join(used)} beyond the declaration; a packaged folder may import nothing "
                "of Shortlist, so move what the rule needs into the file"
            )
        assert self.file is not None
        beside = {n for n in _imports(tree) if n == "" or (self.file.parent / f"{n}.py").is_file()}
        if beside:
            raise ValueError(
                f"{self.file}: imports {', '.join(sorted(filter(None, beside))) or 'relatively'} from beside it; a "
                "packaged folder carries one file, so move what the rule needs into it"
            )

    def _source(self) -> str:
        if self.file is None:
            raise ValueError(f"optimizer {self.name!r} stands in no file; write it into one to package it")
        return self.file.read_text(encoding="utf-8-sig")


def register(name: str, **hyperparameters: Any) -> Callable[[Callable], Callable]:
    """Declares a function (hyperparameters, horizon) -> optax.GradientTransformation as an optimizer.

    Args:
      name: new; later `submissions.optimizer(name)` finds it in this process, and FILE.py:FUNCTION in any.
      hyperparameters: name -> (low, high, "log" or "linear"), a list of values, or a number that is not searched.

    Returns:
      A decorator that leaves the function as it is.

    Raises:
      ValueError: the name is taken, or a declaration is none of the three.

    Example:
      >>> @register("doctest_sgd", learning_rate=(1e-3, 1.0, "log"), momentum=0.9)
      ... def doctest_sgd(hyperparameters, horizon):
      ...     import optax
      ...     return optax.sgd(hyperparameters["learning_rate"], hyperparameters["momentum"])
      >>> REGISTERED.pop("doctest_sgd").canonical({"learning_rate": 0.1})["momentum"]
      0.9
    """
    if name in OPTIMIZERS:
        raise ValueError(f"optimizer {name!r} exists already; choose another name")
    regularization = {h.name for h in REGULARIZATION}
    space: dict[str, dict[str, Any]] = {}
    rows: dict[str, Hyperparameter] = {}
    for given, declared in hyperparameters.items():
        where = f"optimizer {name!r}: {given}"
        fixed = not isinstance(declared, tuple | list)
        if not fixed:
            space[given] = _dimension(where, declared)
        elif isinstance(declared, bool | int | float) and math.isfinite(declared):
            if given in COMPLEMENTS or given in regularization:
                raise ValueError(f"{where} is a fixed number; declare values to search, or leave it out")
        else:
            raise ValueError(
                f'{where} is {declared!r}; write (low, high, "log"), a list of values or a number'
            )
        canonical = ALIASES.get(given) or COMPLEMENTS.get(given) or given
        if canonical not in regularization:
            rows[canonical] = Hyperparameter(canonical, ANY_NUMBER, float(declared) if fixed else None)

    def mark(function: Callable) -> Callable:
        file = Path(function.__code__.co_filename)
        own = OwnOptimizer(
            name=name,
            make=function,
            hyperparameters=tuple(rows.values()),
            reference=(function.__doc__ or f"{file.name}:{function.__name__}").strip().splitlines()[0],
            whole_warmup_steps=False,
            search_space=space or None,
            file=file if file.is_file() else None,
        )
        if space:
            exported_space(space, own)  # says what is wrong with a range while the file is imported
        REGISTERED[name] = own
        function.optimizer = own  # type: ignore[attr-defined]
        return function

    return mark


def from_file(name: str) -> OwnOptimizer:
    """The optimizer FILE.py:FUNCTION.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no such function in it, or one that was not declared with `submissions.register`.
    """
    file, function = own_files.parts(name)
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such file; an optimizer of your own is given as FILE.py:FUNCTION"
        )
    with told_when_slow(f"importing {file}"):
        module = own_files.module(file)
    found = getattr(module, function, None)
    if found is None:
        raise ValueError(f"{file}: has no function {function!r}")
    if not isinstance(getattr(found, "optimizer", None), OwnOptimizer):
        raise ValueError(
            f'{file}: {function} says nothing of its hyperparameters; write @submissions.register("{function}", '
            'learning_rate=(1e-4, 1e-1, "log")) above it'
        )
    return found.optimizer


def _dimension(where: str, declared: tuple | list) -> dict[str, Any]:
    if isinstance(declared, list):
        return {"feasible_points": declared}
    if len(declared) == 3 and isinstance(declared[2], str):
        return {"min": declared[0], "max": declared[1], "scaling": declared[2]}
    raise ValueError(f'{where} is {declared!r}; an interval is (low, high, "log") or (low, high, "linear")')


def _imports(tree: ast.AST) -> set[str]:
    """Top-level names of all imports; "" for a relative one."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("" if node.level else (node.module or "").split(".")[0])
    return names


def _names(tree: ast.AST) -> set[str]:
    """All variables that occur in it."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
