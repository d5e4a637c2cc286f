"""A few steps of a submission on one workload, watched: in the dry run's process only, for it needs JAX.

The calls, their order and the random numbers are those of AlgoPerf's training loop, evaluations left out.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from submissions.api.loading import Submission
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
    """One run of a few steps; faults are (code, message) in the order they were met."""

    steps: list[Step] = dataclasses.field(default_factory=list)
    faults: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    first_params: Any = None
    moved: bool = False  # whether any step has changed a parameter
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


def hyperparameters(point: Mapping[str, Any] | None) -> Any:
    """A point as AlgoPerf passes it: a namedtuple, or None."""
    return None if point is None else collections.namedtuple("Hyperparameters", list(point))(**point)


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
    watched = Watched()
    key = jax.random.PRNGKey(SEED)
    if point is not None:  # as AlgoPerf: only the external ruleset splits here
        key, _ = jax.random.split(key, 2)
    data_key, optimizer_key, model_key, key = jax.random.split(key, 4)
    queue = workload._build_input_queue(data_key, "train", None, batch_size)
    params, model_state = workload.init_model_fn(model_key)
    watched.first_params = on_host(params)
    shape_of_params, shape_of_model_state = described_as(params), jax.tree.structure(model_state)
    values = hyperparameters(point)
    with _calling("init_optimizer_state", None):
        optimizer = submission.init_optimizer_state(workload, params, model_state, values, optimizer_key)
    if not _check_optimizer(watched, optimizer, "init_optimizer_state"):
        return watched
    described = described_as(optimizer[0])
    train_state = _train_state()
    for step in range(steps):
        _, update_key, prepare_key, _ = jax.random.split(jax.random.fold_in(key, step), 4)
        start = time.perf_counter()
        with _calling("data_selection", step):
            batch = submission.data_selection(
                workload, queue, optimizer, params, model_state, values, step, update_key
            )
        if not isinstance(batch, Mapping) or not jax.tree.leaves(dict(batch)):
            watched.fault("D615", f"returned {type(batch).__name__}")
            return watched
        mark = len(compilations.seen)
        arguments = {
            "workload": workload,
            "current_param_container": params,
            "current_params_types": workload.model_params_types,
            "model_state": model_state,
            "hyperparameters": values,
            "loss_type": workload.loss_type,
            "optimizer_state": optimizer,
            "eval_results": [],
            "global_step": step,
        }
        given = {**arguments, "batch": batch, "rng": update_key}
        if submission.wants_train_state:
            given["train_state"] = train_state
        with _calling("update_params", step):
            result = submission.update_params(**given)
            optimizer, params, model_state = _three(result)
            jax.block_until_ready(alive(params))
        seconds = time.perf_counter() - start
        watched.steps.append(Step(seconds, tuple(compilations.since(mark))))
        if not _check(
            watched, "update_params", optimizer, params, model_state, shape_of_params, shape_of_model_state
        ):
            return watched
        # Only until it has: a later evaluation may show other parameters, such as averages.
        watched.moved = watched.moved or not equal(watched.first_params, on_host(params))
        now = described_as(optimizer[0])
        if now != described:
            watched.fault("D607", f"update_params at step {step}: {difference(described, now)}")
            described = now
        # AlgoPerf evaluates after the first step; the last one stands for all later evaluations.
        if submission.prepare_for_eval is not None and step in (0, steps - 1):
            with _calling("prepare_for_eval", step):
                result = submission.prepare_for_eval(
                    **dict(
                        arguments,
                        current_param_container=params,
                        model_state=model_state,
                        optimizer_state=optimizer,
                        global_step=step + 1,
                        rng=prepare_key,
                    )
                )
                optimizer, params, model_state = _three(result)
                jax.block_until_ready(alive(params))
            if not _check(
                watched,
                "prepare_for_eval",
                optimizer,
                params,
                model_state,
                shape_of_params,
                shape_of_model_state,
            ):
                return watched
            described = described_as(optimizer[0])
        params = workload.project_params(params)
    watched.params, watched.state = on_host(params), on_host(arrays(optimizer[0]))
    return watched


class _calling:
    """Turns an exception into `CallFailed`, with the function's name."""

    def __init__(self, function: str, step: int | None) -> None:
        self.function, self.step = function, step

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception):
            raise CallFailed(self.function, self.step) from error


def _three(result: Any) -> Any:
    if not isinstance(result, (tuple, list)) or len(result) != 3:
        raise TypeError(
            f"returned {type(result).__name__}, not the three (optimizer_state, parameters, model_state)"
        )
    return result


def _check(
    watched: Watched,
    function: str,
    optimizer: Any,
    params: Any,
    model_state: Any,
    wanted: Any,
    structure: Any,
) -> bool:
    """Checks what a function returned; whether training can go on."""
    structure_now, leaves_now = described_as(params)
    found = structure_now, tuple(leaf.removesuffix(" (weak)") for leaf in leaves_now)
    if found != wanted:
        watched.fault("D605", f"{function}: {difference(wanted, found)}")
        return False
    if jax.tree.structure(model_state) != structure:
        message = f"{function}: {structure} became {jax.tree.structure(model_state)}"
        watched.fault("D606", message)
        if structure.num_leaves != len(jax.tree.leaves(model_state)):
            return False
    for name, tree in (("parameters", params), ("model_state", model_state), ("optimizer_state", optimizer)):
        if len(alive(tree)) != len(arrays(tree)):
            watched.fault("D612", f"{function} returns {name} that it has donated")
            return False
    return _check_optimizer(watched, optimizer, function)


def _check_optimizer(watched: Watched, optimizer: Any, function: str) -> bool:
    if not isinstance(optimizer, (tuple, list)) or len(optimizer) != 2:
        size = f" of {len(optimizer)}" if isinstance(optimizer, (tuple, list)) else ""
        watched.fault("D604", f"{function} returned a {type(optimizer).__name__}{size} for optimizer_state")
        return False
    lost = arrays(optimizer[1])
    if lost:
        watched.fault(
            "D604", f"{function}: optimizer_state[1] holds {len(lost)} arrays, which no checkpoint keeps"
        )
        return True
    for path, leaf in jax.tree_util.tree_leaves_with_path(optimizer[0]):
        if not isinstance(leaf, (jax.Array, np.ndarray, np.generic, int, float, complex)):
            where = jax.tree_util.keystr(path)
            watched.fault("D613", f"{function}: optimizer_state[0]{where} is a {type(leaf).__name__}")
    return True


def _train_state() -> dict[str, Any]:
    return {
        "validation_goal_reached": False,
        "test_goal_reached": False,
        "is_time_remaining": True,
        "last_eval_time": 0.0,
        "training_complete": False,
        "accumulated_submission_time": 0.0,
        "accumulated_eval_time": 0.0,
        "accumulated_logging_time": 0.0,
        "last_step_end_time": 0.0,
    }
