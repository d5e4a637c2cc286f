"""Whether a workload keeps what everybody who trains it relies on: a kit of checks for workloads of one's own.

>>> from tuning import conformance
>>> checks = conformance.inspect(workload, points, "nadamw_optax")  # doctest: +SKIP
>>> [check.name for check in checks if check.outcome == "failed"]  # doctest: +SKIP
[]
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import submissions
from submissions.points import Point
from tuning.conformance import _program, _training
from tuning.conformance._check import Check, Failure, Skip
from workloads import Workload

__all__ = ["CHECKS", "Check", "inspect"]

_OF_PROGRAM = {
    check.__name__: check
    for check in (
        _program.shapes, _program.predictions, _program.determinism, _program.seeking, _program.gradients,
        _program.rates, _program.masks, _program.independence, _program.measure,
    )
}  # fmt: skip
_OF_TRAINING = {check.__name__: check for check in (_training.one_program, _training.learnable)}
CHECKS = (*_OF_PROGRAM, *_OF_TRAINING)


def inspect(
    workload: Workload,
    points: Sequence[Point],
    optimizer: str,
    *,
    checks: Sequence[str] = CHECKS,
    steps: int | None = None,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Check]:
    """Runs checks; one that fails does not keep the others from running.

    Args:
      workload: to be checked.
      points: that should learn something on it, such as those of a published list.
      optimizer: that they belong to.
      checks: names of `CHECKS`.
      steps: of the training that should learn; None: the step hint.
      seed: of everything random.
      progress: called as (name of the check, done, total).

    Raises:
      ValueError: unknown check, the workload cannot be initialised at all, or the points are not the optimizer's.
    """
    if unknown := set(checks) - set(CHECKS):
        raise ValueError(f"no check {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    rule = submissions.optimizer(optimizer)
    for point in points:
        rule.prepare(point.hyperparameters, workload.step_hint, where=f"point {point.id}")
    parts = _program.Parts(workload, seed)
    trial = _training.Trial(workload, tuple(points), rule, steps or workload.step_hint, seed)
    done = []
    for number, name in enumerate(checks):
        if progress:
            progress(name, number, len(checks))
        if name in _OF_PROGRAM:
            check, of = _OF_PROGRAM[name], parts
        else:
            check, of = _OF_TRAINING[name], trial
        done.append(_told(name, (check.__doc__ or "").strip(), functools.partial(check, of)))
    if progress:
        progress("checks", len(checks), len(checks))
    return done


def _told(name: str, means: str, run: Callable[[], str]) -> Check:
    try:
        return Check(name, means, "passed", run())
    except Skip as why:
        return Check(name, means, "skipped", str(why))
    except Failure as found:
        return Check(name, means, "failed", str(found))
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, NotImplementedError) as error:
        # What a workload's own functions raise, and what JAX says of them, is the finding.
        return Check(name, means, "failed", " ".join(f"{type(error).__name__}: {error}".split())[:500])
