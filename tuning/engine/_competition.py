"""A population whose losers stop: trained from evaluation to evaluation, and narrowed when enough of it has stopped.

After every evaluation somebody says who goes on. The others are recorded no further, and as soon as those that are left
fit into narrower programs, their states are gathered into these, so that what is stopped costs nothing. Widths come
from a small set, as every width is a program to compile. A trial's numbers do not depend on who trains beside it, but
for the order of sums.

The states of all programs of a population are in memory at once, as they train up to the same evaluation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from tuning.engine import _sharding
from tuning.engine._spread import Spread
from tuning.engine._stepwise import Stepwise
from tuning.engine._trials import Inputs, State

# (steps [evaluation], "<role>/<metric>" -> [trial, evaluation], running [trial]) -> who goes on [trial]
GoesOn = Callable[[np.ndarray, Mapping[str, np.ndarray], np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Competed:
    """What a population recorded whose losers stopped.

    Attributes:
      global_step: [evaluation], steps taken at each; it ends where the last trial did.
      metrics: "<role>/<metric>" -> [trial, evaluation]; NaN after a trial had stopped or diverged.
      diverged_step: [trial], the step whose loss was not finite; -1 for trials that stayed finite.
      evaluations: [trial], how many each one had.
      place_steps: steps taken by all places of all programs: what was paid, copies that fill up programs included.
    """

    global_step: np.ndarray
    metrics: Mapping[str, np.ndarray]
    diverged_step: np.ndarray
    evaluations: np.ndarray
    place_steps: int


@dataclasses.dataclass
class _Part:
    """The trials of one program: which one each place holds, and where they stand."""

    rows: np.ndarray
    inputs: Inputs
    state: State
    course: Iterator[State]
    found: list[Any]

    def advance(self) -> None:
        self.state = next(self.course)


def compete(
    way: Stepwise,
    inputs: Callable[[np.ndarray], Inputs],
    spread: Spread,
    trials: int,
    goes_on: GoesOn,
    widths: Sequence[int],
) -> Competed:
    """Trains trials until their end, or until they are told to stop.

    Args:
      way: how programs are made.
      inputs: rows -> the arrays of these trials.
      spread: over programs.
      trials: how many there are.
      goes_on: asked after every evaluation but the last.
      widths: of populations that are left, beside that of all; where a program holds one trial, every number will do.
    """
    training, period = way.training, way.training.eval_period
    first, last = 0 if training.evaluation.at_start else 1, training.total_steps // period
    running, steps, rows = np.ones(trials, bool), [], []
    diverged, evaluations = np.full(trials, -1, np.int32), np.zeros(trials, np.int32)
    place_steps = 0
    with ThreadPoolExecutor(spread.side_by_side) as pool:
        parts = list(pool.map(lambda of_part: _begun(way, inputs, of_part), spread.parts(trials)))
        for number in range(first, last + 1):
            if number > 0:
                list(pool.map(_Part.advance, parts))
                place_steps += period * sum(len(part.rows) for part in parts)
            steps.append(number * period)
            rows.append(_row(parts, running))
            for part in parts:
                here = running[part.rows]
                diverged[part.rows[here]] = np.asarray(part.state.diverged_step)[here]
            evaluations += running
            if number == last:
                break
            now = np.array(steps, np.int32)
            running &= goes_on(now, _curves(rows, trials), running)
            left = int(running.sum())
            if not left:
                break
            wide = left if spread.width == 1 else min(w for w in (*widths, trials) if w >= left)
            chosen = np.flatnonzero(running)
            fewer = [chosen[np.minimum(part, left - 1)] for part in spread.parts(wide)]
            if sum(map(len, fewer)) < sum(len(part.rows) for part in parts):
                parts = _gathered(way, inputs, parts, fewer, number)
    for part in parts:
        part.course.close()  # type: ignore[attr-defined]
    return Competed(np.array(steps, np.int32), _curves(rows, trials), diverged, evaluations, place_steps)


def _begun(way: Stepwise, inputs: Callable[[np.ndarray], Inputs], rows: np.ndarray) -> _Part:
    of_part, found = inputs(rows), []
    state = way.begun(of_part, found)
    return _Part(rows, of_part, state, way.onward(of_part, state, 0, found), found)


def _row(parts: Sequence[_Part], running: np.ndarray) -> dict[str, np.ndarray]:
    """What the last evaluation found of every trial, NaN for those that have stopped."""
    row: dict[str, np.ndarray] = {}
    for part in parts:
        for name, values in part.found[-1].items():
            row.setdefault(name, np.full(len(running), np.nan, np.float32))[part.rows] = values
    return {name: np.where(running, values, np.float32(np.nan)) for name, values in row.items()}


def _curves(rows: Sequence[Mapping[str, np.ndarray]], trials: int) -> dict[str, np.ndarray]:
    """Rows of evaluations as [trial, evaluation]. Where all trials have diverged, a row may lack a metric: NaN."""
    nothing = np.full(trials, np.nan, np.float32)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.stack([row.get(name, nothing) for row in rows], axis=1) for name in names}


def _gathered(
    way: Stepwise,
    inputs: Callable[[np.ndarray], Inputs],
    parts: Sequence[_Part],
    fewer: Sequence[np.ndarray],
    done: int,
) -> list[_Part]:
    """The trials that are left, in programs of their own.

    Through the host: it happens a few times in a training, and a program for it would be compiled for every pair of
    widths.
    """
    axes = _sharding.axes_of(way.training, parts[0].inputs)
    kept = [np.flatnonzero(np.isin(part.rows, np.concatenate(fewer))) for part in parts]
    there = np.concatenate([part.rows[places] for part, places in zip(parts, kept, strict=True)])

    def joined(axis: int, *leaves: Any) -> np.ndarray:
        taken = [np.take(_numbers(leaf), places, axis) for leaf, places in zip(leaves, kept, strict=True)]
        return np.concatenate(taken, axis)

    pool = jax.tree.map(joined, axes, *(part.state for part in parts))
    like = parts[0].state
    for part in parts:
        part.course.close()  # type: ignore[attr-defined]
    made = []
    for rows in fewer:
        places = np.array([int(np.flatnonzero(there == row)[0]) for row in rows])
        state = jax.tree.map(
            lambda axis, values, leaf: _as(np.take(values, places, axis), leaf),  # noqa: B023
            axes,
            pool,
            like,
        )
        of_part, found = inputs(rows), []
        made.append(_Part(rows, of_part, state, way.onward(of_part, state, done, found), found))
    return made


def _numbers(leaf: Any) -> np.ndarray:
    """A leaf as plain numbers: keys of JAX's new kind are theirs in disguise."""
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _as(values: np.ndarray, leaf: Any) -> jax.Array:
    """Numbers on the device, spread over devices as the leaf is."""
    there = jax.device_put(values, leaf.sharding) if leaf.committed else jax.device_put(values)
    return jax.random.wrap_key_data(there, impl=jax.random.key_impl(leaf)) if _is_key(leaf) else there


def _is_key(leaf: Any) -> bool:
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
