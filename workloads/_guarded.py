"""A user's own workload, called by us: what fails in it is told with its line, and what it returns is checked.

A program is traced before it trains, so that all of it is told before the first step.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workloads._measure import ForeignMeasure, Measure
from workloads._source import GeneratedData, ResidentData, Source, StreamedData
from workloads._workload import Functions, Workload
from workloads.owners import Owner, kind


def guarded(workload: Workload, file: Path, build: Callable[..., Any]) -> Workload:
    """The workload, its functions called by way of their owner.

    Args:
      workload: as the user's function built it.
      file: the user's.
      build: that function.
    """
    line = getattr(getattr(build, "__code__", None), "co_firstlineno", 1)
    owner = Owner(workload.name, file, line, _hint)
    shared = workload.shared
    if shared is not None:
        bind = shared.bind
        shared = dataclasses.replace(
            shared, bind=lambda constants: _functions(owner.call("bind", bind, constants), workload, owner)
        )
    own = Functions(workload.init, workload.loss, workload.metrics, workload.apply, workload.losses)
    return dataclasses.replace(
        workload,
        **_functions(own, workload, owner)._asdict(),
        shared=shared,
        data=_data(workload.data, owner),
        measure=_measure(workload.measure, owner),
        constraint=workload.constraint and _called("constraint", workload.constraint, owner),
    )


def _functions(own: Functions, workload: Workload, owner: Owner) -> Functions:
    def init(key):
        made = _pair("init", own.init, owner, "(params, model_state)", key)
        _check_params(owner, made[0])
        return made

    def loss(params, model_state, *others):
        answer = _pair("loss", own.loss, owner, "(loss, model_state)", params, model_state, *others)
        if not _is_number(answer[0]):
            raise owner.refusal(
                "loss", f"its loss is {kind(answer[0])}; must be one floating-point number", function=own.loss
            )
        owner.check_alike("loss", "model_state", answer[1], "the one that it was given", model_state)
        return answer

    def metrics(*arguments):
        sums = owner.call("metrics", own.metrics, *arguments)
        if workload.measure is None:
            _check_sums(owner, own.metrics, sums, workload.metric.name)
        return sums

    def apply(params, model_state, *others, **named):
        assert own.apply is not None
        return _pair(
            "apply", own.apply, owner, "(outputs, model_state)", params, model_state, *others, **named
        )

    def losses(*arguments):
        assert own.losses is not None
        return _pair(
            "losses", own.losses, owner, "(losses, weights), weights None where all count", *arguments
        )

    return Functions(init, loss, metrics, own.apply and apply, own.losses and losses)


def _pair(
    what: str, function: Callable[..., Any], owner: Owner, wanted: str, *arguments: Any, **named: Any
) -> Any:
    answer = owner.call(what, function, *arguments, **named)
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise owner.refusal(what, f"returned {kind(answer)}; must return {wanted}", function=function)
    return answer


def _check_params(owner: Owner, params: Any) -> None:
    import jax
    import jax.numpy as jnp

    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)):
            raise owner.refusal(
                "init",
                f"its params{jax.tree_util.keystr(path)} is {kind(leaf)}; must be an array of floating-point numbers",
            )


def _check_sums(owner: Owner, function: Callable[..., Any], sums: Any, metric: str) -> None:
    import numpy as np

    if not isinstance(sums, Mapping):
        raise owner.refusal("metrics", f"returned {kind(sums)}; must return sums by name", function=function)
    if missing := [repr(name) for name in (metric, "examples") if name not in sums]:
        raise owner.refusal(
            "metrics",
            f"its sums lack {' and '.join(missing)}; it has {', '.join(map(str, sums)) or 'none'}",
            function=function,
        )
    for name, value in sums.items():
        if (not hasattr(value, "dtype") and not isinstance(value, int | float)) or np.shape(value) != ():
            raise owner.refusal(
                "metrics",
                f"its {name} is {kind(value)}; must be one number, a sum over the batch",
                function=function,
            )


def _is_number(value: Any) -> bool:
    import jax.numpy as jnp

    return getattr(value, "shape", None) == () and jnp.issubdtype(value.dtype, jnp.floating)


def _data(data: Source, owner: Owner) -> Source:
    if isinstance(data, ResidentData) and data.transform is not None:
        return dataclasses.replace(data, transform=_batches("the data's transform", data.transform, owner))
    if isinstance(data, GeneratedData):
        return dataclasses.replace(data, draw=_batches("the data's draw", data.draw, owner))
    if isinstance(data, StreamedData):
        once = data.read_once and _stream("the data's read_once", data.read_once, owner)
        return dataclasses.replace(data, read=_stream("the data's read", data.read, owner), read_once=once)
    return data


def _measure(measure: Measure | ForeignMeasure | None, owner: Owner) -> Measure | ForeignMeasure | None:
    if isinstance(measure, Measure):
        named = {name: getattr(measure, name) for name in ("accumulate", "merge", "compute")}
    elif isinstance(measure, ForeignMeasure):
        named = {"evaluate": measure.evaluate}
    else:
        return measure
    called = {name: _called(f"the measure's {name}", function, owner) for name, function in named.items()}
    return dataclasses.replace(measure, **called)


def _called(what: str, function: Callable[..., Any], owner: Owner) -> Callable[..., Any]:
    return functools.partial(owner.call, what, function)


def _batches(what: str, function: Callable[..., Any], owner: Owner) -> Callable[..., Any]:
    def call(*arguments):
        batch = owner.call(what, function, *arguments)
        if not isinstance(batch, Mapping):
            raise owner.refusal(
                what, f"returned {kind(batch)}; must return a batch, arrays by name", function=function
            )
        return batch

    return call


def _stream(what: str, function: Callable[..., Any], owner: Owner) -> Callable[..., Iterator[Any]]:
    def read(*arguments):
        batches = iter(owner.call(what, function, *arguments))
        while True:
            batch = owner.call(what, next, batches, _END)
            if batch is _END:
                return
            yield batch

    return read


_END = object()


def _hint(error: BaseException) -> str:
    return "; it is no field of the batch, or no name of the params" if isinstance(error, KeyError) else ""
