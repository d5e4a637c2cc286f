"""An optimizer with points or ranges, as a folder that AlgoPerf can run."""

from submissions.package._package import BATCH_SIZES, RULESETS, package, without_validation

__all__ = ["BATCH_SIZES", "RULESETS", "package", "without_validation"]
