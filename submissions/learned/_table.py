"""The table of learned optimizers. A new one is a file beside this with its rows, and its name here, imported and
listed."""

from __future__ import annotations

from submissions.learned import celo, celo_adam, hierarchical, velo

_FILES = (velo, celo, celo_adam, hierarchical)

LEARNED = {row.name: row for file in _FILES for row in file.ROWS}
