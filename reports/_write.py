"""From a source to a folder that a person opens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lists import PENALTY
from reports._fractions_report import fractions_report
from reports.logs import logs_report
from reports.meta_training import meta_training_report
from reports.page import Report, write_report
from reports.study import study_report
from results import Fractions, pool, read_source
from results.meta_trainings import is_meta_training, read_meta_training

CONFIDENCE = 0.7  # the paper's, figure 1


def report(source: Path, out: Path, *, overwrite: bool = False, **how: Any) -> Path:
    """Writes the report on a source.

    Args:
      source, how: see `report_on`.
      out: folder of the report.
      overwrite: replace an earlier report.

    Returns:
      Path of index.html.

    Raises:
      FileNotFoundError, ValueError: see `report_on`.
      FileExistsError: `out` holds something that is not to be replaced.
    """
    return write_report(report_on(source, **how), out, overwrite=overwrite)


def report_on(
    source: Path,
    *,
    benchmark: str | None = None,
    ruleset: str | None = None,
    size: int | None = None,
    penalty: float = PENALTY,
    confidence: float | None = None,
    submission: str | None = None,
    against: Sequence[Path] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """The report on a source, as data.

    Args:
      source: what `read_source` reads, or the folder of a meta-training.
      benchmark: only this version's trials, for AlgoPerf's logs.
      ruleset: only this ruleset's, "external" or "self-tuning".
      size: points in a list; None: those of a left-out list that was trained anew, else 5, or as many as there are.
      penalty: tau, what a missed target costs, in budgets.
      confidence: of the bands around tuning curves, where the source is studies; None means 0.7.
      submission: whose points lists are built from; None: every submission's of logs, and of several studies of
        candidates all, compared.
      against: studies beside the evaluations of a meta-training.
      progress: called as (what, done, total).

    Raises:
      FileNotFoundError, ValueError: the source cannot be read, an option is out of range or says nothing about it, or
        several studies of candidates cannot be compared and none was chosen.
    """
    if is_meta_training(source):
        options = {"benchmark": benchmark, "ruleset": ruleset, "size": size, "confidence": confidence}
        for name, value in {**options, "submission": submission}.items():
            if value is not None:
                raise ValueError(
                    f"{source}: is a meta-training, of which --{name} says nothing; leave it out"
                )
        return meta_training_report(read_meta_training(source), source=str(source), against=against)
    if against:
        raise ValueError(
            f"{source}: --against {against[0]}: only reports on meta-trainings have studies beside them; leave it out, "
            "or 'shortlist compare' them"
        )
    results = read_source(source, progress, benchmark, ruleset)
    if confidence is not None and (isinstance(results, Fractions) or results.kind != "study"):
        raise ValueError(
            f"{source}: --confidence {confidence:g}: only reports on studies draw bands; leave it out"
        )
    if isinstance(results, Fractions):
        # Which refuses to choose where there is nothing to choose.
        results = pool(results, submission=submission)
        return fractions_report(results, source=str(source), list_size=size, penalty=penalty)
    if results.kind == "study":
        return study_report(
            results, list_size=size, penalty=penalty, confidence=CONFIDENCE if confidence is None else confidence,
            submission=submission, progress=progress,
        )  # fmt: skip
    return logs_report(results, list_size=size, penalty=penalty, submission=submission, progress=progress)
