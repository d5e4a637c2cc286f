"""From a source to a folder that a person opens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lists import PENALTY
from reports._fractions_report import fractions_report
from reports.logs import logs_report
from reports.page import write_report
from reports.study import study_report
from results import Fractions, pool, read_source

CONFIDENCE = 0.7  # the paper's, figure 1


def report(
    source: Path,
    out: Path,
    *,
    benchmark: str | None = None,
    ruleset: str | None = None,
    size: int | None = None,
    penalty: float = PENALTY,
    confidence: float | None = None,
    submission: str | None = None,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Writes the report on a source.

    Args:
      source: what `read_source` reads.
      out: folder of the report.
      benchmark: only this version's trials, for AlgoPerf's logs.
      ruleset: only this ruleset's, "external" or "self-tuning".
      size: points in a list; None: those of a left-out list that was trained anew, else 5, or as many as there are.
      penalty: tau, what a missed target costs, in budgets.
      confidence: of the bands around tuning curves, where the source is studies; None means 0.7.
      submission: whose points lists are built from; None: every submission's of logs, and of several studies of
        candidates all, compared.
      overwrite: replace an earlier report.
      progress: called as (what, done, total).

    Returns:
      Path of index.html.

    Raises:
      FileNotFoundError, ValueError: the source cannot be read, an option is out of range or says nothing about it, or
        several studies of candidates cannot be compared and none was chosen.
      FileExistsError: `out` holds something that is not to be replaced.
    """
    results = read_source(source, progress, benchmark, ruleset)
    if confidence is not None and (isinstance(results, Fractions) or results.kind != "study"):
        raise ValueError(
            f"{source}: --confidence {confidence:g}: only reports on studies draw bands; leave it out"
        )
    if isinstance(results, Fractions):
        results = pool(
            results, submission=submission
        )  # which refuses to choose where there is nothing to choose
        content = fractions_report(results, source=str(source), list_size=size, penalty=penalty)
    elif results.kind == "study":
        content = study_report(
            results, list_size=size, penalty=penalty, confidence=CONFIDENCE if confidence is None else confidence,
            submission=submission, progress=progress,
        )  # fmt: skip
    else:
        content = logs_report(
            results, list_size=size, penalty=penalty, submission=submission, progress=progress
        )
    return write_report(content, out, overwrite=overwrite)
