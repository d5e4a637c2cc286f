"""The report on our own studies."""

from reports.study._report import contenders_of_studies, study_report

__all__ = ["contenders_of_studies", "study_report"]
