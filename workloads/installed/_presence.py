"""Whether a real AlgoPerf is there, told without importing it."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from collections.abc import Iterable

PREFIX = "algoperf-installed/"  # names of an installed AlgoPerf's workloads begin with it

# What stands in for AlgoPerf where there is none (`submissions.api`) bears this mark, on modules and on their loader.
STAND_IN = "_provided_by_shortlist"


def is_installed() -> bool:
    """Whether there is a real AlgoPerf. Nothing is imported."""
    module = sys.modules.get("algoperf")
    if module is not None:
        return not hasattr(module, STAND_IN) and _has_spec(getattr(module, "__path__", ()))
    found = importlib.util.find_spec("algoperf")
    if found is None or hasattr(found.loader, STAND_IN):
        return False
    return _has_spec(found.submodule_search_locations or ())


def _has_spec(folders: Iterable[str]) -> bool:
    """Whether the package is AlgoPerf, and not a folder of that name, such as one that holds its repository."""
    return any((pathlib.Path(folder) / "spec.py").is_file() for folder in folders)
