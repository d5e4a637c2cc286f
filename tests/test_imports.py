"""Imports point one way, privates stay in their room, and what only reads results starts without JAX."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Data flow from left to right. Results know nothing of how trials are made, so that tuning may write them.
ROOMS = ("workloads", "submissions", "results", "tuning", "lists", "reports", "shortlist")


def imports(file: Path, everywhere: bool = True) -> Iterator[tuple[str, str]]:
    """(module, name) of absolute imports, in functions too; the name is "" for a module as a whole."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def room_of(module: str) -> str:
    return module.split(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_from_right_to_left(room):
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    wrong = {
        f"{file.relative_to(ROOT)} imports {module}"
        for file in (ROOT / room).rglob("*.py")
        for module, _ in imports(file)
        if room_of(module) in set(ROOMS) - allowed
    }
    assert not wrong


@pytest.mark.parametrize("room", ROOMS)
def test_nobody_reaches_into_the_private_modules_of_another_room(room):
    wrong = {
        f"{file.relative_to(ROOT)} imports {module}.{name}"
        for file in (ROOT / room).rglob("*.py")
        for module, name in imports(file)
        if room_of(module) in set(ROOMS) - {room}
        and any(part.startswith("_") and part != "__future__" for part in f"{module}.{name}".split("."))
    }
    assert not wrong


def module_graph() -> dict[str, set[str]]:
    """Module -> the modules of this project that it imports, in functions and for types too."""
    files = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
    }
    graph = {}
    for name, file in files.items():
        found = set()
        # A door hands on what needs JAX when it is called: that ties no knot.
        for module, imported in imports(file, everywhere=file.name != "__init__.py"):
            found |= {f"{module}.{imported}" if f"{module}.{imported}" in files else module}
        graph[name] = (found & set(files)) - {name}
    return graph


def test_no_modules_import_each_other_in_a_circle():
    graph = module_graph()
    state: dict[str, int] = {}
    circles = []

    def visit(module: str, path: tuple[str, ...]) -> None:
        if state.get(module) == 1:
            circles.append(" -> ".join((*path[path.index(module) :], module)))
        elif module not in state:
            state[module] = 1
            for other in sorted(graph[module]):
                visit(other, (*path, module))
            state[module] = 2

    for module in sorted(graph):
        visit(module, ())
    assert not circles


@pytest.mark.parametrize(
    "module", [*ROOMS, "shortlist.cli", "results.studies", "submissions.spaces", "tuning.strategies"]
)
def test_starts_without_jax(module):
    program = f"import sys, {module}; sys.exit('jax' in sys.modules and 'jax was imported')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
