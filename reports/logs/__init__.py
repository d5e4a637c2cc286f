"""The report on AlgoPerf's logs, and AlgoPerf's scoring."""

from reports.logs._dahl import dahl_report
from reports.logs._published import PublishedScores, published_scores, scores_beside
from reports.logs._report import logs_report, performance_profiles
from reports.logs._scoring import Score, score, scores

__all__ = [
    "PublishedScores",
    "Score",
    "dahl_report",
    "logs_report",
    "performance_profiles",
    "published_scores",
    "score",
    "scores",
    "scores_beside",
]
