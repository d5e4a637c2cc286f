"""Trainings as three programs over the state of their trials: start, unroll some steps, evaluate.

What cannot be one program from start to end is made of these: streamed data, whose batches reach `unroll` some dozens
of steps at a time; measures that the host computes; checkpoints between two evaluations. The state stays on the device
between them. What a step computes is `tuning.engine._trials`, as in one program.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from submissions.api import checkpoints
from submissions.api.row_file import Mark, RowFile
from tuning.engine import _evaluation, _programs, _sharding
from tuning.engine._feeds import Batches, Rows, feed_of, reads_on_host
from tuning.engine._programs import Compile
from tuning.engine._training import Training
from tuning.engine._trials import Inputs, State, Trials
from tuning.engine._whole import Recorded
from workloads import ForeignMeasure, Measure
from workloads.evaluation import examples_of, measure_of, over_stream


@dataclasses.dataclass(frozen=True)
class Stepwise:
    """Trials trained call by call.

    Attributes:
      training: what is trained.
      compile: makes programs, or finds those that were made.
      checkpoint: a folder for the trials' state after every evaluation, from which a later run goes on; None: none.
    """

    training: Training
    compile: Compile
    checkpoint: Path | None = None

    def program(self, inputs: Inputs) -> _programs.Program:
        """The program that takes the steps: the one that needs most memory."""
        steps = self._sizes(self.training.eval_period)[0]
        return self._unroll(inputs, self.start(inputs), self._feed.shapes(steps, inputs))

    def run(self, inputs: Inputs) -> Recorded:
        """Trains and evaluates all trials."""
        training, period = self.training, self.training.eval_period
        first, last = 0 if training.evaluation.at_start else 1, training.total_steps // period
        state, rows = self.start(inputs), []
        restored = self._restored(state, rows)
        state, done = (self._at_start(inputs, state, rows), 0) if restored is None else restored
        for after in self.onward(inputs, state, done, rows):
            state = after
        steps = np.arange(first, last + 1, dtype=np.int32) * period
        nothing = np.full(len(inputs.horizon), np.nan, np.float32)
        names = dict.fromkeys(itertools.chain.from_iterable(rows))
        found = {name: np.stack([row.get(name, nothing) for row in rows], axis=1) for name in names}
        return steps, found, np.asarray(state.diverged_step)

    def onward(self, inputs: Inputs, state: State, done: int, rows: list[Any]) -> Iterator[State]:
        """The state after each evaluation that is left; whoever asks for the next one has it used up.

        Args:
          inputs: of the trials.
          state: after the evaluation of number `done`, and used up.
          done: how many periods have been trained.
          rows: what is found is added.
        """
        period, sizes = self.training.eval_period, self._sizes(self.training.eval_period)
        last = self.training.total_steps // period
        chunks = self._feed.chunks(inputs, done * period, sizes * (last - done)) if done < last else iter(())
        for number in range(done + 1, last + 1):
            taken = (number - 1) * period
            for _ in sizes:
                state, taken = self._take(inputs, state, taken, next(chunks))
            state = self._evaluated(inputs, state, number, rows)
            yield state

    def begun(self, inputs: Inputs, rows: list[Any]) -> State:
        """Fresh trials, evaluated where that is asked for before the first step: `rows` then has what was found."""
        return self._at_start(inputs, self.start(inputs), rows)

    def start(self, inputs: Inputs) -> State:
        """Freshly initialised trials."""
        program = self._compiled("start", lambda inputs: Trials(self.training, inputs).start(), inputs)
        return program.call(inputs)

    def unroll(self, inputs: Inputs, state: State, first: int, steps: int) -> State:
        """The state after so many more steps; the given one is used up.

        Args:
          inputs: of the trials.
          state: after `first` steps.
          first: steps taken so far.
          steps: to be taken.
        """
        sizes = self._sizes(steps)
        for fed in self._feed.chunks(inputs, first, sizes):
            state, first = self._take(inputs, state, first, fed)
        return state

    def evaluate(self, inputs: Inputs, state: State, number: int = 0) -> dict[str, np.ndarray]:
        """ "<role>/<metric>" -> [trial], NaN for trials that have diverged.

        Args:
          inputs: of the trials.
          state: of them.
          number: of the evaluation, where it is made on random batches.
        """
        training, workload = self.training, self.training.workload
        if not reads_on_host(workload) and _evaluation.in_program(workload):
            program = self._compiled(
                "evaluate",
                lambda inputs, state, number: _evaluation.metrics(
                    training, Trials(training, inputs), state, inputs.data, number
                ),
                inputs, state, jnp.int32(number),
            )  # fmt: skip
            return jax.device_get(program.call(inputs, state, jnp.int32(number)))
        fine = np.asarray(state.diverged_step) < 0
        params = state.params
        if training.rule.evaluated is not None:
            recommend = self._compiled(
                "recommend", lambda inputs, state: Trials(training, inputs).recommended(state), inputs, state
            )
            params = recommend.call(inputs, state)
        found = {}
        for role, values in self._measured(inputs, params, state.model_state, fine):
            found |= {f"{role}/{name}": np.where(fine, x, np.nan) for name, x in values.items()}
        return found

    def observe(self, inputs: Inputs, state: State, metrics: Any) -> State:
        """The state after the optimizer has seen metrics, name -> [trial]."""
        if self.training.rule.observe is None:
            return state
        metrics = {name: jnp.asarray(values, jnp.float32) for name, values in metrics.items()}
        program = self._compiled(
            "observe",
            lambda inputs, state, metrics: Trials(self.training, inputs).observed(state, metrics),
            inputs, state, metrics,
        )  # fmt: skip
        return program.call(inputs, state, metrics)

    @functools.cached_property
    def _feed(self) -> Rows | Batches:
        return feed_of(self.training, self.compile)

    def _sizes(self, period: int) -> list[int]:
        """Steps of the calls that make up a period, none of which passes a step at which the host is asked."""
        asks = self.training.rule.validation_period
        if asks is None or isinstance(self._feed, Rows):
            return self._feed.sizes(period)
        if period % asks:
            raise ValueError(
                f"{self.training.workload.name}: {period} steps between evaluations are no multiple of the {asks} "
                "steps between the validation losses that the optimizer asks for; choose such an evaluation period"
            )
        return self._feed.sizes(asks) * (period // asks)

    def _take(self, inputs: Inputs, state: State, taken: int, fed: Any) -> tuple[State, int]:
        """The state after the steps of one call, and how many have been taken then."""
        state = self._unroll(inputs, state, fed).call(inputs, state, jnp.int32(taken), fed)
        jax.block_until_ready(state)  # else the host runs ahead, with all its batches in memory
        taken += len(jax.tree.leaves(fed)[0])
        asks = self.training.rule.validation_period
        if asks is not None and taken % asks == 0:
            batch = self._feed.asked(inputs, taken // asks - 1)
            if batch is not None:
                program = self._compiled(
                    "ask",
                    lambda inputs, *of_step: Trials(self.training, inputs).asked(*of_step),
                    inputs, state, batch, jnp.int32(taken - 1),
                )  # fmt: skip
                state = program.call(inputs, state, batch, jnp.int32(taken - 1))
        return state, taken

    def _unroll(self, inputs: Inputs, state: State, fed: Any) -> _programs.Program:
        def unroll(inputs, state, taken, fed):
            trials = Trials(self.training, inputs)

            def step(state, number_and_fed):
                number, fed = number_and_fed
                return self._feed.step(trials, inputs, state, fed, number), None

            numbers = taken + jnp.arange(len(jax.tree.leaves(fed)[0]), dtype=jnp.int32)
            return jax.lax.scan(step, state, (numbers, fed))[0]

        return self._compiled("unroll", unroll, inputs, state, jnp.int32(0), fed, donate=(1,))

    def _at_start(self, inputs: Inputs, state: State, rows: list[Any]) -> State:
        return self._evaluated(inputs, state, 0, rows) if self.training.evaluation.at_start else state

    def _evaluated(self, inputs: Inputs, state: State, number: int, rows: list[Any]) -> State:
        """Adds the row of an evaluation, lets the optimizer see it, and saves what is needed to go on from there."""
        rows.append(self.evaluate(inputs, state, number))
        state = self.observe(inputs, state, rows[-1])
        if self.checkpoint is not None:
            self._kept.add({name: np.asarray(x).tolist() for name, x in rows[-1].items()})
            steps, kept = number * self.training.eval_period, {"evaluations": self._kept.mark._asdict()}
            checkpoints.save(self.checkpoint, steps, state, kept, keep_others=False)
        return state

    def _restored(self, like: State, rows: list[Any]) -> tuple[State, int] | None:
        """The state of the last checkpoint and its evaluation, whose rows are added; None if there is none."""
        file = None if self.checkpoint is None else checkpoints.last(self.checkpoint)
        if file is None:
            return None
        state, kept = checkpoints.restore(file, like)
        if "evaluations" in kept:
            found = self._kept.read(Mark.of(kept["evaluations"]))
        else:  # the first versions held them all in every checkpoint
            found = kept["rows"]
            self._kept.replace(found)
        rows += [{name: np.asarray(x, np.float32) for name, x in row.items()} for row in found]
        done = len(rows) - (1 if self.training.evaluation.at_start else 0)
        return state, done

    @functools.cached_property
    def _kept(self) -> RowFile:
        """The evaluations so far, for checkpoints to count on."""
        assert self.checkpoint is not None
        return RowFile(self.checkpoint / "evaluations.jsonl")

    def _measured(
        self, inputs: Inputs, params: Any, model_state: Any, fine: np.ndarray
    ) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Role and metrics, by a measure or on data that need the host."""
        training, workload = self.training, self.training.workload
        measure = measure_of(workload, workload.metrics)
        if isinstance(measure, ForeignMeasure):
            for role in workload.eval_splits:
                yield role, self._foreign(inputs, measure, params, model_state, role, fine)
        elif not reads_on_host(workload):
            program = self._compiled(
                "totals",
                lambda inputs, params, state: _evaluation.totals(
                    training, Trials(training, inputs), params, state, inputs.data
                ),
                inputs, params, model_state,
            )  # fmt: skip
            for role, parts in jax.device_get(program.call(inputs, params, model_state)).items():
                yield role, _evaluation.on_host(measure, workload.metric.name, parts, fine)
        else:
            for role in workload.eval_splits:
                yield role, self._streamed(inputs, measure, params, model_state, role, fine)

    def _streamed(
        self, inputs: Inputs, measure: Measure, params: Any, model_state: Any, role: str, fine: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Metrics on a split that the host reads."""

        def accumulate(inputs, params, model_state, batch, words):
            trials = Trials(self.training, inputs)
            totals = _evaluation.accumulated(self.training, trials)
            return totals(params, model_state, batch, jax.random.wrap_key_data(words))

        def of_batch(batch, key):
            arguments = (inputs, params, model_state, batch, jax.random.key_data(key))
            return self._compiled("accumulate", accumulate, *arguments).call(*arguments)

        if measure.in_program:
            totals = over_stream(self.training.workload, role, of_batch, measure.merge)
            return {name: np.asarray(x) for name, x in measure.compute(jax.device_get(totals)).items()}
        chunks = over_stream(
            self.training.workload,
            role,
            lambda batch, key: [jax.device_get(of_batch(batch, key))],
            lambda chunks, more: chunks + more,
        )
        parts = tuple(jax.tree.map(lambda x: x[None], c) for c in chunks)
        return _evaluation.on_host(measure, self.training.workload.metric.name, parts, fine)

    def _foreign(
        self,
        inputs: Inputs,
        measure: ForeignMeasure,
        params: Any,
        model_state: Any,
        role: str,
        fine: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """What foreign code says, trial by trial; it is not asked about those that have diverged."""
        workload, axes = self.training.workload, Trials(self.training, inputs).axes
        split, examples = workload.eval_splits[role], examples_of(workload, role)
        found = {workload.metric.name: np.full(len(fine), np.nan, np.float32)}
        for trial in np.flatnonzero(fine).tolist():
            one = lambda x, axis: jnp.take(x, trial, axis)  # noqa: B023, E731
            of_trial = jax.tree.map(one, params, axes.params)
            its_state = jax.tree.map(one, model_state, axes.model_state)
            for name, value in measure.evaluate(of_trial, its_state, split, examples).items():
                found.setdefault(name, np.full(len(fine), np.nan, np.float32))[trial] = value
        return found

    def _compiled(
        self, what: str, function: Callable[..., Any], *arguments: Any, donate: tuple[int, ...] = ()
    ) -> _programs.Program:
        function = _sharding.stepwise(self.training, what, function, arguments)
        return self.compile((what, self.training.key()), function, arguments, donate)
