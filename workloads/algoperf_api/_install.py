"""`import algoperf` where there is none: the few modules that submissions import, served by a finder of last resort.

The finder stands at the end of `sys.meta_path`, so whatever Python can find by itself wins.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import pathlib
import sys
import types
from collections.abc import Iterable, Sequence

# module of AlgoPerf -> ours; None: an empty package. v0.5 called the package algorithmic_efficiency.
_SUBMODULES = {
    "spec": "_spec",
    "jax_sharding_utils": "_jax_sharding_utils",
    "param_utils": "_param_utils",
    "random_utils": "_random_utils",
}
ROOTS = ("algoperf", "algorithmic_efficiency")
PROVIDED: tuple[str, ...] = (*ROOTS, *(f"{root}.{name}" for root in ROOTS for name in _SUBMODULES))

_MARK = "_provided_by_shortlist"


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what nobody else does."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname not in PROVIDED:
            return None
        root, _, submodule = fullname.partition(".")
        if submodule and not hasattr(sys.modules.get(root), _MARK):
            return None  # a real package that lacks the module
        return importlib.machinery.ModuleSpec(fullname, _Loader(submodule), is_package=not submodule)


class _Loader(importlib.abc.Loader):
    def __init__(self, submodule: str) -> None:
        self.submodule = submodule

    def exec_module(self, module: types.ModuleType) -> None:
        if not self.submodule:
            setattr(module, _MARK, True)
            module.__doc__ = "The part of AlgoPerf that submissions import, provided by Shortlist."
            return
        # The import system takes what it finds here afterwards, so that every name leads to one module.
        sys.modules[module.__name__] = _in_force(self.submodule)


_FINDER = _Finder()


def install() -> None:
    """Makes the modules of `PROVIDED` importable where no real ones can be found. Calling it again does nothing."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)


def is_installed() -> bool:
    """Whether there is a real AlgoPerf. Nothing is imported."""
    module = sys.modules.get("algoperf")
    if module is not None:
        return not hasattr(module, _MARK) and _has_spec(getattr(module, "__path__", ()))
    found = importlib.util.find_spec("algoperf")
    if found is None or isinstance(found.loader, _Loader):
        return False
    return _has_spec(found.submodule_search_locations or ())


def _has_spec(folders: Iterable[str]) -> bool:
    """Whether the package is AlgoPerf, and not a folder of that name, such as one that holds its repository."""
    return any((pathlib.Path(folder) / "spec.py").is_file() for folder in folders)


def spec() -> types.ModuleType:
    """AlgoPerf's `spec` module in force: the real one where AlgoPerf is installed, else ours.

    Raises:
      ImportError: AlgoPerf is there but cannot be imported.
    """
    return _in_force("spec")


def _in_force(submodule: str) -> types.ModuleType:
    if not is_installed():
        return importlib.import_module(f"workloads.algoperf_api.{_SUBMODULES[submodule]}")
    try:
        return importlib.import_module(f"algoperf.{submodule}")
    except ImportError as error:
        raise ImportError(
            f"AlgoPerf is installed, but algoperf.{submodule} cannot be imported: {error}. Complete its installation "
            "(it needs PyTorch and TensorFlow even for JAX), or uninstall it to use Shortlist's part of its interface"
        ) from error
