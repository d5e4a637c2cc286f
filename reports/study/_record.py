"""What was run: data, studies, versions, device, commands, and what is missing."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping

import polars as pl

from reports import _tables as tables
from reports._list_sections import left_out_table
from reports._words import count
from reports.page import Block, Code, Column, Note, Prose, Section, Table
from reports.study._facts import Studies, trainings_in_words

KINDS = ("real", "embedded", "synthetic")
REPLACES = ", in place of "  # how a provenance sentence names the data set that it stands in for


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a report was asked for.

    Attributes:
      size: points in a list.
      penalty: tau.
      confidence: of bands.
      submission: the study of candidates that was chosen, None if there was nothing to choose.
    """

    size: int
    penalty: float
    confidence: float
    submission: str | None = None

    def __str__(self) -> str:
        said = (
            f"lists of {count(self.size, 'point')} (--size), penalty {self.penalty:g} (--penalty), confidence of bands "
            f"{self.confidence:g} (--confidence)"
        )
        return said if self.submission is None else f"{said}, candidates of {self.submission} (--submission)"


def record_section(facts: Studies, settings: Settings | str) -> Section:
    """The record of what was run, for people who want to run it again; settings of the report in words, if given so."""
    blocks: list[Block] = [
        _data_table(facts),
        _studies_table(facts),
        Prose(f"This report: {settings}."),
        Prose(f"Device: {devices(facts)}. Versions: {_versions(facts)}."),
    ]
    if suggested := _suggestions(facts):
        blocks.append(Prose(suggested))
    commands = [str(about["commands"]) for about in facts.about.values() if about.get("commands")]
    if commands:
        blocks.append(Code("\n".join(dict.fromkeys(commands))))
    blocks.append(
        Prose(
            "A study's specification and seed determine its numbers: the same study run again on the same "
            "machine and versions gives the same trials bit for bit, elsewhere up to the order of "
            "floating-point additions."
        )
    )
    blocks += [Note(text) for text in facts.results.warnings]
    if facts.results.left_out:
        blocks.append(left_out_table(facts.results))
    return Section("What was run", tuple(blocks))


def provenance(facts: Studies) -> dict[str, str]:
    """Workload -> where its data come from, in a sentence; empty if nobody said."""
    stated: dict[str, str] = dict(facts.results.about.get("data") or {})
    found = facts.results.trials.select("workload", "data").drop_nulls().unique(maintain_order=True)
    for workload, text in found.iter_rows():
        stated.setdefault(workload, text)
    return {workload: str(stated.get(workload) or "") for workload in facts.workloads}


def data_in_words(facts: Studies) -> str:
    """How real the data are, in a sentence."""
    return f"Data of the workloads: {kinds_in_words(provenance(facts).values())}."


def kinds_in_words(sentences: Iterable[str]) -> str:
    """How many of such sentences are of which kind of data, and how many stand in for others."""
    sentences = list(sentences)
    kinds = Counter(_kind(text) for text in sentences)
    parts = ", ".join(f"{kinds[kind]} {kind}" for kind in (*KINDS, "not stated") if kinds[kind])
    stand_ins = sum(REPLACES in text for text in sentences)
    if stand_ins:
        larger = "stands in for a larger data set" if stand_ins == 1 else "stand in for larger data sets"
        parts += f"; {stand_ins} of them {larger}"
    return parts


def devices(facts: Studies) -> str:
    """What trained."""
    found = dict.fromkeys(str(about["device"]) for about in facts.about.values() if about.get("device"))
    return "; ".join(found) or "a device that was not recorded"


def _versions(facts: Studies) -> str:
    stated: list[Mapping[str, str]] = [about.get("versions") or {} for about in facts.about.values()]
    found = dict.fromkeys(f"{package} {version}" for one in stated for package, version in one.items())
    return ", ".join(found) or "not recorded"


def _suggestions(facts: Studies) -> str:
    """What the suggestions of sequential strategies cost; "" where no process of its own made any."""
    said = []
    for about in facts.about.values():
        if each := list(about.get("suggestion_cpu_seconds") or ()):
            mean = sum(each) / len(each)
            said.append(f"{about['title']} {count(len(each), 'suggestion')}, {mean:.2g} CPU seconds each")
    return f"Suggestions, beside training: {'; '.join(said)}." if said else ""


def _data_table(facts: Studies) -> Table:
    counts = Counter(facts.results.trials["workload"])
    schema = {
        **dict.fromkeys(("workload", "kind", "source", "stands_in_for", "metric"), pl.String),
        "target": pl.Float64,
        "trials": pl.Int64,
    }
    rows = []
    for workload, text in provenance(facts).items():
        metric, _, target = facts.metrics[workload]
        source, _, replaced = text.partition(":")[2].strip().partition(REPLACES)
        rows.append(
            (workload, _kind(text), source, replaced, metric.replace("_", " "), target, counts[workload])
        )
    return Table(
        "data",
        pl.DataFrame(rows, schema=schema, orient="row"),
        "Workloads and their data. Real: the data set itself. Embedded: small real data that ship with a "
        "library. Synthetic: made by a generator.",
        {
            "kind": Column(title="data", show="badge"),
            "source": Column(title="what it is"),
            "stands_in_for": Column(title="stands in for"),
            "target": Column(show="number"),
        },
    )


def _studies_table(facts: Studies) -> Table:
    settings = ("strategy", "optimizer", "repeats", "seed")
    asked = {name: {s: about.get(s) for s in settings} for name, about in facts.about.items()}
    # What all studies share is said once, so that the table fits a page.
    shared = [s for s in settings if len({one[s] for one in asked.values()}) == 1 and len(asked) > 1]
    described = pl.DataFrame(
        {
            "submission": list(asked),
            "title": [str(about["title"]) for about in facts.about.values()],
            "role": [str(about["role"]) for about in facts.about.values()],
            **{s: [_text(one[s]) for one in asked.values()] for s in settings if s not in shared},
            "seconds": [float(about.get("seconds") or 0.0) or None for about in facts.about.values()],
        },
        schema_overrides={"seconds": pl.Float64},
    )
    spent = [about.get("trainings") for about in facts.about.values()]
    if any(spent):  # where a strategy stopped trials, their number says little
        described = described.with_columns(
            steps=pl.Series([trainings_in_words(one) if one else "all of every trial" for one in spent])
        )
    status = tables.status_table(facts.results.trials)
    counts = [name for name in status.columns if name != "submission"]
    rest = [name for name in described.columns if name not in ("submission", "seconds")]
    table = described.join(status, on="submission", maintain_order="left")
    said = ", ".join(f"{s} {_text(next(iter(asked.values()))[s])}" for s in shared)
    return Table(
        "studies",
        table.select(*rest, *counts, "seconds", "submission"),
        "Studies, and how their trials ended." + (f" All: {said}." if said else ""),
        {
            "title": Column(title="study"),
            "submission": Column(title="name", show="code"),
            "seconds": Column(title="training", show="duration"),
        },
    )


def _text(value: object) -> str:
    return "not stated" if value is None or value == "" else str(value)


def _kind(sentence: str) -> str:
    kind = sentence.split(":", 1)[0]
    return kind if kind in KINDS else "not stated"
