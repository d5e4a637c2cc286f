"""Checks of any AlgoPerf submission folder before it costs GPU hours: what is missing, wrong, forbidden or slow.

    >>> from submissions.validation import inspect
    >>> inspect("my_submission", ruleset="external").passed  # doctest: +SKIP
    True

The static part reads files and never runs them; the dry run trains a few steps in a process of its own.
Importing this needs no JAX.
"""

from __future__ import annotations

from submissions.validation._codes import CODES
from submissions.validation._dry_run import WORKLOADS, Figures
from submissions.validation._isolation import ISOLATION, Isolation
from submissions.validation._validate import RULESETS, STEPS, Validation, inspect, validate
from submissions.validation.findings import Finding, has_errors

__all__ = [
    "CODES",
    "ISOLATION",
    "RULESETS",
    "STEPS",
    "WORKLOADS",
    "Figures",
    "Finding",
    "Isolation",
    "Validation",
    "has_errors",
    "inspect",
    "validate",
]
