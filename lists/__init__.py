"""What was learnt: hyperparameter lists that work on workloads they were not built on.

Arrays in, frozen dataclasses out. Rows are points, columns are workloads.

By targets: an entry is the share of the budget at which the point first reaches the workload's target, inf where
it never does.

| function | question |
|---|---|
| `cost` | how good is a list? (C_tau; lower is better) |
| `greedy` | which list grows best, point by point? |
| `exact` | which K points are best, of all sets there are? |
| `CONSTRUCTIONS`, `construct` | which other constructions are there; a list by any of them |
| `leave_one_out` | does it work on a workload it has not seen? |
| `TIES` | by which rule are ties broken, and lists filled up once no point adds anything? |
| `recommend`, `unlikeness` | which list for a workload on which nothing was trained? |
| `informed`, `expected_costs` | which list, knowing how such hyperparameters do elsewhere? |
| `costs_by_repeat`, `fractions_by_repeat` | how far does a cost hang on the seeds? |
| `penalty_ablation`, `trains_others` | how much hangs on tau; how far do single points carry? |
| `published`, `PUBLISHED` | which lists did others publish? |
| `opt_list`, `medapati` | an entry of a published list as an Optax optimizer |
| `read_list`, `write_list`, `HyperparameterList` | a list as a file, with where it comes from |
| `to_search_space`, `write_search_space` | a list for AlgoPerf's runner |

From results, in one call: `build_list`, `leave_one_workload_out` and `recommend_list` take whatever
`results.read_source` reads, `list_from_curves` what `results.read_curves` reads.

By whole curves, as in TaskSet: an entry is the mean of the point's normalised losses, at most 1.

| function | question |
|---|---|
| `normalised_losses`, `point_costs` | what does a curve cost, on a scale that all tasks share? |
| `normalised_cost` | how good is a list? (mean over tasks of its best point; lower is better) |
| `greedy_normalised`, `exact_normalised`, `normalised_floor` | which list is best, and how good can one be? |
| `repeat_costs` | what would it have cost in each repeat? |
| `split_experiment`, `saved_by_task` | does a list learnt on some tasks beat random search on others? |
| `task_splits`, `leave_out_splits` | which tasks are these and those? |
| `together` | what if a list may choose from the points of several optimizers? |
| `equal_trials`, `held_out_costs` | how many random trials is a list worth on tasks it did not learn from? |
| `transfer`, `by_task_count`, `by_pool_size` | on other kinds of tasks; from few tasks; from few candidates? |
| `expected_best`, `inside_box`, `nearest_points` | what does random search find, in all of the space or a part? |
| `quantile_of_best`, `trained_by_random` | and how differently, over all draws of so many points? |

Example:
  >>> import numpy as np
  >>> values = np.array([[0.5, np.inf], [0.4, np.inf], [np.inf, 0.9]])
  >>> greedy(values, size=2).points
  (1, 2)
"""

from lists._ablation import penalty_ablation, trains_others
from lists._build import build_list
from lists._constructions import CONSTRUCTIONS, METHODS, Construction, construct
from lists._cost import PENALTY, cost
from lists._curve_list import list_from_curves, repeat_costs
from lists._equal_trials import EqualTrials, equal_trials
from lists._exact import MAX_WORKLOADS, exact
from lists._greedy import ChosenList, greedy
from lists._hedged import success_chances
from lists._informed import expected_costs, informed
from lists._leave_one_out import LeaveOneOut, leave_one_out
from lists._list_file import (
    HyperparameterList,
    read_list,
    to_search_space,
    write_list,
    write_search_space,
)
from lists._normalised import ANCHORS, normalised_losses, point_costs
from lists._normalised_lists import (
    exact_normalised,
    greedy_normalised,
    normalised_cost,
    normalised_floor,
)
from lists._notes import curve_repeats_note, late_note, padding_note, repeats_note
from lists._opt_list import medapati, opt_list
from lists._proof import leave_one_workload_out
from lists._proven import held_out_fractions, proven_list
from lists._published import PUBLISHED, published
from lists._random_search import (
    expected_best,
    inside_box,
    nearest_points,
    quantile_of_best,
    trained_by_random,
)
from lists._recommend import likeness_weights, recommend, unlikeness
from lists._recommended import RecommendedList, recommend_list
from lists._repeats import costs_by_repeat, fractions_by_repeat
from lists._task_costs import COSTS, TaskCosts, choose_set, task_costs, together
from lists._task_splits import (
    RESAMPLINGS,
    SplitExperiment,
    TaskSplit,
    bootstrap_interval,
    held_out_costs,
    leave_out_splits,
    saved_by_task,
    split_experiment,
    spread,
    task_splits,
)
from lists._task_transfer import ALL, ALL_OTHERS, by_pool_size, by_task_count, transfer
from lists._ties import TIES

__all__ = [
    "ALL",
    "ALL_OTHERS",
    "ANCHORS",
    "CONSTRUCTIONS",
    "COSTS",
    "MAX_WORKLOADS",
    "METHODS",
    "PENALTY",
    "PUBLISHED",
    "RESAMPLINGS",
    "TIES",
    "ChosenList",
    "Construction",
    "EqualTrials",
    "HyperparameterList",
    "LeaveOneOut",
    "RecommendedList",
    "SplitExperiment",
    "TaskCosts",
    "TaskSplit",
    "bootstrap_interval",
    "build_list",
    "by_pool_size",
    "by_task_count",
    "choose_set",
    "construct",
    "cost",
    "costs_by_repeat",
    "curve_repeats_note",
    "equal_trials",
    "exact",
    "exact_normalised",
    "expected_best",
    "expected_costs",
    "fractions_by_repeat",
    "greedy",
    "greedy_normalised",
    "held_out_costs",
    "held_out_fractions",
    "informed",
    "inside_box",
    "late_note",
    "leave_one_out",
    "leave_one_workload_out",
    "leave_out_splits",
    "likeness_weights",
    "list_from_curves",
    "medapati",
    "nearest_points",
    "normalised_cost",
    "normalised_floor",
    "normalised_losses",
    "opt_list",
    "padding_note",
    "penalty_ablation",
    "point_costs",
    "proven_list",
    "published",
    "quantile_of_best",
    "read_list",
    "recommend",
    "recommend_list",
    "repeat_costs",
    "repeats_note",
    "saved_by_task",
    "split_experiment",
    "spread",
    "success_chances",
    "task_costs",
    "task_splits",
    "to_search_space",
    "together",
    "trained_by_random",
    "trains_others",
    "transfer",
    "unlikeness",
    "write_list",
    "write_search_space",
]
