"""What a person reads: results from any source, their scores, the lists built from them, and the report.

    >>> import reports, results
    >>> found = results.read_source("studies/first")  # doctest: +SKIP
    >>> reports.scores(found)[None].scores  # doctest: +SKIP
    >>> reports.report("studies/first", "report")  # doctest: +SKIP

| part | holds |
|---|---|
| `reports` | the reports, as data (`study_report`, ...) and as a folder (`report`, `write_report`); AlgoPerf's scores |
| `reports` | what figures are drawn from: `contenders`, `cost_by_length`, `performance_profiles` |
| `reports.figures` | the figures of reports: each is one function of a DataFrame, usable in a notebook |
| `reports.medapati` | the numbers that Medapati et al. print, and ours beside them (`medapati_report`) |
| `reports` | contenders of any sources held against each other (`compare`) |
| `reports.statistics` | intervals and tests of costs and their differences; power; corrections for many |
| `reports.bands` | tuning curves of random search, with their confidence bands |
| `reports.taskset` | TaskSet's experiments on curves, and their figures |
| `reports.page` | what a report is made of: sections, tables, pictures |

Importing this needs no JAX, and loads what draws and what computes bands only when it is called.
"""

from reports._figure_tables import contenders, cost_by_length
from reports._fractions_report import fractions_report
from reports._write import report, report_on
from reports.comparison import SourceComparison, compare
from reports.logs import Score, logs_report, performance_profiles, score, scores
from reports.medapati import medapati_report
from reports.meta_training import meta_training_report
from reports.page import Report, write_report
from reports.study import study_report
from reports.taskset import curves_report

__all__ = [
    "Report",
    "Score",
    "SourceComparison",
    "compare",
    "contenders",
    "cost_by_length",
    "curves_report",
    "fractions_report",
    "logs_report",
    "medapati_report",
    "meta_training_report",
    "performance_profiles",
    "report",
    "report_on",
    "score",
    "scores",
    "study_report",
    "write_report",
]
