"""Tasks drawn as VeLO's were: a bound on the time of a step first, then a family, a task below it, augmentations.

Metz et al. 2022 (arXiv:2211.09760), appendix C, as the released program has it. Fast tasks come up more often, as most
bounds are low. The original predicts times on a TPU v4; here they are predicted by a model that was measured on the
device at hand, and the bounds are the original's times `slowdown`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import json
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import workloads
from tuning.meta_training.distribution import Task
from workloads import augmented, velo

EARLY = ("image_mlp", "image_conv", "image_mlp_ae", "image_mlp_vae", "vit")
LATE = (
    "lm_rnn",
    "lm_transformer",
    "image_resnet",
    "lopt",
)  # beside them, where a step may take `LATE_FROM` or more
LATE_FROM = 4e-4  # the code says 1e-4, which float32 takes for less than itself
TRIES = 512  # the original's
SEEDS = 2**31


@dataclasses.dataclass(frozen=True)
class Phase:
    """Bounds of the predicted time of a step in seconds on a TPU v4, and how often each is drawn.

    The weights of the first phase sum to 1.1, as released; they count relative to that.
    """

    limits: tuple[float, ...]
    weights: tuple[float, ...]


PHASES = {
    "velo-one": Phase((2e-5, 1e-4, 4e-4, 1e-3), (0.65, 0.3, 0.1, 0.05)),
    "velo-two": Phase((1e-4, 4e-4, 1e-3, 3e-3), (0.4, 0.2, 0.2, 0.2)),
}


@dataclasses.dataclass(frozen=True)
class Parametric:
    """VeLO's families, with augmentations.

    Attributes:
      phase: a key of `PHASES`.
      slowdown: how many times longer than on a TPU v4 a step may take.
      augment: draw augmentations too.
      data_dir: real data; None: stand-ins.
    """

    phase: str = "velo-one"
    slowdown: float = 50.0
    augment: bool = True
    data_dir: str | None = None
    _loaded: dict[str, Task] = dataclasses.field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ValueError(f"unknown phase {self.phase!r}; must be one of {', '.join(PHASES)}")
        if not 0 < self.slowdown < math.inf:
            raise ValueError(f"slowdown is {self.slowdown}; must be above 0")

    @property
    def names(self) -> tuple[str, ...]:
        """The families."""
        return EARLY + LATE

    def describe(self) -> dict[str, Any]:
        """See `Distribution.describe`."""
        return {
            "phase": self.phase,
            "slowdown": self.slowdown,
            "augment": self.augment,
            "data_dir": self.data_dir,
            "seconds_of": {name: list(cost) for name, cost in step_seconds_model().items()},
        }

    def draw(self, key: jax.Array, outer_step: int) -> Task:
        """See `Distribution.draw`. Numbers of a family's draws and scales differ from task to task of a program.

        Raises:
          ValueError: no task of the family drawn is below the bound in 512 tries, see `slowdown`.
        """
        del outer_step
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
        return self.task(self.drawn_name(rng))

    def drawn_name(self, rng: np.random.Generator) -> str:
        """Name of the workload that a generator draws."""
        phase = PHASES[self.phase]
        weights = np.asarray(phase.weights) / sum(phase.weights)
        limit = float(rng.choice(phase.limits, p=weights))
        families = EARLY + LATE if limit >= LATE_FROM else EARLY
        family = families[int(rng.integers(len(families)))]
        for _ in range(TRIES):
            seed = int(rng.integers(SEEDS))
            if predicted_seconds(family, seed) < limit * self.slowdown:
                break
        else:
            raise ValueError(
                f"none of {TRIES} tasks of {family} is predicted to take less than {limit * self.slowdown:.2g} s a "
                f"step; a slowdown of {self.slowdown:g} is too small for this machine"
            )
        switches = augmentations(rng) if self.augment else []
        if family == "lopt":  # a batch of it is of trainings, and the original leaves it whole
            switches = [each for each in switches if not each.startswith("reduced_batch")]
        return augmented.SEPARATOR.join([f"velo/{family}_seed{seed}", *switches])

    def task(self, name: str) -> Task:
        """The task of a name, loaded once."""
        if name not in self._loaded:
            workload = workloads.load(name, self.data_dir)
            self._loaded[name] = Task(workload, resampled if workload.shared else None)
        return self._loaded[name]


def resampled(constants: Mapping[str, Any], key: jax.Array) -> dict[str, Any]:
    """Numbers of another draw, and other scales."""
    of_draw, of_scales = jax.random.split(key)
    return augmented.resampled(velo.resampled(constants, of_draw), of_scales)


def augmentations(rng: np.random.Generator) -> list[str]:
    """As `workloads.augmented` names them, each independent of the others, in the original's order."""

    def some(share: float) -> bool:
        return bool(rng.uniform() < share)

    def log_float(low: float, high: float) -> float:
        return math.exp(rng.uniform(math.log(low), math.log(high)))

    made = []
    level = (None, None, "global", "global", "tensor", "tensor", "element")[int(rng.integers(7))]
    if level is not None:
        low, high = (("0.001", "1000"), ("0.01", "100"), ("0.1", "10"))[int(rng.integers(3))]
        made.append(f"reparametrised={level}:{low}:{high}")
    if some(0.08):
        made.append(f"es_gradient={log_float(1e-3, 0.1):.4g}:{2 ** int(rng.integers(5))}")
    if some(0.2):
        made.append(f"reduced_batch={rng.uniform(0.01, 1.0):.4g}")
    if some(0.2):
        made.append("bfloat16")
    if some(0.05):
        made.append("normalized_gradient")
    if some(0.08):
        made.append(f"random_directions={int(log_float(1, 1024))}{':sign' if some(0.5) else ''}")
    if some(0.05):
        made.append(f"delayed={int(log_float(1, 8))}")
    return made


def predicted_seconds(family: str, seed: int) -> float:
    """Time of a training step of a seed of VeLO's families, before augmentation, on a device like this."""
    kind = "cpu" if jax.default_backend() == "cpu" else "other"
    coefficients, counts = step_seconds_model()[kind], counts_of_step(velo.work(family, seed))
    return sum(coefficients[name] * count for name, count in counts.items())


def counts_of_step(work: velo.Work) -> dict[str, float]:
    """What a step's time is a sum of, each so many times a coefficient of `step_seconds_model`."""
    return {
        "steps": 1.0,
        "operations": work.operations,
        "FLOPs of products": work.flops - work.convolved,
        "FLOPs of convolutions": work.convolved,
        "parameters": work.parameters,
        "turns": work.turns,
    }


@functools.cache
def step_seconds_model() -> dict[str, dict[str, float]]:
    """Kind of device -> seconds for each of `counts_of_step`, as `benchmarks.step_seconds` found.

    Of what nobody measured, `other`, a tenth of a CPU's counts.
    """
    text = importlib.resources.files("tuning.meta_training").joinpath("step_seconds.json").read_text()
    cpu = json.loads(text)["cpu"]
    return {"cpu": cpu, "other": {name: each / 10 for name, each in cpu.items()}}
