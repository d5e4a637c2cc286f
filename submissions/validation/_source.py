"""The files that a submission consists of, parsed and never run: submission.py and what it imports of its own."""

from __future__ import annotations

import ast
import dataclasses
import sys
from pathlib import Path

from submissions.validation.findings import Finding, relative

Function = ast.FunctionDef | ast.AsyncFunctionDef

# What AlgoPerf 0.6 installs for JAX, by import name: its own dependencies, and what those bring along.
ENVIRONMENT = frozenset(
    [
        "absl",
        "algoperf",
        "algorithmic_efficiency",
        "chex",
        "clu",
        "etils",
        "flax",
        "google",
        "h5py",
        "jax",
        "jaxlib",
        "jraph",
        "matplotlib",
        "ml_dtypes",
        "ml_collections",
        "msgpack",
        "networkx",
        "numpy",
        "opt_einsum",
        "optax",
        "orbax",
        "pandas",
        "psutil",
        "pydub",
        "requests",
        "scipy",
        "sentencepiece",
        "six",
        "skimage",
        "sklearn",
        "tabulate",
        "tensorflow",
        "tensorflow_datasets",
        "tensorflow_probability",
        "tensorflow_text",
        "tensorstore",
        "toolz",
        "tqdm",
        "typing_extensions",
        "wandb",
        "yaml",
    ]
)


@dataclasses.dataclass(frozen=True)
class Module:
    """One parsed file."""

    path: Path
    name: str  # as findings name it
    tree: ast.Module


@dataclasses.dataclass(frozen=True)
class Import:
    """A top-level package that some module imports."""

    package: str
    module: Module
    line: int
    guarded: bool  # inside a try: its absence is provided for


class Source:
    """submission.py, the modules of its own that it imports, and where each top-level name is defined."""

    def __init__(self, submission: Path) -> None:
        self.folder = submission.parent
        self.findings: list[Finding] = []
        self.modules: dict[Path, Module] = {}
        self.imports: list[Import] = []
        self._names: dict[Path, dict[str, tuple[Path, str] | ast.AST]] = {}
        self.incomplete = False  # a star import that could not be followed
        self.main = self._read(submission)

    def function(self, name: str, module: Module | None = None) -> tuple[Module, Function] | None:
        """The definition of a top-level function, through imports, renaming and jit; None if it is not a `def`."""
        found = self.definition(name, module)
        if found and isinstance(found[1], ast.Call):
            call = found[1]
            compiles = dotted_name(call.func).rsplit(".", 1)[-1] in ("jit", "pmap", "checkpoint", "remat")
            if compiles and call.args and isinstance(call.args[0], ast.Name) and call.args[0].id != name:
                return self.function(call.args[0].id, found[0])
        return (found[0], found[1]) if found and isinstance(found[1], Function) else None

    def definition(self, name: str, module: Module | None = None) -> tuple[Module, ast.AST] | None:
        """What a top-level name stands for: a def, a class, or the value assigned to it; None if unknown."""
        module = module or self.main
        for _ in range(20):  # longer chains of renaming are cycles
            if module is None:
                return None
            bound = self._names[module.path].get(name)
            if isinstance(bound, tuple):
                module, name = self.modules.get(bound[0]), bound[1]
            elif isinstance(bound, ast.Name):
                name = bound.id
            elif bound is None:
                return None
            else:
                return module, bound
        return None

    def binds(self, name: str) -> bool:
        """Whether submission.py has this top-level name, however it came by it."""
        return self.main is not None and (name in self._names[self.main.path] or self.incomplete)

    def _read(self, path: Path) -> Module | None:
        path = path.resolve()
        if path in self.modules:
            return self.modules[path]
        name = relative(path, self.folder)
        try:
            tree = ast.parse(path.read_bytes(), filename=name)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 0
            self.findings.append(Finding("F106", f"{name} cannot be parsed: {error}", name, line))
            return None
        module = self.modules[path] = Module(path, name, tree)
        self._names[path] = {}
        for node in _top_level(tree):
            self._bind(module, node)
        guarded = {
            id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._follow(module, alias.name, 0, node.lineno, id(node) in guarded)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(module, node, id(node) in guarded)
        return module

    def _bind(self, module: Module, node: ast.AST) -> None:
        names = self._names[module.path]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names[node.name] = node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    names[target.id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            names[node.target.id] = node.value
        elif isinstance(node, ast.Import):
            for alias in node.names:
                names.setdefault(alias.asname or alias.name.split(".")[0], node)

    def _import_from(self, module: Module, node: ast.ImportFrom, guarded: bool) -> None:
        names = self._names[module.path]
        found = self._follow(module, node.module or "", node.level, node.lineno, guarded)
        for alias in node.names:
            if alias.name == "*":
                if found is None:
                    self.incomplete = self.incomplete or not self._is_known(node.module or "")
                else:
                    for name in self._names[found.path]:
                        names.setdefault(name, (found.path, name))
                continue
            bound = found is not None and alias.name in self._names[found.path]
            if not bound and (found is None or found.path.name == "__init__.py"):
                # A module of a package; a folder without __init__.py is one too.
                self._follow(module, f"{node.module or ''}.{alias.name}".strip("."), node.level, 0, True)
            names.setdefault(
                alias.asname or alias.name, (found.path, alias.name) if found and bound else node
            )

    def _follow(self, module: Module, dotted: str, level: int, line: int, guarded: bool) -> Module | None:
        """The submission's own module of a dotted name, read; foreign ones are noted."""
        package = dotted.split(".")[0]
        if level == 0 and self._is_known(dotted):
            return None
        file = self._own_file(module, dotted, level)
        if file is not None:
            return self._read(file)
        if level == 0 and line and package:
            self.imports.append(Import(package, module, line, guarded))
        return None

    def _own_file(self, module: Module, dotted: str, level: int) -> Path | None:
        parts = dotted.split(".") if dotted else []
        if level:
            base = module.path.parent
            for _ in range(level - 1):
                base = base.parent
            return _module_file(base, parts)
        starts = [(module.path.parent, parts), (self.folder, parts)]
        # AlgoPerf imports a submission by its path from the repository's root, and some say that path; the folder
        # may since have moved or been renamed, so that only the end of it is sure.
        starts += [(self.folder, parts[skipped:]) for skipped in range(1, len(parts))]
        starts += [(above, parts) for above in list(self.folder.resolve().parents)[:4]]
        for base, tail in starts:
            file = _module_file(base, tail) if tail else None
            if file is not None:
                return file
        return None

    def _is_known(self, dotted: str) -> bool:
        package = dotted.split(".")[0]
        return package in ENVIRONMENT or package in sys.stdlib_module_names


def _module_file(base: Path, parts: list[str]) -> Path | None:
    target = base.joinpath(*parts)
    for file in (
        target.with_name(target.name + ".py") if parts else target / "__init__.py",
        target / "__init__.py",
    ):
        if file.is_file():
            return file
    return None


def _top_level(tree: ast.Module) -> list[ast.AST]:
    """Statements at module level, also inside if, try and with."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        found.append(node)
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            waiting += [
                inner
                for inner in ast.iter_child_nodes(node)
                if isinstance(inner, ast.stmt | ast.ExceptHandler)
            ]
        elif isinstance(node, ast.ExceptHandler):
            waiting += node.body
    return found


def dotted_name(node: ast.AST) -> str:
    """`a.b.c` of a chain of attributes on a name, otherwise the empty string."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def text_of(node: ast.AST | None) -> str | None:
    """The value of a string literal, otherwise None."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
