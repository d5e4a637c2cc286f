"""Where points come from, behind one interface: ask for points, tell what became of them.

| strategy | points | draws |
|---|---|---|
| `quasirandom` | AlgoPerf's quasi-random points of a space | quasi-random |
| `random` | uniform on the scales of a space | independent |
| `medapati-candidates` | the 200 candidates of Medapati et al. | quasi-random |
| `taskset-grid` | TaskSet's settings | independent, or chosen where they are fixed |
| `lr-sweep` | learning rates in equal ratios | chosen |
| `vizier` | a Gaussian-process bandit's, one after the other | chosen |
| `optuna-tpe` | of a tree of Parzen estimators, likewise | chosen |
| `optuna-gp` | of another Gaussian process, likewise | chosen |
| `smac` | of a random forest, likewise | chosen |
| `successive-halving` | of a space; they train in cohorts that stop their losers | chosen |
| `asha` | likewise, one cohort compared with those before it | chosen |
| `median-stopping` | likewise, by the median of the others | chosen |
| `list` | somebody's, in their order | chosen |

A strategy is data. What it answers depends on its arguments and on what it was told, and on nothing else, so a study
that was stopped goes on as if it had not been. One strategy is one file with its row, and one line in the table;
nothing else knows its name. Nothing here needs JAX.
"""

from submissions.points import Point, Told
from tuning.strategies._meter import metered
from tuning.strategies._step_budget import StepBudget
from tuning.strategies._strategy import Asked, Defaults, Option, Parallel, Row, Strategy
from tuning.strategies._suggesting import Suggesting
from tuning.strategies._table import (
    DEFAULT,
    STRATEGIES,
    check_options,
    from_spec,
    meant_by,
    options,
    planned,
    row,
    step_budget,
    to_spec,
)
from tuning.strategies._warm_start import Origin, WarmStart
from tuning.strategies.listed import Listed

__all__ = [
    "DEFAULT",
    "STRATEGIES",
    "Asked",
    "Defaults",
    "Listed",
    "Option",
    "Origin",
    "Parallel",
    "Point",
    "Row",
    "StepBudget",
    "Strategy",
    "Suggesting",
    "Told",
    "WarmStart",
    "check_options",
    "from_spec",
    "meant_by",
    "metered",
    "options",
    "planned",
    "row",
    "step_budget",
    "to_spec",
]
