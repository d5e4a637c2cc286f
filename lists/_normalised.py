"""Normalised losses: curves of different tasks on one scale, and what each point costs on a task.

A loss says nothing beside the loss of another task. So each task's losses are mapped to a line on which 1 is
where training begins and 0 is the lowest loss that anybody reached; a point costs the mean of its curve there.

Reference: Metz et al. 2020, arXiv:2002.11887, section 3.3 and appendix A.4.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

_FINAL_PERCENTILE = 95.0


def _own_start(losses: Float[np.ndarray, "point repeat step"]) -> np.ndarray:
    return losses[..., :1]


def _mean_start(losses: Float[np.ndarray, "point repeat step"]) -> np.ndarray:
    finite = losses[..., 0][np.isfinite(losses[..., 0])]
    return np.asarray(finite.mean() if finite.size else np.nan)


def _late_percentile(losses: Float[np.ndarray, "point repeat step"]) -> np.ndarray:
    finite = losses[..., -1][np.isfinite(losses[..., -1])]
    return np.asarray(np.percentile(finite, _FINAL_PERCENTILE) if finite.size else np.nan)


# What counts as 1. Only finite losses enter the two that are taken over several trials (our reading: the paper
# does not say what a diverged trial's final loss is).
ANCHORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "initial": _own_start,  # each trial's own first evaluation, as in the paper
    "mean_initial": _mean_start,  # the mean of the first evaluations of all trials: free of sampling noise
    "final_95": _late_percentile,  # the 95th percentile of the last evaluations of all trials, appendix A.4
}

# How a normalised curve becomes one number.
SUMMARIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda curves: curves.mean(axis=-1),  # the paper's
    "minimum": lambda curves: curves.min(axis=-1),  # appendix A.4
    "final": lambda curves: curves[..., -1],
}


def lowest_loss(losses: np.ndarray) -> float:
    """The lowest finite loss, of any point, repeat and step; inf if there is none.

    Example:
      >>> lowest_loss(np.array([0.5, np.nan, 0.25]))
      0.25
    """
    losses = np.asarray(losses)
    return float(losses.min(where=np.isfinite(losses), initial=np.inf))


def normalised_losses(
    losses: Float[np.ndarray, "point repeat step"], anchor: str = "initial", lowest: float | None = None
) -> Float[np.ndarray, "point repeat step"]:
    """Losses of one task on a line where 1 is the start of training and 0 the lowest loss.

    n = min((loss - lowest) / (top - lowest), 1); a loss that is not finite counts 1, the worst. So does every
    loss of a trial whose own start is not finite. Where the top is not above the lowest loss there is no line:
    then losses at or below the lowest count 0 and all others 1.

    Args:
      losses: of one task on one split; step 0 first, NaN or inf where a trial diverged.
      anchor: what counts as 1, a key of `ANCHORS`.
      lowest: what counts as 0; None takes `lowest_loss(losses)`. Give the lowest over several optimizers to
        compare them. Losses below it become negative: the line is clipped at the top alone.

    Returns:
      Normalised losses, at most 1, float64.

    Raises:
      ValueError: an unknown anchor, no step at all, or a `lowest` that is NaN.

    Example:
      >>> normalised_losses(np.array([[[2.0, 1.0, 0.0]], [[2.0, 4.0, np.nan]]])).tolist()
      [[[1.0, 0.5, 0.0]], [[1.0, 1.0, 1.0]]]

    Reference: Metz et al. 2020, arXiv:2002.11887, section 3.3.
    """
    if anchor not in ANCHORS:
        raise ValueError(f"anchor is {anchor!r}; must be one of {', '.join(ANCHORS)}")
    if losses.ndim != 3 or losses.shape[-1] == 0:
        raise ValueError(
            f"losses must have the axes point x repeat x step, with a step, not shape {losses.shape}"
        )
    values = losses.astype(np.float64)
    bottom = lowest_loss(values) if lowest is None else float(lowest)
    if np.isnan(bottom):
        raise ValueError("lowest is NaN; give the lowest finite loss, or None to take it from the losses")
    top = ANCHORS[anchor](values)
    # Infinities, and a bottom of inf where nothing is finite, are sorted out by the two lines after.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        line = np.minimum((values - bottom) / (top - bottom), 1.0)
    line = np.where(top > bottom, line, np.where(values <= bottom, 0.0, 1.0))
    return np.where(np.isfinite(values) & np.isfinite(top), line, 1.0)


def point_costs(
    losses: Float[np.ndarray, "point repeat step"],
    anchor: str = "initial",
    summary: str = "mean",
    lowest: float | None = None,
) -> Float[np.ndarray, " point"]:
    """What each point costs on one task: its normalised curve in one number, averaged over its repeats.

    f(task, point) = mean over repeats of mean over steps of n[point, repeat, step]

    Step 0 takes part. Curves are clipped before they are averaged, so one diverged repeat costs a point no
    more than its share.

    Args:
      losses, anchor, lowest: see `normalised_losses`.
      summary: a key of `SUMMARIES`. With "minimum" and "final" the repeats are summarised one by one, too.

    Returns:
      Costs, at most 1; lower is better.

    Raises:
      ValueError: an unknown summary, or what `normalised_losses` refuses.

    Example:
      >>> point_costs(np.array([[[2.0, 1.0, 0.0]], [[2.0, 4.0, np.nan]]])).tolist()
      [0.5, 1.0]

    Reference: Metz et al. 2020, arXiv:2002.11887, section 3.3; the other summaries and anchors are those of its
    appendix A.4.
    """
    return costs_of_repeats(losses, anchor, summary, lowest).mean(axis=-1)


def costs_of_repeats(
    losses: Float[np.ndarray, "point repeat step"],
    anchor: str = "initial",
    summary: str = "mean",
    lowest: float | None = None,
) -> Float[np.ndarray, "point repeat"]:
    """What each repeat of each point costs on one task; `point_costs` is their mean.

    Raises:
      ValueError: an unknown summary, or what `normalised_losses` refuses.
    """
    if summary not in SUMMARIES:
        raise ValueError(f"summary is {summary!r}; must be one of {', '.join(SUMMARIES)}")
    return SUMMARIES[summary](normalised_losses(losses, anchor, lowest))
