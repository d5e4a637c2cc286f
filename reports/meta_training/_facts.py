"""What a meta-training is, and what made it: the last section of its report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from reports.page import Block, Code, Column, Prose, Section, Table
from reports.study._record import kinds_in_words
from results.meta_trainings import MetaTrainingRecord


def kinds(record: MetaTrainingRecord) -> str:
    """How real the data are, in a sentence."""
    data = {**record.description["data"], **_evaluated(record)}
    return f"Data of the workloads: {kinds_in_words(data.values())}."


def facts_section(record: MetaTrainingRecord, source: str) -> Section:
    """Plan, data, device, versions and commands."""
    description = record.description
    made_by = description["made_by"]
    plan = pl.DataFrame(
        list(_flat(description["plan"])), schema=dict.fromkeys(("what", "value"), pl.String), orient="row"
    )
    data = {**description["data"], **_evaluated(record)}
    evaluated = _evaluated(record)
    rows = [(name, text, name in description["data"], name in evaluated) for name, text in data.items()]
    of_data = {"workload": pl.String, "data": pl.String, "trained on": pl.Boolean, "evaluated": pl.Boolean}
    blocks: list[Block] = [
        Table("plan", plan, "The plan: everything that determines the numbers.", {"value": Column(show="code")}),
        Table("data", pl.DataFrame(rows, schema=of_data, orient="row"), "Where the data of workloads come from."),
        Prose(_made_by("Trained on", made_by)),
    ]  # fmt: skip
    blocks += [
        Prose(said) for said in dict.fromkeys(_made_by("Evaluated on", one) for one in record.evaluators)
    ]
    commands = [one.get("command") for one in (made_by, *record.evaluators)]
    if said := list(dict.fromkeys(str(command) for command in commands if command)):
        blocks.append(Code("\n".join(said)))
    return Section("What was run", tuple(blocks))


def _made_by(what: str, made_by: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in (made_by.get("versions") or {}).items())
    device = made_by.get("device") or "a device that was not recorded"
    return f"{what} {device}. Versions: {versions or 'not recorded'}."


def _evaluated(record: MetaTrainingRecord) -> dict[str, str]:
    return dict(record.evaluations.select("workload", "data").unique(maintain_order=True).iter_rows())


def _flat(plan: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """The plan as rows, keys of what is nested behind those around them."""
    for name, value in plan.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value if isinstance(value, str) else json.dumps(value)
