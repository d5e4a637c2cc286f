"""A few steps of a submission on one workload, watched: in the dry run's process only, for it needs JAX.

What trains is AlgoPerf's loop of `submissions.api`, evaluations left out. What watches stands around the submission's
functions, so that the loop knows nothing of it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import jax
import numpy as np

from submissions.api.loading import Submission
from submissions.api.training import Training
from submissions.validation._trees import alive, arrays, described_as, difference, equal, on_host

SEED = 20250305
_COMPILED = "/jax/core/compile/backend_compile_duration"


@dataclasses.dataclass
class Step:
    """What one call of update_params did."""

    seconds: float
    compiled: tuple[tuple[str, float], ...]  # (name, seconds)

    def again(self, before: Sequence[Step]) -> dict[str, float]:
        """Seconds of what was compiled here and already in an earlier step, by name."""
        known = {name for step in before for name, _ in step.compiled}
        return {name: seconds for name, seconds in self.compiled if name in known}


@dataclasses.dataclass
class Watched:
    """One run of a few steps; faults are (code, message) in the order they were met.

    Attributes:
      moved: whether any step has changed a parameter.
      params, state: at the end; None if a fault ended the run before.
    """

    steps: list[Step] = dataclasses.field(default_factory=list)
    faults: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    moved: bool = False
    params: Any = None
    state: Any = None

    def fault(self, code: str, message: str) -> None:
        """Notes a fault; each code once per run, since the next steps repeat it."""
        if code not in {known for known, _ in self.faults}:
            self.faults.append((code, message))


class CallFailed(Exception):
    """A function of the submission raised; the original is the cause."""

    def __init__(self, function: str, step: int | None) -> None:
        super().__init__(f"{function}{'' if step is None else f' at step {step}'}")


class Compilations:
    """Counts what XLA compiles. Listeners cannot be removed, so there is one per process."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float]] = []
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **facts: Any) -> None:
        if event == _COMPILED:
            self.seen.append((str(facts.get("fun_name", "")), duration_secs))

    def since(self, mark: int) -> list[tuple[str, float]]:
        """(name, seconds) of what was compiled after `len(self.seen)` was `mark`."""
        return self.seen[mark:]


def run(
    submission: Submission,
    workload: Any,
    point: Mapping[str, Any] | None,
    batch_size: int,
    steps: int,
    compilations: Compilations,
) -> Watched:
    """Trains for a few steps from a fixed seed.

    Raises:
      CallFailed: a function of the submission raised.
    """
    watch = _Watch(submission, compilations)
    workload.attach_metrics_logger(None)  # of an earlier run: there is none before the first step
    try:
        training = Training(watch.around(), workload, point, seed=SEED, batch_size=batch_size)
        workload.attach_metrics_logger(_Unwritten())
        for step in range(steps):
            training.step()
            # AlgoPerf evaluates after the first step; the last one stands for all later evaluations.
            if step in (0, steps - 1):
                training.prepare_for_eval(training.pause_keys()[0])
    except _CannotGoOn:
        return watch.seen
    watch.seen.params = on_host(training.params)
    watch.seen.state = on_host(arrays(training.optimizer_state[0]))
    return watch.seen


class _Unwritten:
    """What a submission logs scalars by, as AlgoPerf attaches one wherever it writes logs; here nothing is written."""

    def append_scalar_metrics(
        self,
        metrics: Mapping[str, Any],
        global_step: int,
        preemption_count: int | None = None,
        is_eval: bool = False,
    ) -> None:
        """Accepts what can be logged: scalars, which are fetched from the device."""
        del preemption_count, is_eval
        for value in (*metrics.values(), global_step):
            float(value)

    def finish(self) -> None:
        """There is nothing left to write."""


class _CannotGoOn(Exception):
    """What a function returned is of no use; the fault has been noted."""


class _Watch:
    """The functions of a submission, with a look at what goes in and comes out of each."""

    def __init__(self, submission: Submission, compilations: Compilations) -> None:
        self.seen = Watched()
        self._submission, self._compilations = submission, compilations
        self._mark, self._start = 0, 0.0

    def around(self) -> Submission:
        """The submission, watched."""
        return dataclasses.replace(
            self._submission,
            init_optimizer_state=self._init_optimizer_state,
            data_selection=self._data_selection,
            update_params=self._update_params,
            prepare_for_eval=self._prepare_for_eval if self._submission.prepare_for_eval else None,
        )

    def _init_optimizer_state(self, workload: Any, params: Any, model_state: Any, *others: Any) -> Any:
        self._first_params = on_host(params)
        self._params_like, self._model_state_like = described_as(params), jax.tree.structure(model_state)
        with _calling("init_optimizer_state", None):
            optimizer = self._submission.init_optimizer_state(workload, params, model_state, *others)
        self._check_optimizer(optimizer, "init_optimizer_state")
        self._described = described_as(optimizer[0])
        return optimizer

    def _data_selection(self, *given: Any) -> Any:
        self._start = time.perf_counter()
        with _calling("data_selection", given[-2]):
            batch = self._submission.data_selection(*given)
        if not isinstance(batch, Mapping) or not jax.tree.leaves(dict(batch)):
            self._give_up("D615", f"returned {type(batch).__name__}")
        self._mark = len(self._compilations.seen)
        return batch

    def _update_params(self, **given: Any) -> Any:
        step = given["global_step"]
        optimizer, params, model_state = self._three(
            "update_params", step, self._submission.update_params, given
        )
        seconds = time.perf_counter() - self._start
        self.seen.steps.append(Step(seconds, tuple(self._compilations.since(self._mark))))
        self._check("update_params", optimizer, params, model_state)
        # Only until it has: a later evaluation may show other parameters, such as averages.
        self.seen.moved = self.seen.moved or not equal(self._first_params, on_host(params))
        now = described_as(optimizer[0])
        if now != self._described:
            self.seen.fault("D607", f"update_params at step {step}: {difference(self._described, now)}")
            self._described = now
        return optimizer, params, model_state

    def _prepare_for_eval(self, **given: Any) -> Any:
        assert self._submission.prepare_for_eval is not None
        optimizer, params, model_state = self._three(
            "prepare_for_eval", given["global_step"] - 1, self._submission.prepare_for_eval, given
        )
        self._check("prepare_for_eval", optimizer, params, model_state)
        self._described = described_as(optimizer[0])
        return optimizer, params, model_state

    def _three(self, name: str, step: int, function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        """What the function returns, computed."""
        with _calling(name, step):
            result = function(**given)
            if not isinstance(result, (tuple, list)) or len(result) != 3:
                raise TypeError(
                    f"returned {type(result).__name__}, not the three (optimizer_state, parameters, model_state)"
                )
            jax.block_until_ready(alive(result[1]))
        return result

    def _check(self, function: str, optimizer: Any, params: Any, model_state: Any) -> None:
        """Checks what a function returned.

        Raises:
          _CannotGoOn: training cannot go on with it.
        """
        structure, leaves = described_as(params)
        found = structure, tuple(leaf.removesuffix(" (weak)") for leaf in leaves)
        if found != self._params_like:
            self._give_up("D605", f"{function}: {difference(self._params_like, found)}")
        wanted, got = self._model_state_like, jax.tree.structure(model_state)
        if got != wanted:
            self.seen.fault("D606", f"{function}: {wanted} became {got}")
            if wanted.num_leaves != got.num_leaves:
                raise _CannotGoOn
        returned = (("parameters", params), ("model_state", model_state), ("optimizer_state", optimizer))
        for name, tree in returned:
            if len(alive(tree)) != len(arrays(tree)):
                self._give_up("D612", f"{function} returns {name} that it has donated")
        self._check_optimizer(optimizer, function)

    def _check_optimizer(self, optimizer: Any, function: str) -> None:
        if not isinstance(optimizer, (tuple, list)) or len(optimizer) != 2:
            size = f" of {len(optimizer)}" if isinstance(optimizer, (tuple, list)) else ""
            kind = type(optimizer).__name__
            self._give_up("D604", f"{function} returned a {kind}{size} for optimizer_state")
        lost = arrays(optimizer[1])
        if lost:
            message = f"{function}: optimizer_state[1] holds {len(lost)} arrays, which no checkpoint keeps"
            self.seen.fault("D604", message)
            return
        for path, leaf in jax.tree_util.tree_leaves_with_path(optimizer[0]):
            if not isinstance(leaf, (jax.Array, np.ndarray, np.generic, int, float, complex)):
                where = jax.tree_util.keystr(path)
                self.seen.fault("D613", f"{function}: optimizer_state[0]{where} is a {type(leaf).__name__}")

    def _give_up(self, code: str, message: str) -> NoReturn:
        self.seen.fault(code, message)
        raise _CannotGoOn


class _calling:
    """Turns an exception into `CallFailed`, with the function's name."""

    def __init__(self, function: str, step: int | None) -> None:
        self.function, self.step = function, step

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (Exception, SystemExit)):
            raise CallFailed(self.function, self.step) from error
