"""TaskSet's distributions over optimizer hyperparameters, draw for draw, and its optimizers of fixed names.

    >>> grid_point("adam8p_wide_grid_seed21") == grid_point("adam8p_wide_grid", 21)
    True
    >>> grid_point("adam_lr_-3.00"), GRIDS["adam_lr"].optimizer
    ({'learning_rate': 0.001}, 'adam1p')

A name with a seed, such as `nadamw_grid_seed251`, is what TaskSet calls one setting in its curves and lists.
Its own files hold seeds 0 to 999. Nothing here needs JAX.

Reference: Metz et al. 2020, arXiv:2002.11887, and the program of TaskSet.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable

from workloads.spelling import did_you_mean

Setting = dict[str, float | bool]
TASKSET_SEEDS = 1000  # its files and curves have seeds 0 to 999 of every sampler


class _Draws:
    """NumPy's legacy generator with TaskSet's distributions on top."""

    def __init__(self, seed: int) -> None:
        import numpy as np  # naming the grids does not need it

        self._generator = np.random.RandomState(seed)

    def uniform(self) -> float:
        return self._generator.uniform(0.0, 1.0)

    def log_uniform(self, low: float, high: float) -> float:
        # The math module: NumPy's exp and log may differ from it in the last bit.
        return math.exp(self._generator.uniform(math.log(low), math.log(high)))


# In what follows every call draws, and the order of the draws is the definition.


def _adam1p(draws: _Draws) -> Setting:
    return {"learning_rate": draws.log_uniform(1e-8, 10.0)}


def _adam4p(draws: _Draws) -> Setting:
    return {
        **_adam1p(draws),
        "beta1": 1 - draws.log_uniform(1e-4, 1.0),
        "beta2": 1 - draws.log_uniform(1e-6, 1.0),
        "epsilon": draws.log_uniform(1e-10, 1e3),
    }


def _decays(draws: _Draws) -> Setting:
    return {
        "linear_decay": draws.log_uniform(1e-7, 1e-4),
        # The original's interval runs backwards. Turned round, every seed would give another number.
        "exponential_decay": draws.log_uniform(1e-3, 1e-6),
    }


def _adam6p(draws: _Draws) -> Setting:
    return {**_adam4p(draws), **_decays(draws)}


def _adam8p(draws: _Draws) -> Setting:
    penalties = {**_adam4p(draws), "l1": draws.log_uniform(1e-8, 10.0), "l2": draws.log_uniform(1e-8, 10.0)}
    return {**penalties, **_decays(draws)}


def _adagrad(draws: _Draws) -> Setting:
    return {**_adam1p(draws), "initial_accumulator_value": draws.log_uniform(1e-10, 1e3)}


def _nadamw(draws: _Draws) -> Setting:
    point: Setting = {
        "learning_rate": draws.log_uniform(1e-5, 1.0),
        "beta1": 1.0 - draws.log_uniform(1e-3, 1.0),
        "beta2": 1.0 - draws.log_uniform(1e-5, 1.0),
        "epsilon": draws.log_uniform(1e-8, 1e4),
        "use_nesterov": draws.uniform() > 0.5,
    }
    kind = draws.uniform()
    adamw_alone, l2_alone = kind < 0.3333, 0.3333 <= kind < 0.6666
    point["adamw_weight_decay"] = 0.0 if l2_alone else draws.log_uniform(1e-5, 1e-1)
    point["l2_weight_decay"] = 0.0 if adamw_alone else draws.log_uniform(1e-5, 1e-1)
    point["warmup_fraction"] = draws.log_uniform(1e-5, 1e-1) if draws.uniform() > 0.5 else 0.0
    point["min_learning_rate_mult"] = 0.0 if draws.uniform() > 0.5 else draws.log_uniform(1e-5, 1.0)
    point["constant_fraction"] = draws.uniform()
    return point


# TaskSet's fixed learning rates: half orders of magnitude. Names carry their logarithm.
_LOG10_RATES = [-7 + half / 2 for half in range(17)]
_RATES = {f"{log10:.2f}": 10.0**log10 for log10 in _LOG10_RATES}


@dataclasses.dataclass(frozen=True)
class Grid:
    """A set of settings of one optimizer.

    Attributes:
      optimizer: the row of `submissions.OPTIMIZERS` that the settings are for.
      offset: added to a seed before the generator sees it. TaskSet chose them so that sets do not share draws,
        except those with offset 0: there, equal seeds begin with equal numbers.
      sample: setting of a generator; None for a set of fixed names.
      fixed: name -> setting, of the fixed ones.
    """

    optimizer: str
    offset: int = 0
    sample: Callable[[_Draws], Setting] | None = None
    fixed: dict[str, Setting] = dataclasses.field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many settings there are: TaskSet keeps seeds 0 to 999, and 17 learning rates."""
        return len(self.fixed) or TASKSET_SEEDS


GRIDS = {
    "adam1p_wide_grid": Grid("adam1p", 4123, _adam1p),
    "adam4p_wide_grid": Grid("adam4p", 0, _adam4p),
    "adam6p_wide_grid": Grid("adam6p", 123455, _adam6p),
    "adam8p_wide_grid": Grid("adam8p", 0, _adam8p),
    "adagrad_wide_grid": Grid("adagrad_tf", 0, _adagrad),
    "nadamw_grid": Grid("nadamw_metz_code", 14358, _nadamw),
    "adam_lr": Grid("adam1p", fixed={f"adam_lr_{k}": {"learning_rate": v} for k, v in _RATES.items()}),
    "adagrad_lr": Grid(
        "adagrad_tf", fixed={f"adagrad_lr_{k}": {"learning_rate": v} for k, v in _RATES.items()}
    ),
    "zero": Grid("zero", fixed={"zero": {}}),
}


def grid(name: str) -> Grid:
    """The grid of a name in `GRIDS`.

    Raises:
      ValueError: no such grid.
    """
    if name not in GRIDS:
        raise ValueError(f"unknown grid {name!r}{did_you_mean(name, GRIDS)} (allowed: {', '.join(GRIDS)})")
    return GRIDS[name]


def grid_names(name: str, count: int) -> tuple[str, ...]:
    """TaskSet's names of the first settings of a grid: `<grid>_seed0`, ..., or the fixed names, in order.

    Args:
      name: a key of `GRIDS`.
      count: how many, from 0 to the grid's size.

    Raises:
      ValueError: no such grid, or more settings than it has.

    Example:
      >>> grid_names("adam_lr", 3)
      ('adam_lr_-7.00', 'adam_lr_-6.50', 'adam_lr_-6.00')
    """
    chosen = grid(name)
    if not 0 <= count <= chosen.size:
        raise ValueError(f"{count} settings of {name}: it has {chosen.size}")
    if chosen.fixed:
        return tuple(chosen.fixed)[:count]
    return tuple(f"{name}_seed{seed}" for seed in range(count))


def grid_point(name: str, seed: int | None = None) -> Setting:
    """The hyperparameters of one setting.

    | grid | values, in the order they are drawn; log-uniform unless said otherwise |
    |---|---|
    | adam1p_wide_grid | learning_rate in [1e-8, 10] |
    | adam4p_wide_grid | learning_rate; 1 - beta1 in [1e-4, 1]; 1 - beta2 in [1e-6, 1]; epsilon in [1e-10, 1e3] |
    | adam6p_wide_grid | those four; linear_decay in [1e-7, 1e-4]; exponential_decay in [1e-6, 1e-3] |
    | adam8p_wide_grid | those four; l1 and l2 in [1e-8, 10]; linear_decay; exponential_decay |
    | adagrad_wide_grid | learning_rate in [1e-8, 10]; initial_accumulator_value in [1e-10, 1e3] |
    | nadamw_grid | learning_rate in [1e-5, 1]; 1 - beta1 in [1e-3, 1]; 1 - beta2 in [1e-5, 1]; epsilon in |
    | | [1e-8, 1e4]; use_nesterov true or false; adamw_weight_decay and l2_weight_decay in [1e-5, 1e-1], one |
    | | (else 0) or both, a third each; warmup_fraction in [1e-5, 1e-1] or 0, even odds; min_learning_rate_mult |
    | | 0 or in [1e-5, 1], even odds; constant_fraction uniform in [0, 1) |
    | adam_lr, adagrad_lr | fixed names: learning_rate 10^-7, 10^-6.5, ..., 10 |
    | zero | a fixed name without hyperparameters |

    Args:
      name: a setting such as `adam4p_wide_grid_seed3` or `adam_lr_-3.00`; with a seed, the grid's name alone.
      seed: 0 to 999 in TaskSet's files; any number that NumPy's legacy generator takes works.

    Returns:
      Name -> value, as `Grid.optimizer` reads them, in the original's order.

    Raises:
      ValueError: no such grid or setting, or a seed that the generator does not take.

    Example:
      >>> grid_point("nadamw_grid", 0)["learning_rate"]
      0.00013043019947775472
    """
    if seed is None:
        seeded = re.fullmatch(r"(\w+)_seed(0|[1-9]\d*)", name)  # nadamw_grid_seed251
        if not seeded:
            return _fixed_point(name)
        name, seed = seeded[1], int(seeded[2])
    chosen = grid(name)
    if chosen.sample is None:
        raise ValueError(f"{name} takes no seed; its settings are {', '.join(chosen.fixed)}")
    last = 2**32 - 1 - chosen.offset
    if not 0 <= seed <= last:
        raise ValueError(f"seed is {seed}; must be from 0 to {last} (TaskSet has 0 to 999)")
    return chosen.sample(_Draws(seed + chosen.offset))


def _fixed_point(name: str) -> Setting:
    settings = {key: setting for row in GRIDS.values() for key, setting in row.fixed.items()}
    if name not in settings:
        seeded = [f"{key}_seed0" for key, row in GRIDS.items() if row.sample]
        hint = did_you_mean(name, [*settings, *seeded])
        raise ValueError(
            f"unknown setting {name!r}{hint} (such as 'nadamw_grid_seed251' or 'adam_lr_-3.00'; the grids are "
            f"{', '.join(GRIDS)})"
        )
    return dict(settings[name])
