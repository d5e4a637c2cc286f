"""The report on our own studies."""

from reports.study._report import study_report

__all__ = ["study_report"]
