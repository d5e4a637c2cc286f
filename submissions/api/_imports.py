"""How a submission's file is imported by its path, with whatever it imports itself."""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from submissions.api import _old_jax
from submissions.api._install import PROVIDED, ROOTS, install
from workloads.data import reading
from workloads.installed import is_installed

_PACKAGE = "_shortlist_submission_"
_COUNTER = itertools.count()


def import_file(file: Path, tree: ast.Module) -> ModuleType:
    """The file as a module of a new name, run.

    Its folder is a package, so that relative imports work; as many folders above it are packages too as relative
    imports climb. An absolute import that Python cannot find leads to a file beside the submission, or else in one of
    the folders above, or else into the submission's folder if a part of the import has that folder's name. So it stays
    until another submission is imported.

    Args:
      file: absolute path.
      tree: its syntax.

    Raises:
      ImportError: an import is not found.
    """
    install()
    folder = file.parent
    _FINDER.forget()
    sources = local_sources(file, tree)
    _FINDER.places = {
        name: place
        for path, source in sources.items()
        for imported in _absolute_imports(source)
        for name, place in _leading_to(imported, path.parent, folder)
    }
    climbs = [
        node.level - 1 - len(path.parent.relative_to(folder).parts)
        for path, source in sources.items()
        if path.is_relative_to(folder)
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    _old_jax.complete(sources)
    package = _package_of(folder, max([0, *climbs]))
    try:
        return _run(f"{package}.{file.stem}", file)
    except ImportError as error:
        raise ImportError(f"{file}: {_why(error, folder)}", name=error.name, path=error.path) from error


def local_sources(file: Path, tree: ast.Module | None = None) -> dict[Path, ast.Module]:
    """The file and all files of its own repository that it imports, directly or not, path -> syntax.

    Args:
      file: absolute path.
      tree: its syntax, if it has been parsed already.
    """
    found: dict[Path, ast.Module] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = tree if path == file and tree is not None else parsed(path)
            for node in ast.walk(found[path]):
                waiting += _local_files(node, path, file.parent)
    return found


def parsed(path: Path) -> ast.Module:
    """The syntax of a file.

    Raises:
      ValueError: it is not Python.
    """
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except SyntaxError as error:
        raise ValueError(f"{path}:{error.lineno}: is not Python: {error.msg}") from error


def is_for_pytorch(tree: ast.Module) -> bool:
    """Whether the file imports torch, or AlgoPerf's part for it, and no jax."""
    names = set(_absolute_imports(tree))
    roots = {name.partition(".")[0] for name in names}
    torch = "torch" in roots or any(name.endswith("pytorch_utils") for name in names)
    return torch and "jax" not in roots


def uses_pmap(module: ModuleType) -> bool:
    """Whether jax.pmap is called in the module, or where its update_params or init_optimizer_state come from."""
    functions = (getattr(module, name, None) for name in ("update_params", "init_optimizer_state"))
    codes = (getattr(function, "__code__", None) for function in functions)
    files = {module.__file__, *(code.co_filename for code in codes if code)}
    return any(_names_pmap(parsed(Path(file))) for file in files if file and Path(file).is_file())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what lies in the repository of the submission imported last; only after all other finders."""

    def __init__(self) -> None:
        self.places: dict[str, Path | None] = {}  # module -> its folder, or its file without .py; None: empty

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname not in self.places:
            return None
        place = self.places[fullname]
        file = None if place is None else next(_files(place), None)
        if file is None:
            return _namespace(fullname, place)
        return _of_file(fullname, file)

    def forget(self) -> None:
        """Drops what was found: the next submission may mean something else by the same names."""
        for name in list(sys.modules):
            if any(name == known or name.startswith(f"{known}.") for known in self.places):
                del sys.modules[name]  # functions that use it keep it
        self.places = {}
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        sys.meta_path.append(self)


_FINDER = _Finder()


def _local_files(node: ast.AST, path: Path, folder: Path) -> Iterator[Path]:
    """Files of the submission's own repository that an import statement leads to."""
    roots: list[Path | None] = []
    names: list[str] = []
    if isinstance(node, ast.Import):
        roots = [_resolved(alias.name, path.parent, folder) for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level:
        above = path.parent.joinpath(*[".."] * (node.level - 1)).resolve()
        roots, names = [above.joinpath(*(node.module or "").split("."))], [a.name for a in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        roots, names = [_resolved(node.module, path.parent, folder)], [a.name for a in node.names]
    for root in filter(None, roots):
        for place in (root, *(root / name for name in names if name != "*")):
            yield from _files(place)


def _leading_to(name: str, beside: Path, folder: Path) -> list[tuple[str, Path | None]]:
    """What the finder must know for an absolute import: (module, its place), the outermost first."""
    parts = name.split(".")
    if parts[0] in ROOTS:
        return []
    if not _is_found(parts[0]):
        for root in dict.fromkeys((beside, folder, *folder.parents)):
            if _is_module(root.joinpath(*parts)):
                return [(parts[0], root / parts[0])]
    # Where the repository lay elsewhere once: `from submissions.team_7.mine.rule import x` in a folder `mine`.
    for i in range(1, len(parts)):
        inside = folder.joinpath(*parts[i + 1 :])
        if parts[i] == folder.name and (i + 1 == len(parts) or _is_module(inside)) and not _is_found(name):
            above = [".".join(parts[:n]) for n in range(1, i + 1)]
            unknown = [(module, None) for module in above if not _is_found(module)]
            return [*unknown, (".".join(parts[: i + 1]), folder)]
    return []


def _resolved(name: str, beside: Path, folder: Path) -> Path | None:
    """Where the module of an absolute import lies, without its .py; None if Python finds it, or nobody does."""
    known = _leading_to(name, beside, folder)
    if not known:
        return None
    module, place = known[-1]
    return None if place is None else place.joinpath(*name.split(".")[module.count(".") + 1 :])


def _is_module(place: Path) -> bool:
    return any(_files(place)) or (place.is_dir() and bool(reading.matching(place, "*.py")))


def _files(place: Path) -> Iterator[Path]:
    """The file of a module that lies there, if it has one."""
    for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
        if file.is_file():
            yield file


def _is_found(name: str) -> bool:
    """Whether Python finds a module by itself. Of a dotted name, the packages are imported."""
    if any(name == known or name.startswith(f"{known}.") for known in _FINDER.places):
        return False  # by us, for the submission imported last
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # no such package; a module without a spec
        return False


def _package_of(folder: Path, depth: int) -> str:
    """A new package that is the folder, below as many packages as there are folders above to be reached."""
    root = folder
    for _ in range(depth):
        root = root.parent
    name = f"{_PACKAGE}{next(_COUNTER)}"
    sys.modules[name] = importlib.util.module_from_spec(_namespace(name, root))
    for part in folder.relative_to(root).parts:
        root = root / part
        name = f"{name}.{part}"
        sys.modules[name] = importlib.util.module_from_spec(_namespace(name, root))
    if (folder / "__init__.py").is_file():
        _run(name, folder / "__init__.py")
    return name


def _namespace(name: str, place: Path | None) -> importlib.machinery.ModuleSpec:
    made = importlib.machinery.ModuleSpec(name, None, is_package=True)
    made.submodule_search_locations = [] if place is None else [str(place)]
    return made


def _of_file(name: str, file: Path) -> importlib.machinery.ModuleSpec:
    folders = [str(file.parent)] if file.name == "__init__.py" else None
    # With its loader, so that the ending does not matter.
    loader = importlib.machinery.SourceFileLoader(name, str(file))
    found = importlib.util.spec_from_file_location(
        name, file, loader=loader, submodule_search_locations=folders
    )
    if found is None:
        raise ImportError(f"{file}: cannot be imported", name=name)
    return found


def _run(name: str, file: Path) -> ModuleType:
    found = _of_file(name, file)
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        # Compiled afresh: the cache of compiled files does not see two changes within a second.
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _why(error: ImportError, folder: Path) -> str:
    """What is missing, and what to do."""
    root = (error.name or "").partition(".")[0]
    if root in ROOTS and not is_installed():
        return (
            f"{error}; without an installed AlgoPerf there are {', '.join(PROVIDED)}. Install AlgoPerf, "
            "or leave the import out"
        )
    if isinstance(error, ModuleNotFoundError):
        listed = " (see the requirements.txt beside it)" if (folder / "requirements.txt").is_file() else ""
        return f"{error}; install the package that has it{listed}"
    return f"{error}; the submission may need another version of {root or 'a package'}"


def _names_pmap(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "pmap")
        or (isinstance(node, ast.ImportFrom) and any(alias.name == "pmap" for alias in node.names))
        for node in ast.walk(tree)
    )


def _absolute_imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of modules, wherever in the file they are imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
