"""A view's model and loss."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from submissions.api import _jax_sharding_utils as sharding_utils
from submissions.api._fields import Fields, fields_of, has_dropout
from submissions.api._parameters import Nested
from workloads import Regularization, Workload


class Model:
    """The part of a view that submissions differentiate: all of it may be traced."""

    name: str
    workload: Workload
    _computed: Workload  # as it is trained: by the arithmetic that was asked for

    def _set_model(self, params: Any, model_state: Any) -> None:
        """Learns the containers of the workload's trees.

        Args:
          params, model_state: shapes of what the workload's init returns.
        """
        self._params, self._state = Nested(params), Nested(model_state, "state")
        self._no_state = model_state if self._state.empty else None

    def init_model_fn(self, rng: Any) -> tuple[Any, Any]:
        """Parameters, and {"batch_stats": ...} or None if the model keeps no state."""
        return self._init(typed(rng))

    @functools.cached_property
    def _init(self) -> Any:
        def init(key):
            params, model_state = self.workload.init(key)
            return self._params.to_dict(params), self._seen_state(model_state)

        return jax.jit(init, out_shardings=sharding_utils.get_replicate_sharding())

    def model_fn(
        self,
        params: Any,
        augmented_and_preprocessed_input_batch: Mapping[str, Any],
        model_state: Any,
        mode: Any,
        rng: Any,
        update_batch_norm: bool,
        use_running_average_bn: bool | None = None,
        dropout_rate: Any = None,
    ) -> tuple[Any, Any]:
        """Outputs of the model, and its new state.

        Args:
          params: as `init_model_fn` made them.
          augmented_and_preprocessed_input_batch: as the input queue hands it out.
          model_state: as `init_model_fn` made it.
          mode: `ForwardPassMode`.
          rng: feeds dropout and other noise.
          update_batch_norm: whether the new state differs from the old.
          use_running_average_bn: which statistics a model with moving averages normalises with; None: the batch's in
            training, else the averages. Models without them ignore it.
          dropout_rate: may be traced; models without dropout ignore it. None: the workload's own.

        Returns:
          The outputs: logits, or what else `loss_fn` takes. Workloads whose loss is no mean over predictions have the
          loss of the batch for an output, [1].
        """
        train = mode.name == "TRAIN"
        state = self._own_state(model_state)
        if rng is None and train:
            raise ValueError(f"{self.name}: model_fn in training needs rng, a random key; got None")
        key = None if rng is None else typed(rng)
        own = self._params.from_dict(params)
        batch = self._fields.of_model(augmented_and_preprocessed_input_batch)
        dropout_rate = self.workload.dropout_rate if dropout_rate is None else dropout_rate
        if self._computed.model_fn is not None:
            outputs, new = self._computed.model_fn(
                own, state, batch, key, train, bool(update_batch_norm), use_running_average_bn, dropout_rate
            )
            return outputs, model_state if new is state else self._seen_state(new)
        as_training = (
            train if use_running_average_bn is None or self._state.empty else not use_running_average_bn
        )
        if train and not as_training and self._has_dropout:
            raise NotImplementedError(
                f"{self.name}: training with running averages (use_running_average_bn=True) and dropout at once; this "
                "model's averages are those of its evaluation, which drops nothing"
            )
        outputs, new = self._apply(own, state, batch, key, as_training, dropout_rate if train else 0.0)
        if not (train and as_training and update_batch_norm):
            return outputs, model_state
        return outputs, self._seen_state(new)

    def _apply(self, params: Any, state: Any, batch: Any, key: Any, train: bool, dropout_rate: Any) -> Any:
        apply = self._computed.apply
        if apply is not None:
            return apply(params, state, batch, key, train, dropout_rate)
        regularization = Regularization(dropout_rate=dropout_rate)
        loss, state = self._computed.loss(params, state, batch, key, train, regularization)
        return jnp.reshape(loss, (1,)), state

    def loss_fn(
        self,
        label_batch: Any,
        logits_batch: Any,
        mask_batch: Any = None,
        label_smoothing: Any = 0.0,
    ) -> dict[str, Any]:
        """Losses of the examples, without regularisation.

        Args:
          label_batch: the batch's targets.
          logits_batch: outputs of `model_fn`.
          mask_batch: [example], or [example, ...] as far as losses have such axes: weights of the losses.
          label_smoothing: may be traced; losses without it ignore it.

        Returns:
          summed: sum of the weighted losses. n_valid_examples: sum of the weights. Their quotient is the workload's
          training loss. per_example: weighted losses, [example, ...].
        """
        smoothing = (
            None if isinstance(label_smoothing, int | float) and label_smoothing == 0 else label_smoothing
        )
        if self.workload.losses is None or self.workload.apply is None:
            losses, weights = logits_batch, None
            if mask_batch is not None:
                raise ValueError(
                    f"{self.name}: mask_batch given, but the loss is not a mean over examples; leave it out"
                )
        else:
            losses, weights = self.workload.losses(logits_batch, self._fields.of_loss(label_batch), smoothing)
        if mask_batch is not None:
            mask = jnp.reshape(mask_batch, (*mask_batch.shape, *(1,) * (losses.ndim - mask_batch.ndim)))
            mask = jnp.broadcast_to(mask, losses.shape).astype(losses.dtype)
            weights = mask if weights is None else mask * weights
        if weights is None:
            return {"summed": jnp.sum(losses), "n_valid_examples": losses.size, "per_example": losses}
        weighted = losses * weights
        return {
            "summed": jnp.sum(weighted),
            "n_valid_examples": jnp.sum(weights),
            "per_example": weighted,
        }

    @functools.cached_property
    def _project(self) -> Any:
        constraint = self.workload.constraint
        if constraint is None:
            return None
        return jax.jit(lambda params: self._params.to_dict(constraint(self._params.from_dict(params))))

    def project_params(self, params: Any) -> Any:
        """The parameters after the workload's constraint; unchanged where it has none."""
        return params if self._project is None else self._project(params)

    @functools.cached_property
    def _fields(self) -> Fields:
        return fields_of(self.workload)

    @functools.cached_property
    def _has_dropout(self) -> bool:
        return has_dropout(self.workload)

    def _seen_state(self, model_state: Any) -> Any:
        return None if self._state.empty else {"batch_stats": self._state.to_dict(model_state)}

    def _own_state(self, model_state: Any) -> Any:
        return self._no_state if self._state.empty else self._state.from_dict(model_state["batch_stats"])


def typed(rng: Any) -> Any:
    """A key of JAX's new kind, also of the raw numbers that AlgoPerf hands around."""
    if jnp.issubdtype(rng.dtype, jax.dtypes.prng_key):
        return rng
    return jax.random.wrap_key_data(jnp.asarray(rng))
