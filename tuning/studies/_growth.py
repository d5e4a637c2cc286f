"""What a study may become: more points, workloads and repeats of what it is, and never anything else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import submissions
from results import studies
from results.studies import StudySpec
from tuning import strategies

# Names that numbers do not depend on: a study keeps those that it began with, wherever its folder goes.
LABELS = ("name", "title")
LABELS_OF_STRATEGY = ("list",)
# What becomes more, and what follows from it.
GROWS = ("workloads", "points", "repeats", "strategy", "data", "cohort_sizes", "programs", "blocks", "grown")


def grown(folder: Path, begun: StudySpec, asked: StudySpec) -> StudySpec:
    """The specification of a study that has what it had, and what is asked for beyond it; the same if that is nothing.

    Args:
      folder: of the study, for messages.
      begun: what the study has.
      asked: what a person asks for, with programs, data and cohorts of all workloads.

    Raises:
      ValueError: something else is asked for, or less. Says which keys differ, and both of their values.
    """
    asked = _in_the_studys_words(begun, asked)
    differing = _other_strategy(begun, asked)
    others = studies.differences(begun, asked)
    differing |= {key: others[key] for key in others if key not in (*GROWS, "title" if differing else "")}
    if differing:
        raise ValueError(studies.refusal(folder, differing))
    _check_nothing_lost(folder, begun, asked)
    more = _more(folder, begun, asked)
    return dataclasses.replace(begun, **{name: getattr(more, name) for name in GROWS})


def _in_the_studys_words(begun: StudySpec, asked: StudySpec) -> StudySpec:
    """What is asked for, with names and orders that mean nothing as the study has them."""
    order = [name for name in begun.workloads if name in asked.workloads]
    order += [name for name in asked.workloads if name not in begun.workloads]
    strategy = {
        key: begun.strategy.get(key, value) if key in LABELS_OF_STRATEGY else value
        for key, value in asked.strategy.items()
    }
    same = submissions.same_but_for_place(begun.optimizer, asked.optimizer)
    size = begun.cohort_size if asked.cohort_size is None else asked.cohort_size
    return dataclasses.replace(
        asked,
        **{label: getattr(begun, label) for label in LABELS if label != "title" or _same_label(begun, asked)},
        workloads=tuple(order),
        sealed=begun.sealed,
        points=None if asked.points is None else {name: asked.points[name] for name in order},
        strategy=strategy,
        # Its file is compared by content.
        optimizer=begun.optimizer if same else asked.optimizer,
        cohort_size=size,
    )


def _same_label(begun: StudySpec, asked: StudySpec) -> bool:
    """Whether the titles are those of the same strategy, of which a list's tells its name."""
    return begun.title == asked.title or begun.strategy.get("name") == asked.strategy.get("name") == "list"


def _check_nothing_lost(folder: Path, begun: StudySpec, asked: StudySpec) -> None:
    differing: dict[str, tuple[object, object]] = {}
    if set(begun.workloads) - set(asked.workloads):
        differing["workloads"] = list(begun.workloads), list(asked.workloads)
    if asked.repeats < begun.repeats:
        differing["repeats"] = begun.repeats, asked.repeats
    old, new = begun.strategy.get("budget"), asked.strategy.get("budget")
    if isinstance(old, int) and isinstance(new, int) and new < old:
        differing["budget"] = old, new
    if differing:
        raise ValueError(studies.refusal(folder, differing, "a study grows and never shrinks"))


def _other_strategy(begun: StudySpec, asked: StudySpec) -> dict[str, tuple[object, object]]:
    """Arguments of the strategies that differ, beside the budget."""
    keys = sorted(set(begun.strategy) | set(asked.strategy))
    return {
        f"strategy.{key}": (_short(begun.strategy.get(key)), _short(asked.strategy.get(key)))
        for key in keys
        if key != "budget" and _plain(begun.strategy.get(key)) != _plain(asked.strategy.get(key))
    }


def _short(value: Any, most: int = 300) -> Any:
    """A value as a message shows it: an older study that a strategy was told of may have thousands of numbers."""
    text = json.dumps(value, sort_keys=True)
    if len(text) <= most:
        return value
    return f"{text[:60]}… (SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:12]})"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))  # as study.json has it: no tuples


def _more(folder: Path, begun: StudySpec, asked: StudySpec) -> StudySpec:
    """What is asked for, with the cohorts that the study has and those that come after them."""
    if (begun.points is None) != (asked.points is None):
        raise ValueError(studies.refusal(folder, {"points": (begun.points, asked.points)}))
    if asked.points is None and asked.repeats > begun.repeats:
        raise ValueError(
            studies.refusal(
                folder,
                {"repeats": (begun.repeats, asked.repeats)},
                "its strategy was told the medians of so many repeats, and would have asked for other points",
            )
        )
    if (
        asked.points is None
        and (why := _fixed(asked))
        and begun.strategy.get("budget") != asked.strategy["budget"]
    ):
        budgets = begun.strategy.get("budget"), asked.strategy["budget"]
        raise ValueError(studies.refusal(folder, {"budget": budgets}, why))
    for workload in begun.workloads:
        data = [None if spec.data is None else spec.data.get(workload) for spec in (begun, asked)]
        if begun.data is not None and data[0] != data[1]:
            raise ValueError(
                studies.refusal(
                    folder, {f"data of {workload}": (data[0], data[1])}, "give the same --data-dir"
                )
            )
    blocks, history = dict(begun.blocks or {}), dict(begun.grown or {})
    for workload in begun.workloads:
        had = (begun.points or {}).get(workload, ())
        now = (asked.points or {}).get(workload, ())
        _check_prefix(folder, begun, asked, workload)
        if (len(now), asked.repeats) != (len(had), begun.repeats) and asked.points is not None:
            if workload not in blocks:  # from before studies grew: what its points were divided into
                blocks[workload] = studies.balanced(len(had), begun.cohort_size_of(workload))
            history[workload] = (*history.get(workload, ()), (len(had), begun.repeats))
    fresh = [name for name in asked.workloads if name not in begun.workloads]
    if asked.points is not None:
        blocks |= {name: (asked.blocks or {})[name] for name in fresh if asked.blocks}
    return dataclasses.replace(
        asked,
        blocks=blocks or begun.blocks,
        grown=history or begun.grown,
        data=_joined(begun.data, asked.data, fresh) if begun.data is not None else asked.data,
        cohort_sizes=_joined(begun.cohort_sizes, asked.cohort_sizes, fresh),
        programs=_joined(begun.programs, asked.programs, fresh) if begun.programs else asked.programs,
    )


def _check_prefix(folder: Path, begun: StudySpec, asked: StudySpec, workload: str) -> None:
    """Accepts points that begin with those that the study has."""
    if begun.points is None or asked.points is None:
        return
    had, now = begun.points[workload], asked.points[workload]
    if now[: len(had)] == had:
        return
    if had[: len(now)] == now:
        raise ValueError(
            studies.refusal(
                folder, {f"points of {workload}": (len(had), len(now))}, "a study grows and never shrinks"
            )
        )
    why = _fixed(asked)
    if why and len(had) != len(now):
        raise ValueError(studies.refusal(folder, {"budget": (len(had), len(now))}, why))
    at = next((i for i, (a, b) in enumerate(zip(had, now, strict=False)) if a != b), len(now))
    one = had[at].to_json(), now[at].to_json()
    raise ValueError(studies.refusal(folder, {f"point {at} of {workload}": one}))


def _fixed(asked: StudySpec) -> str:
    """Why its strategy cannot be given a larger budget; "" where it can, or nobody knows."""
    name = asked.strategy.get("name")
    if name not in strategies.STRATEGIES or name == "list":  # the points of a list stand beside it
        return ""
    return strategies.row(name).fixed(strategies.from_spec(asked.strategy))


def _joined(there: Any, asked: Any, fresh: list[str]) -> Any:
    """What the study has, and what is asked for of new workloads."""
    if there is None:
        return (
            None
            if asked is None or not fresh
            else {name: asked[name] for name in fresh if name in asked} or None
        )
    return {**there, **{name: asked[name] for name in fresh if asked and name in asked}}
