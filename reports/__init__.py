"""What a person reads: results from any source, their scores, the lists built from them, and the report.

    >>> import reports
    >>> results = reports.read_source("studies/first")  # doctest: +SKIP
    >>> reports.fractions(reports.hits(results))  # doctest: +SKIP

Figures are functions of a DataFrame, usable in a notebook. Importing this needs no JAX, and loads what draws and
what computes bands only when it is called.
"""

from reports._algoperf_logs import read_algoperf_logs
from reports._algoperf_parquet import read_algoperf_parquet
from reports._build import BuiltList, LeftOneOut, build_list, leave_one_out
from reports._figures import (
    figure_cost_by_length,
    figure_performance_profile,
    figure_step_fractions,
    figure_tuning_curve,
)
from reports._fraction_table import read_fraction_table
from reports._fractions_report import fractions_report
from reports._hits import fractions, hits
from reports._logs_report import logs_report
from reports._pool import choose_benchmark, pool
from reports._report import Report, write_report
from reports._results import LeftOut, Results
from reports._scoring import Score, score, scores
from reports._sources import read_source
from reports._studies import read_studies
from reports._study_report import study_report
from reports._write import report

__all__ = [
    "BuiltList",
    "LeftOneOut",
    "LeftOut",
    "Report",
    "Results",
    "Score",
    "build_list",
    "choose_benchmark",
    "figure_cost_by_length",
    "figure_performance_profile",
    "figure_step_fractions",
    "figure_tuning_curve",
    "fractions",
    "fractions_report",
    "hits",
    "leave_one_out",
    "logs_report",
    "pool",
    "read_algoperf_logs",
    "read_algoperf_parquet",
    "read_fraction_table",
    "read_source",
    "read_studies",
    "report",
    "score",
    "scores",
    "study_report",
    "write_report",
]
