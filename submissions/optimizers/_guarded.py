"""A user's own optimizer, called by us: what fails in it is told with its line, and what it returns is checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from submissions.optimizers._rule import Rule
from workloads.owners import Owner, kind


def owner(name: str, file: Path | None, line: int, hyperparameters: Sequence[str]) -> Owner:
    """Of the functions of an optimizer.

    Args:
      name, file, line: see `Owner`.
      hyperparameters: names that it may read.
    """

    def hint(error: BaseException) -> str:
        if isinstance(error, KeyError):
            return f"; its hyperparameters are {', '.join(hyperparameters) or 'none'}"
        return ""

    return Owner(name, file, line, hint)


def guarded(rule: Rule, owner: Owner) -> Rule:
    """The rule, its functions called by way of their owner."""

    def init(*arguments):
        return owner.call("init", rule.init, *arguments)

    def update(weights, hyperparameters, grads, state, params, seen):
        answer = owner.call("update", rule.update, weights, hyperparameters, grads, state, params, seen)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise owner.refusal("update", f"returned {kind(answer)}; must return (updates, state)")
        owner.check_alike("update", "updates tree", answer[0], "params", params, types=False)
        owner.check_alike("update", "new state", answer[1], "the state that it was given", state)
        return answer

    def observe(state, metrics):
        assert rule.observe is not None
        after = owner.call("observe", rule.observe, state, metrics)
        owner.check_alike("observe", "new state", after, "the state that it was given", state)
        return after

    def evaluated(state, params):
        assert rule.evaluated is not None
        shown = owner.call("evaluated", rule.evaluated, state, params)
        owner.check_alike("evaluated", "params", shown, "params", params)
        return shown

    return dataclasses.replace(
        rule,
        init=init,
        update=update,
        observe=rule.observe and observe,
        evaluated=rule.evaluated and evaluated,
    )
