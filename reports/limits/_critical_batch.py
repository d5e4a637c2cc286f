"""The critical batch size of trainings to one loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls


class CriticalBatch(NamedTuple):
    """S = S_min (1 + B_crit / B), as it fits steps S to batch sizes B best.

    Attributes:
      size: B_crit, in examples: there a training takes twice the examples of the smallest batches, and twice the steps
        of the largest. 0 where examples grow from the smallest batches on; inf where they do not grow.
      least_steps: S_min, of the largest batches.
      least_examples: S_min B_crit, of the smallest.
      error: the root of the mean of squared relative errors.
    """

    size: float
    least_steps: float
    least_examples: float
    error: float


def critical_batch(batch_sizes: Sequence[float], steps: Sequence[float]) -> CriticalBatch | None:
    """The critical batch size of steps that trainings took; None of fewer than 3 batch sizes with a number of steps.

    Examples S B = S_min B + S_min B_crit are a line in B, whose two coefficients are none below 0 and have the least
    relative errors.

    Args:
      batch_sizes: examples, all above 0.
      steps: to the loss; what is not finite is left out.

    Example:
      >>> critical_batch([8, 32, 128, 512], [100 * (1 + 64 / b) for b in (8, 32, 128, 512)]).size
      64.0

    Reference: McCandlish et al. 2018, arXiv:1812.06162, equation 2.11.
    """
    pairs = [(b, s) for b, s in zip(batch_sizes, steps, strict=True) if math.isfinite(s)]
    if len(pairs) < 3:
        return None
    size, step = np.asarray(pairs, float).T
    examples = size * step
    (least_steps, least_examples), residual = nnls(
        np.stack([size / examples, 1 / examples], axis=1), np.ones(len(pairs))
    )
    critical = least_examples / least_steps if least_steps > 0 else math.inf
    return CriticalBatch(
        float(np.round(critical, 9)),
        float(least_steps),
        float(least_examples),
        float(residual / math.sqrt(len(pairs))),
    )
