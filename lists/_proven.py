"""A list with its proof: chosen from all workloads, beside what leaving one of them out says of such lists."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl

from lists._build import build_list, read_if_needed
from lists._cost import PENALTY, cost
from lists._list_file import HyperparameterList
from results import Results, hits


def proven_list(
    candidates: Path | Results,
    proof: Path | Results,
    *,
    size: int = 5,
    penalty: float = PENALTY,
    name: str | None = None,
) -> HyperparameterList:
    """The greedy list of all workloads; `made_by` says how the lists built without one did on it.

    Args:
      candidates: the study that the list is chosen from, or its folder.
      proof: the study that trained anew, on every workload, the list built without it, or its folder.
      size, penalty: see `build_list`.
      name: of the list; by default that of the candidates' study.

    Returns:
      The list. `made_by` has `left_out` (workloads left out, one at a time), `trained` (how many of them the list
      built on the others trains: the median over repeats of its best point reaches the target), `left_out_cost`
      (C_tau of these lists on the workloads that they have not seen), `repeats` (trainings of every point), and for
      every workload `data of NAME`, where its data came from.

    Raises:
      ValueError, FileNotFoundError: one of the studies cannot be read, or holds no trials with a target.
    """
    built = build_list(candidates, size=size, penalty=penalty).as_list()
    read, where = read_if_needed(proof, None, None, None)
    if not isinstance(read, Results) or not (reached := held_out_fractions(read)):
        raise ValueError(f"{where}: no finished trials on workloads with targets, so nothing proves a list")
    proven: dict[str, str | int | float | None] = {
        "left_out": len(reached),
        "trained": int(np.isfinite(list(reached.values())).sum()),
        "left_out_cost": cost(np.array([list(reached.values())]), penalty),
        "repeats": int(read.trials["repeat"].n_unique()),
    }
    sources = read.trials.select("workload", "data").unique(maintain_order=True).sort("workload")
    proven |= {f"data of {workload}": data for workload, data in sources.iter_rows() if workload in reached}
    return dataclasses.replace(
        built, name=built.name if name is None else name, made_by={**built.made_by, **proven}
    )


def held_out_fractions(results: Results) -> dict[str, float]:
    """Workload -> step fraction of the list that was tried there: the median over repeats of each point, then the best
    point (Medapati et al. 2025, arXiv:2503.03986, section 2.5). Workloads without a target are left out.

    Args:
      results: trials of one study; a trial that is missing is no miss.
    """
    judged = hits(results).filter(pl.col("step_fraction").is_not_null())
    of_points = judged.group_by("workload", "point", maintain_order=True).agg(
        pl.col("step_fraction").median()
    )
    best = of_points.group_by("workload", maintain_order=True).agg(pl.col("step_fraction").min())
    return dict(best.iter_rows())
