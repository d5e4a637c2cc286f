"""Which searches for candidates a source holds: one of them chosen, or all of them held against each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import polars as pl

from reports._words import count, number
from reports.study._facts import Studies, read_facts, said_of
from results import LeftOut, Results
from results.studies import ROLES


def candidate_studies(results: Results) -> tuple[str, ...]:
    """Names of the studies of candidates, in order of first appearance."""
    return tuple(name for name, facts in said_of(results).items() if facts["role"] == "candidates")


def reruns_of(studies: Studies, name: str) -> tuple[str, ...]:
    """The studies that trained the left-out lists of one search anew: those of its optimizer, if no other has it."""
    optimizer = studies.about[name].get("optimizer")
    searches = studies.of_role("candidates")
    of_optimizer = [n for n in searches if studies.about[n].get("optimizer") == optimizer]
    if len(of_optimizer) > 1 or optimizer is None:
        return studies.of_role("leave-one-out") if len(searches) == 1 else ()
    return tuple(
        n for n in studies.of_role("leave-one-out") if studies.about[n].get("optimizer") == optimizer
    )


def one_search(results: Results, submission: str) -> Results:
    """The results without the searches for other candidates, and without reruns of their lists.

    Raises:
      ValueError: no such study, or it holds no candidates.
    """
    studies = read_facts(results)
    searches = studies.of_role("candidates")
    if submission not in searches:
        role = studies.about[submission]["role"] if submission in studies.about else None
        what = f"is a study of role {role!r}" if role in ROLES else "is no study here"
        there = f"candidates: {', '.join(searches)}" if searches else "no study here holds candidates"
        raise ValueError(f"{results.source}: --submission {submission} {what}; {there}")
    others = [n for n in searches if n != submission]
    theirs = {rerun for n in others for rerun in reruns_of(studies, n)}
    names = [n for n in results.submissions if n not in theirs and n not in others]
    kept = results.of_submissions(names)
    left = [
        LeftOut(n, f"not looked at: --submission {submission} was chosen") for n in (*others, *sorted(theirs))
    ]
    return dataclasses.replace(kept, left_out=(*kept.left_out, *left))


def check_comparable(studies: Studies, names: Sequence[str]) -> None:
    """Refuses searches that no table can hold against each other.

    Raises:
      ValueError: they were asked for other workloads, or differ there in metric, target, steps or data.
    """
    workloads = {name: _asked(studies, name) for name in names}
    for name in names[1:]:
        if odd := workloads[names[0]] ^ workloads[name]:
            owner = names[0] if min(odd) in workloads[names[0]] else name
            raise _cannot(
                studies, names, f"workloads ({count(len(odd), 'workload')}: only {owner} has {min(odd)})"
            )
    columns = ("metric", "validation_target", "step_hint", "data")
    of_them = studies.results.trials.filter(pl.col("submission").is_in(list(names)))
    facts = of_them.group_by("workload", maintain_order=True).agg(pl.col(c).unique().sort() for c in columns)
    for workload, *values in facts.iter_rows():
        for what, found in zip(("metric", "target", "steps", "data"), values, strict=True):
            if len(found) > 1:
                shown = ", ".join(
                    "none" if v is None else v if isinstance(v, str) else number(v) for v in found
                )
                raise _cannot(studies, names, f"{what} of {workload} ({shown})")


def _asked(studies: Studies, name: str) -> set[str]:
    rows = studies.hits.filter(submission=name)
    return set(studies.about[name].get("workloads") or rows["workload"])


def _cannot(studies: Studies, names: Sequence[str], difference: str) -> ValueError:
    return ValueError(
        f"{studies.results.source}: the candidates of {', '.join(names)} cannot be compared, they differ in the "
        f"{difference}; choose one with --submission NAME"
    )
