"""Where a learned optimizer fails: longer trainings, larger models, batch sizes, estimated gradients.

    >>> from reports import limits
    >>> found = limits.limits("limits")  # doctest: +SKIP
    >>> found.batch  # doctest: +SKIP

| function | question |
|---|---|
| `limits` | what do the trainings of `shortlist limits` say? |
| `of_losses` | the same of losses that are read |
| `critical_batch` | from which batch size on do larger ones waste examples? |
| `limits_report` | all of it as a report |
"""

from reports.limits._critical_batch import CriticalBatch, critical_batch
from reports.limits._report import limits_report
from reports.limits._tables import LimitsFound, limits, of_losses

__all__ = ["CriticalBatch", "LimitsFound", "critical_batch", "limits", "limits_report", "of_losses"]
