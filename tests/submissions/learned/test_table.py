"""The table of learned optimizers."""

from __future__ import annotations

import importlib
import pkgutil

import submissions
from submissions.learned import LEARNED, Learned


def test_the_table_has_every_row_of_every_file():
    found = {}
    for file in pkgutil.iter_modules(submissions.learned.__path__):
        module = importlib.import_module(f"submissions.learned.{file.name}")
        rows = getattr(module, "ROWS", ())
        found |= {row.name: row for row in rows if isinstance(row, Learned)}
    assert dict(LEARNED) == found
    assert not set(LEARNED) & set(submissions.OPTIMIZERS)
    for name, row in LEARNED.items():
        assert row.name == name
        assert row.make.__doc__ is not None  # has the formula, for a packaged README
        assert submissions.Optimizer(name, row.make, (), row.reference).formula
