"""The source of a rule, as a packaged submission carries it: what the rule needs, and nothing of Shortlist.

A rule's file also declares the rule, and takes its schedule and its moments from files beside it. Of all these the
definitions that the rule reaches by name are copied, with their comments; `_late` becomes ordinary imports, and what is
reached as `module.name` of a file of ours becomes `name`.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from submissions.optimizers import _late

LATE = {"jax": "import jax", "jnp": "import jax.numpy as jnp", "optax": "import optax"}


def carried(file: Path, functions: Iterable[str]) -> str:
    """The functions of a rule's file and all that they need, as a module of its own.

    Args:
      file: of the rule. It and its helpers import what they need of this project by name.
      functions: of the file.

    Raises:
      ValueError: two different definitions that are needed have one name.
    """
    chosen: dict[Path, set[str]] = {file: set()}
    imports: set[str] = set()
    for name in functions:
        _choose(file, name, chosen, imports)
    names = [name for of_file in chosen.values() for name in of_file]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{file}: needs two definitions of {', '.join(twice)}; rename one")
    helpers = [helper for helper in chosen if helper != file]
    code, previous = "", None  # whether the definition before was a constant; None: there was none
    for path in (*helpers, file):
        for constant, lines in _definitions(_source(path), chosen[path]):
            blank_lines = 2 if not constant or previous is False else 0 if previous else 1
            code += "\n" * (blank_lines + 1) + lines
            previous = constant
    heads = _source(file).docstring, "from __future__ import annotations", _sorted(imports)
    return "\n\n".join(filter(None, heads)) + code + "\n"


@dataclasses.dataclass(frozen=True)
class _Source:
    """A module taken apart: its definitions by name, and where other names come from."""

    lines: list[str]
    docstring: str
    definitions: dict[str, ast.stmt]
    imported: dict[str, tuple[str, str]]  # name -> (module, its name there), "" for a module itself
    modules: dict[str, str]  # name -> a module of ours, imported whole


@functools.cache
def _source(file: Path) -> _Source:
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = text.splitlines()
    definitions: dict[str, ast.stmt] = {}
    imported: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name | ast.Tuple):
            definitions |= {name.id: node for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            definitions[node.target.id] = node
        elif isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name: (alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {alias.asname or alias.name: (node.module or "", alias.name) for alias in node.names}
    whole = {name: f"{module}.{there}" for name, (module, there) in imported.items() if there}
    modules = {name: module for name, module in whole.items() if _is_module_of_ours(module)}
    first = tree.body[0]
    docstring = "\n".join(lines[: first.end_lineno]) if isinstance(first, ast.Expr) else ""
    return _Source(lines, docstring, definitions, imported, modules)


def _choose(file: Path, name: str, chosen: dict[Path, set[str]], imports: set[str]) -> None:
    """Adds a name that is used in a file, and all that its definition uses."""
    source = _source(file)
    if name in source.definitions:
        names = chosen.setdefault(file, set())
        if name not in names:
            names.add(name)
            for node in ast.walk(source.definitions[name]):
                if isinstance(node, ast.Name):
                    _choose(file, node.id, chosen, imports)
                elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    module = source.modules.get(node.value.id)
                    if module is not None:
                        _choose(_file_of(module), node.attr, chosen, imports)
    elif name in source.imported and name not in source.modules:
        module, there = source.imported[name]
        if module == _late.__name__:
            imports.add(LATE[name])
        elif _is_ours(module):
            _choose(_file_of(module), there, chosen, imports)
        else:
            imports.add(_import(module, there, name))


def _import(module: str, there: str, name: str) -> str:
    line = f"from {module} import {there}" if there else f"import {module}"
    return line if name == (there or module) else f"{line} as {name}"


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "submissions"


def _is_module_of_ours(name: str) -> bool:
    try:
        return _is_ours(name) and importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what is in a module is none
        return False


def _file_of(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def _definitions(source: _Source, names: set[str]) -> Iterator[tuple[bool, str]]:
    """In the order of the file, with the comments above them: whether it is a constant, and its lines."""
    chosen = {id(node): node for name, node in source.definitions.items() if name in names}
    for node in chosen.values():  # one may define several names
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        while source.lines[first - 2].startswith("#"):
            first -= 1
        text = "\n".join(source.lines[first - 1 : node.end_lineno])
        for alias in source.modules:
            text = re.sub(rf"\b{alias}\.(?=\w)", "", text)
        yield isinstance(node, ast.Assign | ast.AnnAssign), text


def _sorted(imports: set[str]) -> str:
    """In two blocks, the standard library's first; names of one module on one line."""
    of_module: dict[str, list[str]] = {}
    whole = sorted(line for line in imports if line.startswith("import "))
    for line in sorted(imports - set(whole)):
        _, module, _, name = line.split(maxsplit=3)
        of_module.setdefault(module, []).append(name)
    joined = [f"from {module} import {', '.join(sorted(names))}" for module, names in of_module.items()]

    def of_standard_library(line: str) -> bool:
        return line.split()[1].split(".")[0] in sys.stdlib_module_names

    blocks = [
        [line for line in (*whole, *joined) if of_standard_library(line) is own] for own in (True, False)
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)
