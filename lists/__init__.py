"""What was learnt: hyperparameter lists that work on workloads they were not built on.

Arrays in, frozen dataclasses out; NumPy only. Rows are points, columns are workloads, and an entry is the
share of the budget at which the point first reaches the workload's target, inf where it never does.

| function | question |
|---|---|
| `step_fractions`, `Fractions` | how early does each point reach each target? |
| `cost` | how good is a list? (C_tau; lower is better) |
| `greedy` | which list grows best, point by point? |
| `exact` | which K points are best, of all sets there are? |
| `leave_one_out` | does it work on a workload it has not seen? |
| `penalty_ablation`, `trains_others` | how much hangs on tau; how far do single points carry? |
| `published`, `PUBLISHED` | which lists did others publish? |
| `read_list`, `write_list`, `HyperparameterList` | a list as a file, with where it comes from |
| `to_search_space`, `write_search_space` | a list for AlgoPerf's runner |

Example:
  >>> import numpy as np
  >>> values = np.array([[0.5, np.inf], [0.4, np.inf], [np.inf, 0.9]])
  >>> greedy(values, size=2).points
  (1, 2)
"""

from lists._ablation import PAPER_PENALTIES, AtPenalty, penalty_ablation, trains_others
from lists._cost import PENALTY, cost
from lists._exact import MAX_WORKLOADS, exact
from lists._fractions import Fractions, step_fractions
from lists._greedy import ChosenList, greedy
from lists._leave_one_out import METHODS, LeaveOneOut, leave_one_out
from lists._list_file import (
    HyperparameterList,
    ListedPoint,
    PointLike,
    read_list,
    to_search_space,
    write_list,
    write_search_space,
)
from lists._published import PUBLISHED, published

__all__ = [
    "MAX_WORKLOADS",
    "METHODS",
    "PAPER_PENALTIES",
    "PENALTY",
    "PUBLISHED",
    "AtPenalty",
    "ChosenList",
    "Fractions",
    "HyperparameterList",
    "LeaveOneOut",
    "ListedPoint",
    "PointLike",
    "cost",
    "exact",
    "greedy",
    "leave_one_out",
    "penalty_ablation",
    "published",
    "read_list",
    "step_fractions",
    "to_search_space",
    "trains_others",
    "write_list",
    "write_search_space",
]
