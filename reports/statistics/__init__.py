"""What can be said of costs and of their differences, and how surely. Arrays in, numbers and tables out.

    >>> import numpy as np
    >>> from reports.statistics import paired_difference
    >>> ours, theirs = np.full((8, 3), 0.5), np.full((8, 3), 0.6)  # fractions, workload x repeat
    >>> round(paired_difference(ours, theirs).ratio.value, 3)
    0.833

| function | answers |
|---|---|
| `cost_interval` | what a list costs, and how far that is from certain |
| `paired_difference` | how much one contender costs less than another |
| `probability_of_beating` | how often a run of one is ahead of a run of the other |
| `interquartile_mean` | what the middle half of all runs need (Agarwal et al. 2021) |
| `p_value`, `holm` | how often chance alone shows as much, and among many comparisons |
| `power_curve`, `needed` | how many workloads and repeats a claim takes |

`cost_of`, `share_ahead` and `middle_half` are the numbers alone, `log_costs` the resamples themselves.

Everywhere fractions are shares of the budget at which a target was first reached, inf where it was missed, with the
axes workload x repeat, or point x workload x repeat for the points of a list. `over` says what an interval or a test
is over; see `docs/statistics.md`.
"""

from reports.statistics._beating import probability_of_beating, share_ahead
from reports.statistics._costs import Difference, cost_interval, cost_of, log_costs, paired_difference
from reports.statistics._estimates import CONFIDENCE, OVER, RESAMPLES, Estimate, Over, reachable
from reports.statistics._middle_half import interquartile_mean, middle_half
from reports.statistics._power import needed, power_curve
from reports.statistics._tests import holm, p_value

__all__ = [
    "CONFIDENCE",
    "OVER",
    "RESAMPLES",
    "Difference",
    "Estimate",
    "Over",
    "cost_interval",
    "cost_of",
    "holm",
    "interquartile_mean",
    "log_costs",
    "middle_half",
    "needed",
    "p_value",
    "paired_difference",
    "power_curve",
    "probability_of_beating",
    "reachable",
    "share_ahead",
]
