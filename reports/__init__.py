"""What a person reads: results from any source, their scores, the lists built from them, and the report.

    >>> import reports
    >>> results = reports.read_source("studies/first")  # doctest: +SKIP
    >>> reports.fractions(reports.hits(results))  # doctest: +SKIP

    >>> curves = reports.read_curves("curves.parquet")  # doctest: +SKIP
    >>> costs, *_ = reports.task_costs(curves)  # doctest: +SKIP
    >>> reports.figure_lists(reports.lists_by_set([costs]))  # doctest: +SKIP

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
from reports._taskset_convert import Converted, convert_curves
from reports._taskset_costs import COSTS, Curves, TaskCosts, read_curves, task_costs
from reports._taskset_curves import (
    CurveArchive,
    archive_paths,
    read_archive,
    read_replica_means,
    read_task_names,
    write_archive,
)
from reports._taskset_experiments import (
    lists_by_candidates,
    lists_by_cost,
    lists_by_group,
    lists_by_horizon,
    lists_by_set,
    lists_by_task_count,
    search_spaces,
    tuned_rate,
)
from reports._taskset_figures import (
    figure_candidates,
    figure_costs,
    figure_horizons,
    figure_lists,
    figure_search_spaces,
    figure_task_count,
)
from reports._taskset_list import CurveList, list_from_curves
from reports._taskset_report import curves_report
from reports._taskset_studies import curves_of_studies, read_parameters
from reports._taskset_table import archives_to_table, read_table, table_to_archives, write_table
from reports._taskset_task_figures import (
    figure_cost_pairs,
    figure_families,
    figure_model_sizes,
    figure_task_embedding,
    figure_tasks,
)
from reports._taskset_tasks import (
    cost_correlations,
    cost_pairs,
    families,
    sizes_of_models,
    task_difficulty,
    task_embedding,
)
from reports._write import report

__all__ = [
    "COSTS",
    "BuiltList",
    "Converted",
    "CurveArchive",
    "CurveList",
    "Curves",
    "LeftOneOut",
    "LeftOut",
    "Report",
    "Results",
    "Score",
    "TaskCosts",
    "archive_paths",
    "archives_to_table",
    "build_list",
    "choose_benchmark",
    "convert_curves",
    "cost_correlations",
    "cost_pairs",
    "curves_of_studies",
    "curves_report",
    "families",
    "figure_candidates",
    "figure_cost_by_length",
    "figure_cost_pairs",
    "figure_costs",
    "figure_families",
    "figure_horizons",
    "figure_lists",
    "figure_model_sizes",
    "figure_performance_profile",
    "figure_search_spaces",
    "figure_step_fractions",
    "figure_task_count",
    "figure_task_embedding",
    "figure_tasks",
    "figure_tuning_curve",
    "fractions",
    "fractions_report",
    "hits",
    "leave_one_out",
    "list_from_curves",
    "lists_by_candidates",
    "lists_by_cost",
    "lists_by_group",
    "lists_by_horizon",
    "lists_by_set",
    "lists_by_task_count",
    "logs_report",
    "pool",
    "read_algoperf_logs",
    "read_algoperf_parquet",
    "read_archive",
    "read_curves",
    "read_fraction_table",
    "read_parameters",
    "read_replica_means",
    "read_source",
    "read_studies",
    "read_table",
    "read_task_names",
    "report",
    "score",
    "scores",
    "search_spaces",
    "sizes_of_models",
    "study_report",
    "table_to_archives",
    "task_costs",
    "task_difficulty",
    "task_embedding",
    "tuned_rate",
    "write_archive",
    "write_report",
    "write_table",
]
