"""TaskSet's experiments on curves of any source, and the report on them.

| figure of the paper | function | table |
|---|---|---|
| 1 | `figure_task_embedding` | `task_embedding` |
| 2 | `figure_tasks` | `task_difficulty` |
| 3 | `figure_lists` | `lists_by_set` |
| 4 | `figure_task_count` | `lists_by_task_count` |
| 5, 6 | `figure_families`, `figure_model_sizes` | `lists_by_group` |
| 11 | `figure_horizons` | `lists_by_horizon` |
| 12 | `figure_candidates` | `lists_by_candidates` |
| 13 | `figure_cost_pairs` | `cost_pairs`; `cost_correlations` says more of them |
| 14 | `figure_costs` | `lists_by_cost` |
| 15 | `figure_search_spaces` | `search_spaces` |
| beside 3 | `figure_worth` | `worth_of_lists`: trials of random search that a list is worth |

Tables are made from the costs of `lists.task_costs`:

    >>> import lists, reports.taskset, results
    >>> costs, *_ = lists.task_costs(results.read_curves("curves.parquet"))  # doctest: +SKIP
    >>> reports.taskset.figure_lists(reports.taskset.lists_by_set([costs]))  # doctest: +SKIP

The numbers are our reading: each figure shows an experiment that the paper's text describes, in the order of the text;
neither its captions nor its drawings were followed.

Reference: Metz et al. 2020, arXiv:2002.11887.
"""

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
from reports.taskset._published import published_and_ours, published_numbers
from reports.taskset._report import curves_report, horizons_of, rates_of
from reports.taskset._reproduction import metz_report
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
from reports.taskset._transfer import trained_by_trials
from reports.taskset._worth import figure_worth, worth_of_lists

__all__ = [
    "cost_correlations",
    "cost_pairs",
    "curves_report",
    "families",
    "figure_candidates",
    "figure_cost_pairs",
    "figure_costs",
    "figure_families",
    "figure_horizons",
    "figure_lists",
    "figure_model_sizes",
    "figure_search_spaces",
    "figure_task_count",
    "figure_task_embedding",
    "figure_tasks",
    "figure_worth",
    "horizons_of",
    "lists_by_candidates",
    "lists_by_cost",
    "lists_by_group",
    "lists_by_horizon",
    "lists_by_set",
    "lists_by_task_count",
    "metz_report",
    "published_and_ours",
    "published_numbers",
    "rates_of",
    "search_spaces",
    "sizes_of_models",
    "task_difficulty",
    "task_embedding",
    "trained_by_trials",
    "tuned_rate",
    "worth_of_lists",
]
