"""Imports point one way, and what only reads results starts without JAX."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("workloads", "submissions", "tuning", "lists", "reports", "shortlist")


def imported_rooms(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names & set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_from_right_to_left(room):
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    wrong = {
        f"{file.relative_to(ROOT)} imports {other}"
        for file in (ROOT / room).rglob("*.py")
        for other in imported_rooms(file) - allowed
    }
    assert not wrong


def test_lists_see_arrays_and_not_how_trials_were_run():
    seen = {file.name: imported_rooms(file) - {"lists"} for file in (ROOT / "lists").rglob("*.py")}
    # A published list as an Optax optimizer is its points in the hands of their rule; it is imported when called.
    assert {name: rooms for name, rooms in seen.items() if rooms} == {"_opt_list.py": {"submissions"}}


@pytest.mark.parametrize(
    "module", [*ROOMS, "shortlist.cli", "tuning.studies", "tuning.spaces", "tuning.strategies"]
)
def test_starts_without_jax(module):
    program = f"import sys, {module}; sys.exit('jax' in sys.modules and 'jax was imported')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
