"""Which workloads there are, and how a name becomes a `Workload`."""

from __future__ import annotations

import dataclasses
import importlib
import os
import pathlib
import re
from collections.abc import Callable

from workloads import _own, augmented, own_files, taskset, velo
from workloads._own import Builder
from workloads._targets import read_targets
from workloads._workload import Workload
from workloads.algoperf import _names as _algoperf
from workloads.installed import _algoperf as _installed_algoperf
from workloads.own_files import OwnFile
from workloads.spelling import closest
from workloads.taskset import fixed

# name, or pattern with the number <k> in it -> "module:function"
WORKLOADS: dict[str, str] = {
    "algoperf/mnist": "workloads.algoperf.mnist:build",
    **{f"taskset/{family}_seed<k>": f"workloads.taskset.{family}:build" for family in taskset.FAMILIES},
    "digits/conv": "workloads.embedded.digits_conv:build",
    "photographs/autoencoder": "workloads.embedded.patches_autoencoder:build",
    "stdlib/char_rnn": "workloads.embedded.stdlib_char_rnn:build",
    "clicks/mlp": "workloads.embedded.clicks:build",
}

SEEDS = range(100)  # of every sampled family, those that `names` lists: TaskSet chose from the same

_REGISTERED: dict[str, Builder] = {}  # what `register` added
_RECORDED: dict[str, _own.InFile] = {}  # what `recorded_name` found in files


def names() -> tuple[str, ...]:
    """Names that `load` accepts. Of a sampled family the seeds 0 to 99 are listed, and any other loads as well.
    Where AlgoPerf is installed, its workloads are among them, behind `algoperf-installed/`; so are those of packages
    with an entry point of the group `shortlist.workloads`. Those of files are not listed.

    Example:
      >>> [name for name in names() if name.startswith("taskset/mlp_family")][15]
      'taskset/mlp_family_seed15'
    """
    sampled = (f"taskset/{family}_seed{seed}" for family in taskset.FAMILIES for seed in SEEDS)
    own = (*(name for name in WORKLOADS if "<k>" not in name), *_algoperf.names())
    fixed_tasks = (f"taskset/{name}" for name in fixed.configs())
    added = dict.fromkeys((*_own.of_packages(), *_REGISTERED))
    return (*own, *sampled, *fixed_tasks, *_installed_algoperf.names(), *added)


def representatives() -> tuple[str, ...]:
    """One name for everything that is built in a way of its own: our workloads, and a member of each sampled family.

    For what is done with all kinds of workloads, such as a benchmark.
    """
    return tuple(
        name.replace("<k>", str(taskset.FAMILIES[family])) if family in taskset.FAMILIES else name
        for name in WORKLOADS
        for family in (name.removeprefix("taskset/").removesuffix("_seed<k>"),)
    )


def register(name: str) -> Callable[[Builder], Builder]:
    """Decorator: add a builder `(data_dir: pathlib.Path | None) -> Workload` under a name.

    Raises:
      ValueError: the name is taken or not path-like.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)+", name):
        raise ValueError(
            f"workload name {name!r} is not path-like; "
            "use letters, digits and '_.-' around a '/', such as 'mine/name'"
        )
    module = own_files.importing()
    table = _REGISTERED if module is None else _own.table(module)
    if name in table or _builtin(name) is not None:
        raise ValueError(f"workload {name!r} exists already; choose another name")

    def add(builder: Builder) -> Builder:
        table[name] = builder
        return builder

    return add


def recorded_name(name: str) -> str:
    """A workload's name as a study records it.

    FILE.py:NAME is imported, and known in this process as NAME from then on. NAME is what the file registers, or the
    function that it registers it with.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file cannot be imported, has no such workload, or another file's has that name in this process.
    """
    if not own_files.is_file_form(name):
        return name
    found = _own.in_file(name)
    known = _RECORDED.get(found.name, found).file
    if known.sha256 != found.file.sha256 and known.path != found.file.path:
        raise ValueError(
            f"{found.file.path}: workload {found.name!r} is already that of {known.path} here; give one of them "
            "another name"
        )
    _RECORDED[found.name] = found
    return found.name


def own_file(name: str) -> OwnFile | None:
    """The file that defines a workload, where `recorded_name` found it in one."""
    return _RECORDED[name].file if name in _RECORDED else None


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Workload:
    """The workload of that name, on embedded data or, where it has a reader for them, on real ones.

    Args:
      name: one of `names()`, or any other seed of a sampled family, such as `taskset/mlp_family_seed1234`. Behind
        an @, a task of TaskSet takes quirks: `taskset/mlp_family_seed12@just_train=honoured`. FILE.py:NAME is one
        that a file of yours registers.
      data_dir: folder with real data sets. A workload whose data set Shortlist can read must find it there;
        the others keep their own data, as their provenance says.

    Returns:
      The workload. Targets that the builder left open come from `targets.json`, and only for data that are
      not real: they were measured on the embedded ones.

    Raises:
      ValueError: unknown name or quirk, or a task that cannot be built.
      FileNotFoundError: data_dir, or a file needed in it, does not exist.
    """
    if own_files.is_file_form(name):
        found = _own.in_file(name)
        name, build = found.name, found.build
    else:
        build = builder(name)
    folder = None if data_dir is None else pathlib.Path(data_dir)
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(
            f"data_dir {str(folder)!r} is not a folder; leave it out to use the embedded data"
        )
    workload = build(folder)
    if not isinstance(workload, Workload):
        raise ValueError(
            f"the builder of {name!r} returned {type(workload).__name__}; return a workloads.Workload"
        )
    if workload.name != name:
        raise ValueError(f"the builder of {name!r} returned a workload named {workload.name!r}; use one name")
    return _with_target(workload)


def builder(name: str) -> Builder:
    """What makes the workload of a name: a function of data_dir.

    Raises:
      ValueError: unknown name, or one of an AlgoPerf that is not installed.
    """
    if name in _RECORDED:
        return _RECORDED[name].build
    ours = _builtin(name)
    found = _own.in_package(name, taken=ours is not None) or _REGISTERED.get(name) or ours
    found = found or _augmented(name) or _with_quirks(name) or _installed(name)
    if found is None:
        if name.endswith(".py"):
            raise ValueError(f"unknown workload {name!r}; one of your own is given as FILE.py:NAME")
        hint = closest(name, names(), "'shortlist workloads' lists them")
        raise ValueError(f"unknown workload {name!r}; {hint}")
    return found


def _builtin(name: str) -> Builder | None:
    for pattern, where in WORKLOADS.items():
        match = re.fullmatch(re.escape(pattern).replace("<k>", "(0|[1-9][0-9]*)"), name)
        if match:
            return _builder(where, *map(int, match.groups()))
    if _algoperf.is_name(name):
        return _native(name)
    fixed_task = name.removeprefix("taskset/")
    if name != fixed_task and fixed_task in fixed.configs():
        return lambda data_dir: fixed.build(fixed_task, data_dir)
    if velo.parse(name) is not None:
        return lambda data_dir: velo.build(name, data_dir)
    return None


def _native(name: str) -> Builder:
    def build(data_dir: pathlib.Path | None) -> Workload:
        from workloads.algoperf import _build  # needs Flax

        return _build.build(name, data_dir)

    return build


def _augmented(name: str) -> Builder | None:
    """Of `<workload>+<augmentation>`: the workload, trained as the augmentations say, under the whole name."""
    if not augmented.names_augmentations(name):
        return None
    return lambda data_dir: augmented.build(name, lambda plain: builder(plain)(data_dir))


def _with_quirks(name: str) -> Builder | None:
    """Of `taskset/<task>@<quirks>`: the task, under the whole name, so that a study records the quirks."""
    task, at, switches = name.partition("@")
    if not at or not task.startswith("taskset/") or _builtin(task) is None:
        return None
    quirks = taskset.Quirks.parse(switches)

    def build(data_dir: pathlib.Path | None) -> Workload:
        return dataclasses.replace(taskset.task(task.removeprefix("taskset/"), data_dir, quirks), name=name)

    return build


def _installed(name: str) -> Builder | None:
    if not name.startswith(_installed_algoperf.PREFIX):
        return None
    plain = _installed_algoperf.known(name)

    def build(data_dir: pathlib.Path | None) -> Workload:
        from workloads.installed import _workload as _installed_workload

        return _installed_workload.build(plain, data_dir)

    return build


def _builder(where: str, *numbers: int) -> Builder:
    def build(data_dir: pathlib.Path | None) -> Workload:
        module, function = where.split(":")
        return getattr(importlib.import_module(module), function)(data_dir, *numbers)

    return build


def _with_target(workload: Workload) -> Workload:
    if workload.validation_target is not None or workload.data.provenance.kind == "real":
        return workload
    target = read_targets().get(workload.name)
    if target is None:
        return workload
    if target.metric != workload.metric.name:
        raise ValueError(
            f"targets.json: {workload.name}: the target is for {target.metric!r}, "
            f"but the workload is judged by {workload.metric.name!r}; measure the target again"
        )
    return dataclasses.replace(
        workload, validation_target=target.validation_target, test_target=target.test_target
    )
