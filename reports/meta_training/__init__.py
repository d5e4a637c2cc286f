"""The report on a meta-training: how it went, and what its weights are worth."""

from reports.meta_training._report import meta_training_report

__all__ = ["meta_training_report"]
