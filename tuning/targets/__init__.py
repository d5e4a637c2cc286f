"""How validation and test targets are set, for workloads that nobody published a target for.

The procedure `best-median`, after Dahl et al. 2023 (arXiv:2306.07179, target setting): tune a reference set of points
of several optimizers, train the best point of every optimizer again from many seeds, and let the target be the best of
the medians of what these trainings reach within a stated part of the step budget. A good algorithm can then reach the
target in time, and neither a lucky seed nor a lucky training of an unstable point can set it.

`reference-median` was its former name where the best point of all optimizers alone was trained again; of one optimizer
the two are the same.

| module | what |
|---|---|
| `_asked` | what is asked of the procedure |
| `_references` | the optimizers, and where their points come from |
| `_trainings` | which trainings set one target, as jobs of an executor |
| `_setting` | has them done, of many workloads |
| `_measured` | what they reached, and the target that follows |
| `_file` | the file of targets |
"""

from tuning.targets._asked import Asked
from tuning.targets._file import check_targets, write_targets
from tuning.targets._measured import PROCEDURE, Again, MeasuredTarget
from tuning.targets._references import Reference, Tuned, reference_points, references
from tuning.targets._setting import set_targets

__all__ = [
    "PROCEDURE",
    "Again",
    "Asked",
    "MeasuredTarget",
    "Reference",
    "Tuned",
    "check_targets",
    "reference_points",
    "references",
    "set_targets",
    "write_targets",
]
