"""`import algoperf` where there is none: the few modules that submissions import, served by a finder of last resort.

The finder stands at the end of `sys.meta_path`, so whatever Python can find by itself wins.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence

from workloads.installed import STAND_IN, is_installed

# module of AlgoPerf -> ours; None: an empty package. v0.5 called the package algorithmic_efficiency.
_SUBMODULES = {
    "spec": "_spec",
    "jax_sharding_utils": "_jax_sharding_utils",
    "param_utils": "_param_utils",
    "random_utils": "_random_utils",
}
ROOTS = ("algoperf", "algorithmic_efficiency")
PROVIDED: tuple[str, ...] = (*ROOTS, *(f"{root}.{name}" for root in ROOTS for name in _SUBMODULES))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what nobody else does."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname not in PROVIDED:
            return None
        root, _, submodule = fullname.partition(".")
        if submodule and not hasattr(sys.modules.get(root), STAND_IN):
            return None  # a real package that lacks the module
        return importlib.machinery.ModuleSpec(fullname, _Loader(submodule), is_package=not submodule)


class _Loader(importlib.abc.Loader):
    _provided_by_shortlist = True  # `STAND_IN`

    def __init__(self, submodule: str) -> None:
        self.submodule = submodule

    def exec_module(self, module: types.ModuleType) -> None:
        if not self.submodule:
            setattr(module, STAND_IN, True)
            module.__doc__ = "The part of AlgoPerf that submissions import, provided by Shortlist."
            return
        # The import system takes what it finds here afterwards, so that every name leads to one module.
        sys.modules[module.__name__] = _in_force(self.submodule)


_FINDER = _Finder()


def install() -> None:
    """Makes the modules of `PROVIDED` importable where no real ones can be found. Calling it again does nothing."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)


def spec() -> types.ModuleType:
    """AlgoPerf's `spec` module in force: the real one where AlgoPerf is installed, else ours.

    Raises:
      ImportError: AlgoPerf is there but cannot be imported.
    """
    return _in_force("spec")


def _in_force(submodule: str) -> types.ModuleType:
    if not is_installed():
        return importlib.import_module(f"submissions.api.{_SUBMODULES[submodule]}")
    try:
        return importlib.import_module(f"algoperf.{submodule}")
    except ImportError as error:
        raise ImportError(
            f"AlgoPerf is installed, but algoperf.{submodule} cannot be imported: {error}. Complete its installation "
            "(it needs PyTorch and TensorFlow even for JAX), or uninstall it to use Shortlist's part of its interface"
        ) from error
