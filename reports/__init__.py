"""What a person reads: results from any source, their scores, the lists built from them, and the report.

    >>> import reports
    >>> results = results.read_source("studies/first")  # doctest: +SKIP
    >>> results.fractions(results.hits(results))  # doctest: +SKIP

    >>> curves = results.read_curves("curves.parquet")  # doctest: +SKIP
    >>> costs, *_ = lists.task_costs(curves)  # doctest: +SKIP
    >>> reports.figure_lists(reports.lists_by_set([costs]))  # doctest: +SKIP

Figures are functions of a DataFrame, usable in a notebook. Importing this needs no JAX, and loads what draws and
what computes bands only when it is called.
"""

from reports._fractions_report import fractions_report
from reports._write import report
from reports.figures._figures import (
    figure_cost_by_length,
    figure_performance_profile,
    figure_step_fractions,
    figure_tuning_curve,
)
from reports.logs._report import logs_report
from reports.logs._scoring import Score, score, scores
from reports.page._report import Report, write_report
from reports.study._report import study_report
from reports.taskset._experiments import (
    lists_by_candidates,
    lists_by_cost,
    lists_by_group,
    lists_by_horizon,
    lists_by_set,
    lists_by_task_count,
    search_spaces,
    tuned_rate,
)
from reports.taskset._figures import (
    figure_candidates,
    figure_costs,
    figure_horizons,
    figure_lists,
    figure_search_spaces,
    figure_task_count,
)
from reports.taskset._report import curves_report
from reports.taskset._task_figures import (
    figure_cost_pairs,
    figure_families,
    figure_model_sizes,
    figure_task_embedding,
    figure_tasks,
)
from reports.taskset._tasks import (
    cost_correlations,
    cost_pairs,
    families,
    sizes_of_models,
    task_difficulty,
    task_embedding,
)

__all__ = [
    "Report",
    "Score",
    "cost_correlations",
    "cost_pairs",
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
    "fractions_report",
    "lists_by_candidates",
    "lists_by_cost",
    "lists_by_group",
    "lists_by_horizon",
    "lists_by_set",
    "lists_by_task_count",
    "logs_report",
    "report",
    "score",
    "scores",
    "search_spaces",
    "sizes_of_models",
    "study_report",
    "task_difficulty",
    "task_embedding",
    "tuned_rate",
    "write_report",
]
