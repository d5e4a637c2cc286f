"""From a source to a folder that a person opens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reports._fractions_report import fractions_report
from reports.logs import logs_report
from reports.page import write_report
from reports.study import study_report
from results import Fractions, read_source


def report(
    source: Path,
    out: Path,
    *,
    benchmark: str | None = None,
    ruleset: str | None = None,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Writes the report on a source.

    Args:
      source: what `read_source` reads.
      out: folder of the report.
      benchmark: only this version's trials, for AlgoPerf's logs.
      ruleset: only this ruleset's, "external" or "self-tuning".
      overwrite: replace an earlier report.
      progress: called as (what, done, total).

    Returns:
      Path of index.html.

    Raises:
      FileNotFoundError, ValueError: the source cannot be read.
      FileExistsError: `out` holds something that is not to be replaced.
    """
    results = read_source(source, progress, benchmark, ruleset)
    if isinstance(results, Fractions):
        content = fractions_report(results, source=str(source))
    elif results.kind == "study":
        content = study_report(results, progress=progress)
    else:
        content = logs_report(results, progress=progress)
    return write_report(content, out, overwrite=overwrite)
