"""The rules by which trials that begin together are stopped: who goes on after an evaluation.

Schedules end at the full number of steps, so that what is compared before it are trials in the middle of theirs.
"""

from __future__ import annotations

import abc
import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from tuning.strategies.rungs import Rungs

LEAST_OTHERS = 3  # a median of fewer says little


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where the trials of a cohort stand at an evaluation.

    Attributes:
      steps: taken at each evaluation so far; the last is now.
      period: steps to the next one.
      total: steps of a full training.
      values: of the validation metric, smaller is better; NaN from where a trial diverged, and after it stopped.
      running: who has not stopped.
      earlier: the values of trials of earlier cohorts, at these evaluations; no rows where a rule does not look back.
    """

    steps: Int[np.ndarray, " evaluation"]
    period: int
    total: int
    values: Float[np.ndarray, "trial evaluation"]
    running: Bool[np.ndarray, " trial"]
    earlier: Float[np.ndarray, "other evaluation"]


class Stopping(abc.ABC):
    """A rule that says who goes on.

    Attributes:
      looks_back: at the trials of earlier cohorts, which are then trained one after the other.
      reason: why a trial stopped, in words.
    """

    looks_back: bool = False
    reason: str

    @abc.abstractmethod
    def goes_on(self, standing: Standing) -> Bool[np.ndarray, " trial"]:
        """Who goes on after this evaluation. What it says of those that have stopped or diverged is not heeded."""

    def widths(self, trials: int) -> tuple[int, ...]:
        """Numbers of trials for which it pays to have a program: by default the cohort, half of it, and so on."""
        found = [trials]
        while found[-1] > 1:
            found.append(-(-found[-1] // 2))
        return tuple(found)


@dataclasses.dataclass(frozen=True)
class Halving(Stopping):
    """At a rung the best 1/eta of those that came to the last one go on, at least one.

    Who is best is told by the value at the rung. Ties go to the lower number; trials that have diverged are last.
    """

    rungs: Rungs

    reason = "not among the best of its cohort"

    def goes_on(self, standing: Standing) -> Bool[np.ndarray, " trial"]:
        rung = self.rungs.at(int(standing.steps[-1]), standing.period, standing.total)
        if rung is None:
            return standing.running
        values = np.where(standing.running, standing.values[:, -1], np.nan)
        best = np.argsort(values, kind="stable")[: self.rungs.sizes(len(values))[rung + 1]]  # NaN last
        return np.isin(np.arange(len(values)), best)

    def widths(self, trials: int) -> tuple[int, ...]:
        return self.rungs.sizes(trials)


@dataclasses.dataclass(frozen=True)
class TopOfRung(Stopping):
    """At a rung a trial goes on if it is among the best 1/eta, at least one, of all that have come there.

    These are the trials of earlier cohorts and those of its own. Who is best is told by the value at the rung; ties go
    to who came earlier. Trials that diverged on the way do not count.
    """

    rungs: Rungs

    looks_back = True
    reason = "not among the best that came to this rung"

    def goes_on(self, standing: Standing) -> Bool[np.ndarray, " trial"]:
        if self.rungs.at(int(standing.steps[-1]), standing.period, standing.total) is None:
            return standing.running
        own = np.where(standing.running, standing.values[:, -1], np.nan)
        everybody = np.concatenate([standing.earlier[:, -1], own])
        keep = max(1, int(np.isfinite(everybody).sum()) // self.rungs.eta)
        best = np.argsort(everybody, kind="stable")[:keep]  # NaN last
        return np.isin(np.arange(len(everybody)), best)[len(standing.earlier) :]


@dataclasses.dataclass(frozen=True)
class WorseThanMedian(Stopping):
    """A trial stops at an evaluation if its best value so far is worse than the median of the others' running averages.

    A running average is that of all of a trial's evaluations after the start and up to this step. The others are the
    trials of its own cohort and of earlier ones that came to this step; fewer than three stop nobody.

    Reference: Golovin et al. 2017, Google Vizier, KDD 2017, section 3.2.2.
    """

    least: float

    looks_back = True
    reason = "its best was worse than the median of the others' running averages"

    def goes_on(self, standing: Standing) -> Bool[np.ndarray, " trial"]:
        going = standing.running.copy()
        if standing.steps[-1] < self.least * standing.total:
            return going
        values = np.concatenate([standing.values, standing.earlier])[:, standing.steps > 0]
        averages = values.mean(axis=1)  # NaN of those that diverged or stopped before
        for trial in np.flatnonzero(going):
            others = np.delete(averages, trial)
            others = others[np.isfinite(others)]
            if len(others) >= LEAST_OTHERS:
                going[trial] = values[trial].min() <= np.median(others)
        return going
