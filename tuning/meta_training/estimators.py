"""Estimates of the gradient of a meta-loss by an optimizer's weights: the arithmetic, and which estimators there are.

Evolution strategies perturb the weights of every task by its own xi ~ N(0, std^2), and train it twice, with theta + xi
and with theta - xi, from the same initial parameters, on the same data, with the same keys. What comes of the two is L+
and L-; d = L+ - L-:

| estimator | gradient, a mean over tasks | trained |
|---|---|---|
| full length (arXiv:2211.09760) | d xi / (2 std^2), L of the whole training | from start to end |
| truncated | d xi / (2 std^2), L the mean of a window | windows; both signs begin where theta + xi ended |
| persistent (PES, arXiv:2112.13835) | sum_t d_t acc / (n 2 std^2) | windows; the signs go on apart |

acc is the sum of all xi that a task has been trained with, and n the steps of the window, without those that reset.
With `sign`, d is replaced by its sign times this number, so that every task weighs the same.

Losses are [step, task] or [task]; perturbations are trees with a leading axis [task]. The order of sums and differences
is that of learned_optimization, as float32 loses digits in it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

TRAJECTORY = ("avg", "min", "last")  # what the losses of a training become one by
LOSSES = (*TRAJECTORY, "last_recompute")


class Window(NamedTuple):
    """What came of some steps of the two trainings of every task.

    Attributes:
      plus, minus: [step, task], losses with theta + xi and theta - xi.
      mask: [step, task], False where a task was reset instead of trained.
      done: [step, task], whether the task ended with this step; the next one resets it.
    """

    plus: jax.Array
    minus: jax.Array
    mask: jax.Array
    done: jax.Array


class Estimate(NamedTuple):
    """Gradient by the weights, and the mean of L+ and L- over tasks."""

    gradient: Any
    loss: jax.Array


def of_trajectory(losses: jax.Array, kind: str) -> jax.Array:
    """One loss per task, [task], of those of its steps, [step, task]."""
    return {"avg": lambda: losses.mean(0), "min": lambda: losses.min(0), "last": lambda: losses[-1]}[kind]()


def full_length(
    plus: jax.Array,
    minus: jax.Array,
    xi: Any,
    std: float,
    sign: float | None = None,
    clip: float | None = None,
) -> Estimate:
    """The estimate from whole trainings.

    A difference that is no number counts as 0; then comes the clip, then the sign.

    Args:
      plus, minus: [task].
      xi: perturbations.
      std: of them.
      sign: see the module; None: the differences themselves.
      clip: bound of the differences; None: none.
    """
    difference = jnp.nan_to_num(plus - minus, posinf=0.0, neginf=0.0)
    if clip is not None:
        difference = jnp.clip(difference, -clip, clip)
    if sign is not None:
        difference = jnp.sign(difference) * sign
    return Estimate(_mean_of(difference / (2 * std**2), xi), _mean_loss(plus, minus))


def truncated(window: Window, xi: Any, std: float, sign: float | None = None) -> Estimate:
    """The estimate from a window in which both signs began at the same state. Arguments as in `full_length`."""
    plus, minus = _masked_mean(window.plus, window.mask), _masked_mean(window.minus, window.mask)
    difference = plus - minus
    if sign is not None:
        difference = jnp.sign(difference) * sign
    return Estimate(_mean_of(difference / (2 * std**2), xi), _mean_loss(plus, minus))


def persistent(
    window: Window,
    xi: Any,
    accumulated: Any,
    std: float,
    sign: float | None = None,
    exact_resets: bool = False,
) -> tuple[Estimate, Any]:
    """The estimate from a window of trainings that go on, and what has accumulated afterwards.

    Args:
      window: of losses.
      xi, std, sign: see `full_length`; the sign is that of the mean over the window.
      accumulated: the perturbations of earlier windows, summed since each task began.
      exact_resets: the original slips twice, and this mends it. There the step that ends a task counts as after the
        reset, so that its difference multiplies xi alone; and where it is the last of a window, the task that begins in
        the next inherits xi, which it never saw.
    """
    difference = window.plus - window.minus
    if sign is not None:
        difference = jnp.ones_like(difference) * jnp.sign((difference * window.mask).mean(0)) * sign
    ended = jnp.cumsum(window.done.astype(jnp.int32), 0)
    after = (ended - window.done if exact_resets else ended) > 0
    steps = window.mask.sum(0)
    of_old = (difference * (1.0 - after) * window.mask).sum(0) / steps
    of_new = (difference * after * window.mask).sum(0) / steps
    factor = 1.0 / (2 * std**2)
    accumulated = jax.tree.map(jnp.add, xi, accumulated)
    gradient = jax.tree.map(
        lambda old, new: (_along(of_old, old) * factor * old + _along(of_new, new) * factor * new).mean(0),
        accumulated,
        xi,
    )
    kept = jax.tree.map(lambda new, old: jnp.where(_along(after[-1], new), new, old), xi, accumulated)
    if exact_resets:
        kept = jax.tree.map(lambda x: jnp.where(_along(window.done[-1], x), 0.0, x), kept)
    loss = _mean_loss(_masked_mean(window.plus, window.mask), _masked_mean(window.minus, window.mask))
    return Estimate(gradient, loss), kept


def _masked_mean(losses: jax.Array, mask: jax.Array) -> jax.Array:
    return (losses * mask).sum(0) / mask.sum(0)


def _mean_loss(plus: jax.Array, minus: jax.Array) -> jax.Array:
    return ((plus + minus) / 2.0).mean()


def _mean_of(factors: jax.Array, xi: Any) -> Any:
    return jax.tree.map(lambda x: (_along(factors, x) * x).mean(0), xi)


def _along(of_task: jax.Array, like: jax.Array) -> jax.Array:
    """[task] with as many axes as `like`."""
    return of_task.reshape(-1, *(1,) * (like.ndim - 1))


@dataclasses.dataclass(frozen=True)
class FullES:
    """Evolution strategies over whole trainings, all of one length per estimate.

    Attributes:
      std: of perturbations.
      loss: avg, min or last of the training losses, or last_recompute: the mean over fresh batches at the end.
      recompute_batches: their number.
      sign, clip: see `full_length`.
      multiple: lengths are rounded down to multiples of it, and up to one.
    """

    std: float = 0.01
    loss: str = "avg"
    recompute_batches: int = 50
    sign: float | None = None
    clip: float | None = None
    multiple: int = 10

    def __post_init__(self) -> None:
        _check_loss(self.loss, LOSSES)


@dataclasses.dataclass(frozen=True)
class TruncatedES:
    """Evolution strategies over windows; biased towards what pays within one."""

    std: float = 0.01
    window: int = 20
    sign: float | None = None


@dataclasses.dataclass(frozen=True)
class PersistentES:
    """Persistent evolution strategies: windows without that bias, of more variance. See `persistent`."""

    std: float = 0.01
    window: int = 20
    sign: float | None = None
    exact_resets: bool = False


@dataclasses.dataclass(frozen=True)
class TruncatedGradient:
    """Backpropagation through the steps of a window."""

    window: int = 20


@dataclasses.dataclass(frozen=True)
class FullGradient:
    """Backpropagation through whole trainings. Every length is a program of its own.

    Attributes:
      loss: avg or last of the training losses.
      multiple: see `FullES`.
    """

    loss: str = "avg"
    multiple: int = 10

    def __post_init__(self) -> None:
        _check_loss(self.loss, ("avg", "last"))


Estimator = FullES | TruncatedES | PersistentES | TruncatedGradient | FullGradient

ESTIMATORS: dict[str, type[Estimator]] = {
    "full-es": FullES,
    "truncated-es": TruncatedES,
    "persistent-es": PersistentES,
    "truncated-gradient": TruncatedGradient,
    "full-gradient": FullGradient,
}


def _check_loss(loss: str, allowed: tuple[str, ...]) -> None:
    if loss not in allowed:
        raise ValueError(f"loss is {loss!r}; must be one of {', '.join(allowed)}")
