"""The report on AlgoPerf's logs, and AlgoPerf's scoring."""

from reports.logs._report import logs_report, performance_profiles
from reports.logs._scoring import Score, score, scores

__all__ = ["Score", "logs_report", "performance_profiles", "score", "scores"]
