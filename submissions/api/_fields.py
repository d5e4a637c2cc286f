"""A batch as submissions see it: what the model reads is `inputs`, what the loss reads is `targets`.

Our workloads name the fields of a batch as they like. Which of them the model and the loss read is found out by
tracing both, once.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads import Regularization, Workload, batch_shapes

INPUTS, TARGETS, WEIGHTS = "inputs", "targets", "weights"


@dataclasses.dataclass(frozen=True)
class Fields:
    """Which fields of a workload's batch play which role.

    Attributes:
      inputs, targets: fields that the model and the loss read. One is handed out as it is, several as a dictionary.
      others: fields that neither reads, or that are handed out under their own names.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    others: tuple[str, ...]

    def seen(self, batch: Mapping[str, Any], examples: int) -> dict[str, Any]:
        """The batch as submissions see it. It always has inputs and targets: zeros, if the workload has none.

        Args:
          batch: of the workload.
          examples: in the batch.
        """
        seen = {name: batch[name] for name in self.others}
        for role, fields in ((INPUTS, self.inputs), (TARGETS, self.targets)):
            seen[role] = _packed(fields, batch) if fields else batch.get(role, jnp.zeros(examples))
        return seen

    def of_model(self, seen: Mapping[str, Any]) -> dict[str, Any]:
        """The workload's batch again, for its model."""
        batch = {name: seen[name] for name in self.others if name in seen}
        for role, fields in ((TARGETS, self.targets), (INPUTS, self.inputs)):
            if fields and role in seen:
                batch |= _unpacked(fields, seen[role])
        return batch

    def of_loss(self, label_batch: Any) -> dict[str, Any]:
        """The part of the workload's batch that its loss reads."""
        return _unpacked(self.targets, label_batch)


@dataclasses.dataclass(frozen=True)
class Seen:
    """What becomes of a training batch before submissions see it; equal ones finish streams alike.

    Attributes:
      fields: of the workload.
      examples: in the batch.
      place: lays out an array of the batch.
    """

    fields: Fields
    examples: int
    place: Callable[[jax.Array], jax.Array]

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch as submissions see it."""
        return jax.tree.map(self.place, self.fields.seen(batch, self.examples))


def fields_of(workload: Workload) -> Fields:
    """The roles of a workload's fields."""
    batch = batch_shapes(workload)
    key = jax.random.key(0)
    params, model_state = jax.eval_shape(workload.init, key)
    apply, losses = workload.apply, workload.losses
    if apply is None or losses is None:

        def loss(batch, params, model_state):
            return workload.loss(params, model_state, batch, key, True, Regularization())

        read = _read(loss, batch, params, model_state)
        return _fields(batch, read - {TARGETS}, read & {TARGETS})

    def model(batch, params, model_state, train=True):
        return apply(params, model_state, batch, key, train, 0.0)

    inputs = _read(model, batch, params, model_state)
    inputs |= _read(functools.partial(model, train=False), batch, params, model_state)
    outputs, _ = jax.eval_shape(model, batch, params, model_state)
    targets = _read(lambda batch, outputs: losses(outputs, batch, 0.1), batch, outputs)
    # AlgoPerf's submissions look for the weights of examples under their own name, and hand them to the loss.
    inputs, targets = inputs - {WEIGHTS}, targets - {WEIGHTS}
    if INPUTS in inputs and targets == {TARGETS}:
        # The batch has AlgoPerf's names already: what else the model reads keeps its own, as a Transformer's positions.
        return _fields(batch, {INPUTS}, targets)
    return _fields(batch, inputs, targets)


def has_dropout(workload: Workload) -> bool:
    """Whether the dropout rate can make a difference to the model in training."""
    apply, key = workload.apply, jax.random.key(0)
    params, model_state = jax.eval_shape(workload.init, key)

    def model(rate, batch, params, model_state):
        if apply is not None:
            return apply(params, model_state, batch, key, True, rate["rate"])
        return workload.loss(params, model_state, batch, key, True, Regularization(dropout_rate=rate["rate"]))

    return bool(_read(model, {"rate": 0.1}, batch_shapes(workload), params, model_state))


def _fields(batch: Mapping[str, Any], inputs: set[str], targets: set[str]) -> Fields:
    # A field that nobody reads is dropped if what is read takes its name.
    taken = {role for role, fields in ((INPUTS, inputs), (TARGETS, targets)) if fields}
    return Fields(
        tuple(sorted(inputs)), tuple(sorted(targets)), tuple(sorted(set(batch) - inputs - targets - taken))
    )


def _read(function: Callable[..., Any], batch: Mapping[str, Any], *args: Any) -> set[str]:
    """The names in a dictionary, the first argument, that the outcome may depend on."""
    names = sorted(batch)
    program = jax.make_jaxpr(lambda values, *args: function(dict(zip(names, values, strict=True)), *args))(
        [batch[name] for name in names], *args
    ).jaxpr
    # A field may be a tree of arrays, each of which is a variable of the program.
    names = [name for name in names for _ in jax.tree.leaves(batch[name])]
    used = {id(variable) for equation in program.eqns for variable in equation.invars}
    used |= {id(variable) for variable in program.outvars}
    return {name for name, variable in zip(names, program.invars, strict=False) if id(variable) in used}


def _packed(names: tuple[str, ...], batch: Mapping[str, Any]) -> Any:
    return batch[names[0]] if len(names) == 1 else {name: batch[name] for name in names}


def _unpacked(names: tuple[str, ...], packed: Any) -> dict[str, Any]:
    if len(names) == 1:
        return {names[0]: packed}
    return {name: packed[name] for name in names}
