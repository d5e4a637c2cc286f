"""What can be said of all workloads at once, without loading more than is asked for.

Listing names reads nothing. Data sets and batch sizes come from configs, which sampling makes in milliseconds each.
Parameters and operations need the workload itself, whose shapes are traced; nothing is compiled.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Literal

from workloads import _registry, taskset
from workloads._facts import facts, parameter_count
from workloads._flops import flops_per_step
from workloads.algoperf import _listed as _algoperf
from workloads.spelling import closest
from workloads.taskset import fixed
from workloads.taskset.quirks import RELEASED, Quirks

Kind = Literal["sampled", "fixed", "own"]
KINDS: tuple[Kind, ...] = ("sampled", "fixed", "own")

GENERATED = "generated"  # the data of tasks that make their own

# The four fixed tasks that do not do what their names say.
MISNAMED = (
    "FixedImageConvAE_mnist_32x64x32x64x32_bs512",
    "FixedImageConvVAE_mnist_32x64x32x64x32_bs128",
    "FixedNVP_mnist_9layer_thin_bs16",
    "Imagenet32x30_FC_VAE_128x64x32x64x128_relu_bs256",
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of the catalogue.

    Attributes:
      name: as `load` takes it.
      family: of a sampled task its family; of a fixed one its group in `fixed.json`; else the first part of the name.
      kind: `sampled` or `fixed` by TaskSet, or `own`.
      seed: of a sampled task.
      switched: its quirks, where the name says others than the released ones.
    """

    name: str
    family: str
    kind: Kind
    seed: int | None = None
    switched: Quirks = RELEASED

    @property
    def task(self) -> str:
        """TaskSet's name, without quirks."""
        return self.name.partition("@")[0].removeprefix("taskset/")

    @functools.cached_property
    def config(self) -> Any:
        """The original's configuration; None for what is not TaskSet's."""
        if self.seed is not None:
            return taskset.sample(self.family, self.seed)
        return fixed.configs()[self.task] if self.kind == "fixed" else None

    @property
    def data(self) -> str | None:
        """The data set by its name in the config; for AlgoPerf's workloads the first word of their names, and for
        others of our own the first part of the name."""
        config = self.config
        if config is None:
            group, _, name = self.name.partition("/")
            name = name.partition("@")[0]
            return name.partition("_")[0] if group in ("algoperf", "algoperf-installed") else self.family
        if isinstance(config, list) or "dataset" not in config:
            return GENERATED
        return config["dataset"] if isinstance(config["dataset"], str) else config["dataset"][0]

    @property
    def quirks(self) -> dict[str, str]:
        """The switches of `taskset.quirks.Quirks` that make a difference to this task -> their positions."""
        if self.config is None:
            return {}
        config = self.config if isinstance(self.config, dict) else {}
        text = json.dumps(self.config)
        language_model = self.family.endswith("language_model_family")
        maf = self.family in ("maf_family", "maf")
        relevant = {
            "just_train": '"just_train": true' in text and not language_model,
            "augment_splits": '"crop_amount"' in text,
            "truncated_normal": '["truncated_normal"' in text,
            "text_dataset": self.family == "rnn_text_classification_family",
            "misnamed_tasks": self.task in MISNAMED,
            "lm_padding": language_model,
            "maf_masks": maf,
            "maf_kernel_constraint": maf,
            "batch_norm": bool(config.get("batch_norm")) or config.get("norm") == "batch",
            "dropout_eval": config.get("dropout_keep_prob") is not None,
            "losg_data_seed": self.family == "losg_tasks_family",
        }
        return {name: getattr(self.switched, name) for name, is_so in relevant.items() if is_so}

    @property
    def rejected(self) -> str | None:
        """Why Shortlist leaves the task out of its own sweeps; None where it does not."""
        return taskset.rejected().get(self.task)


def entry(name: str) -> Entry:
    """The line of a name.

    Raises:
      ValueError: unknown name.
    """
    name = _registry.recorded_name(name)
    _registry.builder(name)  # refuses unknown names
    plain, _, switches = name.partition("@")
    quirks = Quirks.parse(switches) if switches and plain.startswith("taskset/") else RELEASED
    task = plain.removeprefix("taskset/")
    sampled = re.fullmatch(r"taskset/(\w+)_seed(\d+)", plain)
    if sampled and sampled[1] in taskset.FAMILIES:
        return Entry(name, sampled[1], "sampled", int(sampled[2]), quirks)
    if task != plain and task in fixed.configs():
        return Entry(name, fixed.configs()[task]["group"], "fixed", switched=quirks)
    return Entry(name, name.partition("/")[0], "own")


def families() -> dict[str, dict[str, Any]]:
    """Family -> its kind, how many members the catalogue has (any seed loads), and the name of one.

    Example:
      >>> families()["mlp_ae_family"]["members"], families()["mlp_ae"]["members"]
      (100, 3)
    """
    found: dict[str, dict[str, Any]] = {}
    for name in _registry.names():
        line = entry(name)
        row = found.setdefault(line.family, {"kind": line.kind, "members": 0, "example": name})
        row["members"] += 1
        if name in _registry.representatives():
            row["example"] = name
    return found


def select(
    family: str | None = None,
    data: str | None = None,
    kinds: Collection[Kind] = KINDS,
    seeds: Iterable[int] | None = None,
    max_parameters: float | None = None,
    max_flops: float | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Rows of the catalogue that pass every filter.

    Args:
      family: see `Entry.family`.
      data: a data set, or its beginning up to a `_` or `/`: `food101` is food101_32x32 too, `mnist` is not
        fashion_mnist.
      kinds: which kinds.
      seeds: of the sampled families, any; None: 0 to 99.
      max_parameters, max_flops: of parameters, and of operations per step (`flops_per_step`). What cannot be built
        does not pass.
      progress: called with (what, done, total) while workloads are built.

    Returns:
      name, family, kind, data and why it is rejected, with parameters and flops_per_step where a filter needed them;
      AlgoPerf's have both from a table, their step hint, and their validation targets by version.

    Raises:
      ValueError: there is no such family or data set.
    """
    if family is not None and family not in families():
        raise ValueError(f"unknown family {family!r}; {_hint(family, families())}")
    lines = [line for line in _lines(kinds, seeds) if family in (None, line.family)]
    if data is not None:
        known = {line.data for line in lines if line.data}
        lines = [line for line in lines if re.match(rf"{re.escape(data)}(?![A-Za-z0-9])", line.data or "")]
        if known and not lines:
            raise ValueError(f"no data set {data!r} here; {_hint(data, known)}")
    rows = []
    for done, line in enumerate(lines):
        row = {"name": line.name, "family": line.family, "kind": line.kind}
        row |= {"data": line.data, "rejected": line.rejected}
        if _algoperf.is_listed(line.name):
            row |= _algoperf.listed(line.name)
        if max_parameters is not None or max_flops is not None:
            if progress:
                progress("workloads", done, len(lines))
            cost = _cost(line.name, max_parameters, max_flops)
            if cost is None:
                continue
            row |= cost
        rows.append(row)
    if progress and (max_parameters is not None or max_flops is not None):
        progress("workloads", len(lines), len(lines))
    return rows


def describe(name: str, data_dir: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Everything about one workload, ready for JSON: `facts`, with its place in the catalogue, its configuration, what
    a step costs, and the quirks that concern it.

    Args:
      name, data_dir: see `load`.
    """
    line = entry(name)
    workload = _registry.load(line.name, data_dir)
    row = facts(workload)
    if _algoperf.is_listed(line.name):
        row |= {"targets_by_version": _algoperf.targets(line.name)}
    return {
        **row,
        "family": line.family,
        "kind": line.kind,
        "seed": line.seed,
        "flops_per_step": flops_per_step(workload),
        "config": line.config,
        "quirks": line.quirks,
        "rejected": line.rejected,
    }


def comparable_facts(name: str, data_dir: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """`facts`, with the family of TaskSet's tasks and the data set: what tells workloads that are alike.

    Args:
      name, data_dir: see `load`.
    """
    line = entry(name)
    family = None if line.kind == "own" else line.family
    return {**facts(_registry.load(line.name, data_dir)), "family": family, "data_set": line.data}


def _lines(kinds: Collection[Kind], seeds: Iterable[int] | None) -> Iterator[Entry]:
    lines = map(entry, _registry.names())
    if seeds is not None:
        chosen = tuple(seeds)
        sampled = (
            Entry(f"taskset/{family}_seed{seed}", family, "sampled", seed)
            for family in taskset.FAMILIES
            for seed in chosen
        )
        lines = (*sampled, *(line for line in lines if line.kind != "sampled"))
    return (line for line in lines if line.kind in kinds)


def _cost(name: str, max_parameters: float | None, max_flops: float | None) -> dict[str, int] | None:
    """Parameters, and operations where they are asked for; None where a limit is passed or nothing can be built."""
    known = _algoperf.size(name) if _algoperf.is_listed(name) else None
    if known is not None:
        cost = {"parameters": known["parameters"]}
        if max_flops is not None:
            cost["flops_per_step"] = known["flops_per_step"]
    else:
        try:
            workload = _registry.load(name)
        except ValueError:
            return None  # an invalid config of a sampled family
        cost = {"parameters": parameter_count(workload)}
        if max_flops is not None and not (max_parameters is not None and cost["parameters"] > max_parameters):
            cost["flops_per_step"] = flops_per_step(workload)
    limits = {
        "parameters": math.inf if max_parameters is None else max_parameters,
        "flops_per_step": math.inf if max_flops is None else max_flops,
    }
    return cost if all(value <= limits[key] for key, value in cost.items()) else None


def _hint(wrong: str, known: Iterable[str]) -> str:
    known = sorted(known)
    return closest(wrong, known, f"known: {', '.join(known)}")
