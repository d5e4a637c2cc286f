"""Hyperparameters that are read but not declared, or declared but not read."""

from __future__ import annotations

import re

from submissions.validation._hyperparameter_reads import ENTRIES, Origin, Read, Reads
from submissions.validation._source import Source
from submissions.validation.findings import Finding

# AlgoPerf 0.5's runner read these itself, and built the model with them.
READ_BY_OLD_RUNNER = ("dropout_rate", "aux_dropout_rate")


def hyperparameter_findings(
    source: Source, declared: list[str] | None, ruleset: str, space: str, old_api: bool = False
) -> list[Finding]:
    """Hyperparameters read but not declared, and declared but not read.

    Args:
      source: the code.
      declared: names in the search space, None if unknown.
      ruleset: "external" or "self-tuning"; in the latter, what AlgoPerf passes is None.
      space: the name of the file that declares them.
      old_api: whether the submission was written for AlgoPerf 0.5.
    """
    found = Reads(source)
    findings = []
    optional = {(r.origin, r.name) for r in found.reads if r.how in ("hasattr", "getattr_default", "get")}
    for read in found.reads:
        finding = _read_finding(read, declared, ruleset, optional)
        if finding:
            findings.append(finding)
    for origin in sorted(found.seen, key=lambda o: (o.file, o.line)):
        names = (
            (declared if ruleset == "external" else None) if origin.kind == "argument" else list(origin.keys)
        )
        if not names or origin in found.escaped:
            continue
        reads = [r for r in found.reads if r.origin == origin]
        for name in names:
            if old_api and name in READ_BY_OLD_RUNNER:
                continue
            if not any(r.name == name or (r.pattern and re.fullmatch(r.name, name)) for r in reads):
                where = (space, 0) if origin.kind == "argument" else (origin.file, origin.line)
                findings.append(
                    Finding("H402", f"{name} is declared in {_where(origin, space)} and never read", *where)
                )
    if (
        Origin("argument") not in found.seen
        and declared
        and ruleset == "external"
        and source.function(ENTRIES[0])
    ):
        unread = ", ".join(declared)
        findings.append(Finding("H402", f"no function reads hyperparameters; declared are {unread}", space))
    return findings


def _where(origin: Origin, space: str) -> str:
    return space if origin.kind == "argument" else origin.name


def _read_finding(read: Read, declared: list[str] | None, ruleset: str, optional: set) -> Finding | None:
    origin = read.origin
    place = (read.file, read.line)
    if origin.kind == "dict" and read.how in ("hasattr", "getattr_default"):
        return Finding("H404", f"{origin.name} is a dict, in which this never finds {read.name!r}", *place)
    if origin.kind == "dict" and read.how in ("attribute", "getattr"):
        return Finding("H405", f"{origin.name} is a dict; .{read.name} fails", *place)
    if read.pattern or read.optional or (origin, read.name) in optional:
        return None
    if origin.kind == "argument" and ruleset == "self-tuning":
        return Finding("H403", f"{origin.name}.{read.name} is read, but {origin.name} is None", *place)
    if origin.kind != "dict" and read.how == "item":
        return Finding("H405", f"{origin.name}[{read.name!r}] fails: it has fields, not keys", *place)
    names = declared if origin.kind == "argument" else list(origin.keys)
    if names is not None and read.name not in names:
        return Finding(
            "H401",
            f"{read.name} is read from {origin.name}, which has {', '.join(names) or 'nothing'}",
            *place,
        )
    return None
