"""How the trials of a population are spread over programs: measured per device and cost class, not guessed.

On a CPU the programs of a population run side by side, one per core: XLA spreads large matrix products over cores, but
nothing else, so that one program of a small model leaves the others idle most of the time. How many trials one program
holds depends on the cost class: perceptrons gain from one large product for many trials, convolutions and recurrences
from working sets that fit into a core's cache. `widths.json` holds what
`python -m benchmarks.population --write-widths` measured, and for workers that share an accelerator what
`python -m benchmarks.actors_per_gpu --write` did.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterable
from importlib import resources

import jax
import numpy as np

LEAST_COHORT = 8  # trials; a file for each would be many
OTHER = "other"  # cost classes that nobody has measured


@dataclasses.dataclass(frozen=True)
class Spread:
    """How a population is spread.

    Attributes:
      width: at most so many trials in one program.
      side_by_side: programs at a time.
      devices: that the trials of a program are spread over; a program holds a multiple of so many trials.
    """

    width: int
    side_by_side: int
    devices: int = 1

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise ValueError(f"{name} is {value}, must be at least 1")

    def parts(self, trials: int) -> tuple[np.ndarray, ...]:
        """Trials of each program: equally many, so that one program serves all; the last trial fills up the rest.

        Every place has a program as long as there are trials for it.

        Example:
          >>> [part.tolist() for part in Spread(width=4, side_by_side=2).parts(5)]
          [[0, 1, 2], [3, 4, 4]]
        """
        turns = -(-trials // (self.width * self.side_by_side))
        size = -(-trials // (turns * self.side_by_side))
        size = -(-size // self.devices) * self.devices
        rows = np.arange(-(-trials // size) * size)
        return tuple(np.minimum(rows, trials - 1).reshape(-1, size))


def spread(cost_class: str, width: int | None = None, side_by_side: int | None = None) -> Spread:
    """How a population of a cost class is spread on this machine.

    Args:
      cost_class: of the workload.
      width, side_by_side: replace what was measured.
    """
    return Spread(
        width=width or measured_width(cost_class),
        side_by_side=side_by_side or places(),
        devices=len(jax.local_devices()),
    )


def measured_width(cost_class: str, device: str | None = None) -> int:
    """Trials per program that serve a cost class best.

    Args:
      cost_class: of the workload.
      device: kind that trains it, as `environment.device_kind` says it; None: this process's.
    """
    if device is None:
        first = jax.local_devices()[0]
        platform, kind = first.platform, first.device_kind
    else:
        platform, _, kind = device.partition(" ")
    table = _tables()["trials_per_program"]
    widths = table.get(kind) or table.get(platform) or table["cpu"]
    return widths.get(cost_class, widths[OTHER])


def workers_per_device(cost_classes: Iterable[str], device: str) -> int:
    """Workers of which each has its part of one accelerator: as many as serve all these cost classes.

    Several gain where the programs of one leave a device idle; whoever needs all of it decides. On a CPU workers have
    cores of their own.

    Args:
      cost_classes: of the workloads that they train; none: whatever comes.
      device: kind, as `environment.device_kind` says it, or its platform alone.

    Example:
      >>> workers_per_device(["mlp", "conv"], "gpu Abacus")
      1
    """
    platform, _, kind = device.partition(" ")
    table = _tables()["workers_per_device"]
    rows = table.get(kind) or table.get(platform) or {OTHER: 1}
    return min((rows.get(one, rows[OTHER]) for one in cost_classes), default=rows[OTHER])


def cohort_size(cost_class: str, device: str | None = None) -> int:
    """Trials that a study writes at a time: what one program holds, or several where it holds few."""
    width = measured_width(cost_class, device)
    return width * -(-LEAST_COHORT // width)


def width_within(cost_class: str, cohort_size: int, device: str | None = None) -> int:
    """Trials per program of cohorts whose size is given: equal programs, as near to the measured width as they can be.

    Example:
      >>> nearest = lambda width, size: -(-size // max(1, round(size / width)))
      >>> [nearest(width, 5) for width in (1, 4, 16)]
      [1, 5, 5]
    """
    programs = max(1, round(cohort_size / measured_width(cost_class, device)))
    return -(-cohort_size // programs)


def places() -> int:
    """Programs that run best at a time: one per core on a CPU; one, over all devices, on anything else."""
    devices = jax.local_devices()
    return cores() if devices[0].platform == "cpu" and len(devices) == 1 else 1


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _tables() -> dict[str, dict[str, dict[str, int]]]:
    """Of what -> kind of device, or platform -> cost class -> a number that was measured."""
    return json.loads(resources.files("tuning.engine").joinpath("widths.json").read_text())
