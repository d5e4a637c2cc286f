"""How much faster than a tuned baseline: VeLOdrome's score of any trainings.

    >>> from reports import speedup
    >>> found = speedup.speedups(["studies/mine"], ["baselines.parquet"])  # doctest: +SKIP
    >>> found.summary()  # doctest: +SKIP

| function | question |
|---|---|
| `speedups` | what do studies score, and which is better? |
| `score_speedups` | what do losses score against baselines? |
| `summary_table` | percentiles of scores over workloads |
| `speedup_report` | all of it as a report |
"""

from reports.speedup._report import Speedups, speedup_report, speedups
from reports.speedup._scores import PERCENTILES, SpeedupScores, score_speedups, summary_table

__all__ = [
    "PERCENTILES",
    "SpeedupScores",
    "Speedups",
    "score_speedups",
    "speedup_report",
    "speedups",
    "summary_table",
]
