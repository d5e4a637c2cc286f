"""Workloads from outside: from a user's own file, FILE.py:NAME, and from packages with an entry point."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from workloads import own_files
from workloads._guarded import guarded
from workloads._workload import Workload
from workloads.own_files import OwnFile
from workloads.spelling import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Builder = Callable[..., Workload]  # (data_dir) -> Workload; for a pattern (data_dir, k) -> Workload

ENTRY_POINTS = "shortlist.workloads"  # the group in which a package names its workloads
_TABLE = "__shortlist_workloads__"


class InFile(NamedTuple):
    """A workload that a file registers."""

    file: OwnFile
    name: str
    build: Builder


def table(module: ModuleType) -> dict[str, Builder]:
    """What the module of a user's own file has registered, to be added to while it is imported."""
    return vars(module).setdefault(_TABLE, {})


def in_file(name: str) -> InFile:
    """The workload FILE.py:NAME; NAME is what the file registers, or the function that it registers it with.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file cannot be imported, or has no such workload.
    """
    path, wanted = own_files.parts(name)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; a workload of your own is given as FILE.py:NAME")
    file, module = own_files.version(path)
    registered = table(module)
    functions = {getattr(build, "__name__", ""): known for known, build in registered.items()}
    found = wanted if wanted in registered else functions.get(wanted)
    if found is None:
        if registered:
            hint = f"{did_you_mean(wanted, registered)} (it has {', '.join(registered)})"
        else:
            hint = '; write @workloads.register("mine/name") above the function that builds it'
        raise ValueError(f"{path}: registers no workload {wanted!r}{hint}")
    return InFile(file, found, functools.partial(_built, path, found, registered[found]))


def _built(file: pathlib.Path, name: str, build: Builder, data_dir: pathlib.Path | None) -> Workload:
    try:
        made = build(data_dir)
    except FileNotFoundError:  # of the data
        raise
    except (Exception, SystemExit) as error:  # whatever it raises is the user's to mend
        raise ValueError(f"{own_files.blame(error, file)} (building {name!r})") from error
    # Its functions are told by the path that they were compiled with.
    return guarded(made, file.resolve(), build) if isinstance(made, Workload) else made


@functools.cache
def of_packages() -> dict[str, list[EntryPoint]]:
    """Name -> the entry points of packages that have it. Nothing of them is imported."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINTS):
        found.setdefault(point.name, []).append(point)
    return found


def in_package(name: str, taken: bool = False) -> Builder | None:
    """What makes the workload that a package has an entry point for; None if none has.

    Args:
      name: of the workload.
      taken: it is that of one of Shortlist's own.

    Raises:
      ValueError: two have it.
    """
    points = of_packages().get(name)
    if points is None:
        return None
    packages = sorted(point.dist.name if point.dist else point.value for point in points)
    if taken or len(points) > 1:
        others = " and of ".join([*packages[1:], *["Shortlist"] * taken])
        raise ValueError(
            f"workload {name!r} is one of {packages[0]} (an entry point) and of {others}; rename one, or uninstall it"
        )
    return functools.partial(_loaded, points[0], packages[0])


def _loaded(point: EntryPoint, package: str, data_dir: pathlib.Path | None) -> Workload:
    try:
        build = point.load()
        made = build(data_dir)
    except FileNotFoundError:  # of the data
        raise
    except (Exception, SystemExit) as error:  # whatever the package raises
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(
            f"workload {point.name!r}: {point.value!r} of {package} cannot be loaded: {said}"
        ) from error
    code = getattr(build, "__code__", None)
    if not isinstance(made, Workload) or code is None:
        return made
    return guarded(made, pathlib.Path(code.co_filename), build)
