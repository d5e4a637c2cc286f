"""Curves that nobody trained: exponential decays towards a floor, at a speed that hangs on the learning rate.

Twelve tasks of three families, each family with a learning rate of its own; twenty points of TaskSet's
nadamw_grid, two repeats; too high a learning rate diverges.
"""

from __future__ import annotations

import functools

import numpy as np

from results.curves import CurveArchive
from submissions.taskset_grids import grid_names, grid_point

STEPS = np.arange(0, 1001, 100)
FAMILIES = {"mlp_family": -3.0, "conv_fc_family": -2.0, "FixedMLP": -4.0}  # best log10(learning rate)
TASKS = tuple(
    f"{name}_seed{i}" if name.endswith("family") else f"{name}_mnist_{i}"
    for name in FAMILIES
    for i in range(4)
)
GRID = "nadamw_grid"
POINTS = 20


@functools.cache
def fake_archives(test: bool = True, grid: str = GRID) -> tuple[CurveArchive, ...]:
    """One archive per task, the same for the same arguments."""
    names = grid_names(grid, POINTS)
    rates = np.log10([grid_point(name)["learning_rate"] for name in names])
    archives = []
    for number, task in enumerate(TASKS):
        rng = np.random.default_rng(number)
        best = FAMILIES[task.split("_seed")[0].split("_mnist")[0]] + 0.3 * rng.normal()
        speed = 6 * np.exp(-0.5 * (rates - best) ** 2)
        start, floor = rng.uniform(2, 3), rng.uniform(0.1, 0.5)
        curves = floor + (start - floor) * np.exp(-speed[:, None] * STEPS / 1000)
        ys = curves[:, None, :, None] * (1 + 0.01 * rng.normal(size=(POINTS, 2, len(STEPS), 4)))
        ys[rates > best + 1.5, :, 4:] = np.nan
        if not test:
            ys[..., 3] = np.nan
        archives.append(CurveArchive(task, grid, names, STEPS.astype(np.int64), ys.astype(np.float32)))
    return tuple(archives)
