"""The curve of a tuned optimizer: which loss the best of its learning rates has after so many steps.

Reference: Metz et al. 2022, arXiv:2211.09760 (VeLOdrome), as its program builds it: google/learned_optimization.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

DECAY = 0.95  # of the moving average over evaluations
POINTS = 512  # of a curve; 2048 in the original's curves of 300,000 steps


@dataclasses.dataclass(frozen=True, eq=False)
class BaselineCurve:
    """Steps, and the loss that a baseline has reached by each of them.

    Attributes:
      steps: ascending from 0 or later.
      losses: finite, never rising, in float32: the original interpolates in it, and on a flat part of the curve the
        last digits of float64 move its answer by thousands of steps.

    Raises:
      ValueError: steps and losses that are none of this.

    Example:
      >>> curve = BaselineCurve(np.array([0.0, 10.0, 20.0]), np.array([3.0, 2.0, 1.0]))
      >>> curve.steps_to(np.array([1.5, 9.0, 0.5, np.nan, np.inf, -np.inf])).tolist()
      [15.0, 0.0, 20.0, 0.0, 0.0, 20.0]
    """

    steps: Float[np.ndarray, " point"]
    losses: Float[np.ndarray, " point"]

    def __post_init__(self) -> None:
        steps, losses = np.array(self.steps, np.float64), np.array(self.losses, np.float64)
        if steps.ndim != 1 or steps.shape != losses.shape or len(steps) < 2:
            raise ValueError(
                f"steps has shape {steps.shape} and losses {losses.shape}; must be a loss for each of two or more steps"
            )
        if not (np.isfinite(steps).all() and steps[0] >= 0 and (np.diff(steps) > 0).all()):
            raise ValueError("steps must ascend from 0 or later")
        if not np.isfinite(losses).all():
            raise ValueError(
                f"losses has {(~np.isfinite(losses)).sum()} entries that are not finite; must have none"
            )
        if (np.diff(losses) > 0).any():
            place = int(np.argmax(np.diff(losses) > 0)) + 1
            raise ValueError(f"losses[{place}] is above losses[{place - 1}]; a curve of the best never rises")
        with np.errstate(over="ignore"):
            rounded = losses.astype(np.float32)
        if not np.isfinite(rounded).all():
            raise ValueError(f"a loss of {np.abs(losses).max():g} is beyond float32")
        for name, value in (("steps", steps), ("losses", rounded)):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    @property
    def last_step(self) -> int:
        """Its end, beyond which it knows nothing: every better loss counts as reached there."""
        return int(self.steps[-1])

    def steps_to(self, losses: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
        """How many steps the baseline needs for a loss, by linear interpolation.

        A loss above the curve takes its first step, which is 0, one below it its last. NaN and +inf are no losses
        and take 0; -inf is below every curve.

        Args:
          losses: of any shape; rounded to float32.
        """
        with np.errstate(over="ignore"):
            asked = np.asarray(losses, np.float64).astype(np.float32).astype(np.float64)
        # Reversed, so that losses ascend. On a flat part the answer is its first step.
        found = np.interp(asked, self.losses[::-1].astype(np.float64), self.steps[::-1])
        return np.where(np.isfinite(found) & (asked != np.inf), found, 0.0)


def smoothed(
    curves: Float[np.ndarray, "*axes evaluation"], decay: float = DECAY
) -> Float[np.ndarray, "*axes evaluation"]:
    """Exponential moving averages over evaluations, each started at its first value: a NaN stays.

    Example:
      >>> smoothed(np.array([1.0, 0.0, 1.0]), decay=0.5).tolist()
      [1.0, 0.5, 0.75]
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay is {decay:g}; must be in [0, 1)")
    found = np.array(curves, np.float64)
    for i in range(1, found.shape[-1]):
        found[..., i] = found[..., i - 1] * decay + (1 - decay) * found[..., i]
    return found


def tuned_curve(
    steps: Float[np.ndarray, " evaluation"],
    losses: Float[np.ndarray, "point repeat evaluation"],
    *,
    decay: float = DECAY,
    points: int = POINTS,
) -> BaselineCurve:
    """The curve of an optimizer whose best learning rate is chosen anew at every step.

    The mean over repeats, a moving average over evaluations, the least over points, linear interpolation at `points`
    equally spaced steps from 0, and the running minimum.

    Args:
      steps: of the evaluations, ascending.
      losses: training losses. A repeat that is not finite takes its point out from there on.
      decay: of the moving average; 0 leaves the curves as they are.
      points: of the curve.

    Raises:
      ValueError: an argument out of range; no loss at the first evaluation is finite.

    Example:
      >>> losses = np.array([[[4.0, 3.0, 2.0]], [[4.0, 1.0, np.nan]]])
      >>> tuned_curve(np.array([0.0, 10.0, 20.0]), losses, decay=0.0, points=5).losses.tolist()
      [4.0, 2.5, 1.0, 1.0, 1.0]
    """
    losses = np.asarray(losses, np.float64)
    steps = np.asarray(steps, np.float64)
    if losses.ndim != 3 or losses.shape[2:] != steps.shape or 0 in losses.shape:
        raise ValueError(
            f"losses has shape {losses.shape} and steps {steps.shape}; must be point x repeat x evaluation"
        )
    if points < 2:
        raise ValueError(f"points is {points}; must be at least 2")
    # -inf is no loss either: without this one broken trial would be the best at everything.
    finite = np.where(np.isfinite(losses), losses, np.nan)
    each = smoothed(finite.mean(axis=1), decay)
    # fmin ignores NaN, and gives NaN without a warning where there is nothing else.
    least = np.fmin.reduce(each, axis=0)
    if np.isnan(least[0]):
        raise ValueError(f"no trial has a finite training loss at its first evaluation, step {steps[0]:g}")
    # Where all points are gone the curve stays at what had been reached, as its running minimum would.
    there = np.maximum.accumulate(np.where(np.isnan(least), 0, np.arange(len(least))))
    at = np.linspace(0, steps[-1], points)
    return BaselineCurve(at, np.minimum.accumulate(np.interp(at, steps, least[there])))


def lower_envelope(curves: Sequence[BaselineCurve]) -> BaselineCurve:
    """The least of several curves at every step that one of them has; between their steps they are straight.

    Raises:
      ValueError: none is given, or they end at different steps: beyond an end nothing is known.

    Example:
      >>> steps = np.array([0.0, 10.0, 20.0])
      >>> a, b = (BaselineCurve(steps, np.array(y)) for y in ([4.0, 1.0, 1.0], [3.0, 2.0, 0.5]))
      >>> lower_envelope([a, b]).losses.tolist()
      [3.0, 1.0, 0.5]
    """
    if not curves:
        raise ValueError("no curves are given; an envelope needs at least one")
    ends = sorted({curve.last_step for curve in curves})
    if len(ends) > 1:
        raise ValueError(
            f"curves end at steps {' and '.join(map(str, ends))}; an envelope needs baselines of one length"
        )
    if len(curves) == 1:
        return curves[0]
    steps = np.unique(np.concatenate([curve.steps for curve in curves]))
    least = np.min([np.interp(steps, curve.steps, curve.losses) for curve in curves], axis=0)
    return BaselineCurve(steps, np.minimum.accumulate(least))
