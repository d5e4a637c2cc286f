"""NNAdam: Adam with hyperparameters of its own for every tensor, which an LSTM moves at every step.

Notation: p a tensor, g its gradient, m and v means of g and of g^2.

Reference: the control of Metz et al. 2020, arXiv:2009.11243; `NNAdam` of learned_optimization.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from submissions.learned import by_shape
from submissions.learned._checked import checked
from submissions.learned._declaration import Learned
from submissions.learned.features import clipped_log
from submissions.learned.lstm import LstmState, initial_linear, linear, lstm, repeated_start
from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen

NAME = "nn_adam"
START = (
    "per_layer_lr",
    "per_layer_beta1",
    "per_layer_beta2",
    "per_layer_epsilon",
)  # in the order of the controls
INPUTS = 19
LARGEST_GRADIENT = 1000.0
EXPECTED: dict[tuple[str, ...], tuple[int | str, ...]] = {
    ("lstm_init_state", "hidden"): (1, "units"),
    ("lstm_init_state", "cell"): (1, "units"),
    **{(name,): () for name in START},
    ("rnn_params", "rnn/linear", "b"): ("4 units",),
    ("rnn_params", "rnn/linear", "w"): ("19 + units", "4 units"),
    ("rnn_to_controls_params", "rnn_to_controls", "b"): (4,),
    ("rnn_to_controls_params", "rnn_to_controls", "w"): ("units", 4),
}


class Moments(NamedTuple):
    """Of one tensor: means of the gradient and of its square."""

    m: jax.Array
    rms: jax.Array


class NNAdamState(NamedTuple):
    """What NNAdam carries from one update to the next.

    Attributes:
      logs: [tensor, 4]: 0.1 times the logarithms of lr, 1 - beta1, 1 - beta2 and epsilon, in the order of leaves.
      lstm: [tensor, units].
      moments: of each group of tensors of one shape, [stack, *S].
    """

    logs: jax.Array
    lstm: LstmState
    moments: tuple[Moments, ...]


def nn_adam(
    weights: Any,
    *,
    output_scale: float = 0.01,
    decay_strength: float = 0.0,
    hyperparameters_act_late: bool = True,
) -> Rule:
    """NNAdam with these weights.

        m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2        g between -1000 and 1000
        p = p - lr (1 + epsilon) / (epsilon + sqrt(v + 1e-10)) m           no bias correction
        x = x + output_scale LSTM(statistics of g, m, v and p before; x)   x the logarithms of the hyperparameters
        x = x - decay_strength (x - x at the start)

    Args:
      weights: "per_layer_lr" and the like, where x starts; "lstm_init_state", "rnn_params", "rnn_to_controls_params".
      output_scale, decay_strength: see above.
      hyperparameters_act_late: as in the original, what the LSTM says acts from the next update on. Otherwise it acts
        on the m, v and p of this one; the LSTM still sees m and v as made by the hyperparameters before.

    Raises:
      ValueError: the weights are not of this optimizer.
    """
    check(weights)

    def init(weights, hyperparameters, params, key, horizon):
        del hyperparameters, key, horizon
        shapes = by_shape.of(params)
        tensors = len(shapes.shapes)
        moments = shapes.map(lambda p: Moments(jnp.zeros_like(p), jnp.zeros_like(p)), shapes.stacked(params))
        logs = jnp.tile(start_of(weights), (tensors, 1))
        return NNAdamState(logs, repeated_start(weights["lstm_init_state"], tensors), tuple(moments))

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        del hyperparameters, seen
        shapes = by_shape.of(params)
        p = shapes.stacked(params)
        g = [jnp.clip(x, -LARGEST_GRADIENT, LARGEST_GRADIENT) for x in shapes.stacked(grads)]
        values = shapes.parted(from_logs(state.logs))
        moments = shapes.map(gradient_added, state.moments, g, values)

        statistics = shapes.joined(shapes.map(tensor_statistics, p, g, moments))
        x = inputs(state.logs, statistics, shapes.shapes)
        lstm_state = lstm(weights["rnn_params"]["rnn/linear"], x, state.lstm)
        controls = linear(weights["rnn_to_controls_params"]["rnn_to_controls"], lstm_state.hidden)
        logs = state.logs + output_scale * controls
        if decay_strength:
            logs = logs - decay_strength * (logs - start_of(weights))
        logs = to_logs(from_logs(logs))  # what the original clips by; in float32 it rounds, too

        if not hyperparameters_act_late:
            values = shapes.parted(from_logs(logs))
            moments = shapes.map(gradient_added, state.moments, g, values)
        steps = shapes.map(adam_step, moments, values)
        kept = tuple(jax.tree.map(lambda n, o: n.astype(o.dtype), moments, list(state.moments)))
        return shapes.unstacked(steps), NNAdamState(logs, lstm_state, kept)

    return Rule(init, update, weights=weights)


def start_of(weights: Any) -> jax.Array:
    """[4], where the logarithms start."""
    return jnp.stack([jnp.asarray(weights[name]) for name in START])


def from_logs(logs: jax.Array) -> jax.Array:
    """[tensor, 4]: lr, beta1, beta2, epsilon, within their bounds."""
    lr, beta1, beta2, epsilon = jnp.unstack(10.0 * logs, axis=-1)
    betas = [1.0 - jnp.exp(jnp.clip(x, -10.0, 0.0)) for x in (beta1, beta2)]
    lr, epsilon = jnp.clip(jnp.exp(lr), 1e-8, 1e3), jnp.clip(jnp.exp(epsilon), 1e-11, 1e4)
    return jnp.stack([lr, *betas, epsilon], -1)


def to_logs(values: jax.Array) -> jax.Array:
    """The inverse of `from_logs`."""
    lr, beta1, beta2, epsilon = jnp.unstack(values, axis=-1)
    return 0.1 * jnp.log(jnp.stack([lr, 1.0 - beta1, 1.0 - beta2, epsilon], -1))


def gradient_added(old: Moments, g: jax.Array, values: jax.Array) -> Moments:
    """Of one tensor, one gradient later, with its values [4]."""
    _, beta1, beta2, _ = values
    return Moments(beta1 * old.m + (1.0 - beta1) * g, beta2 * old.rms + (1.0 - beta2) * jnp.square(g))


def adam_step(moments: Moments, values: jax.Array) -> jax.Array:
    """What is added to one tensor. With a large epsilon it is that of momentum, at the same learning rate."""
    lr, _, _, epsilon = values
    return -lr * (1.0 + epsilon) / (epsilon + jnp.sqrt(moments.rms + 1e-10)) * moments.m


def tensor_statistics(p: jax.Array, g: jax.Array, moments: Moments) -> jax.Array:
    """[13], of one tensor: logarithms and signs of means, logarithms of variances, as the LSTM takes them."""
    g, m, p, rms = (x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in (g, moments.m, p, moments.rms))
    means = [jnp.mean(x) for x in (g, m, p, rms)]
    of_means = [(0.5 * clipped_log(mean), jnp.sign(mean)) for mean in means]
    size = 0.5 * clipped_log(jnp.mean(jnp.abs(g)))
    spreads = [
        0.5 * clipped_log(jnp.mean(jnp.square(x - mean)))
        for x, mean in zip((g, m, p, rms), means, strict=True)
    ]
    return jnp.stack([*of_means[0], size, *of_means[1], *of_means[2], *of_means[3], *spreads])


def inputs(logs: jax.Array, statistics: jax.Array, shapes: Sequence[tuple[int, ...]]) -> jax.Array:
    """[tensor, 19], of the LSTM: beta1, beta2, epsilon; whether a vector, a scalar; lr; statistics."""
    lr, beta1, beta2, epsilon = jnp.unstack(0.2 * jnp.clip(logs, -5.0, 5.0), axis=-1)
    vector, scalar = (
        jnp.asarray([1.0 if len(s) == axes else -1.0 for s in shapes], logs.dtype) for axes in (1, 0)
    )
    own = jnp.stack([beta1, beta2, epsilon, vector, scalar, lr], -1)
    return jnp.concatenate([own, statistics], -1)


def check(weights: Any) -> None:
    """Raises a ValueError where weights are not NNAdam's, of any width."""
    checked(NAME, weights, EXPECTED)
    units = weights["lstm_init_state"]["hidden"].shape[-1]
    got = tuple(weights["rnn_params"]["rnn/linear"]["w"].shape)
    if got != (INPUTS + units, 4 * units):
        raise ValueError(
            f"{NAME}: weight rnn_params/rnn/linear/w is of shape {got}, must be {(INPUTS + units, 4 * units)} where "
            f"lstm_init_state has {units} units"
        )


def initial(
    key: jax.Array,
    lstm_hidden_size: int = 32,
    initial_learning_rate: float = 1e-4,
    initial_beta1: float = 0.9,
    initial_beta2: float = 0.999,
    initial_epsilon: float = 1e-8,
) -> dict[str, Any]:
    """Weights before any training, whose LSTM moves nothing; 6,856 numbers by default.

    Args:
      key: random.
      lstm_hidden_size: units of the LSTM.
      initial_learning_rate, initial_beta1, initial_beta2, initial_epsilon: where every tensor's hyperparameters start.
    """
    units = lstm_hidden_size
    values = jnp.asarray([[initial_learning_rate, initial_beta1, initial_beta2, initial_epsilon]], float)
    return {
        "lstm_init_state": {"hidden": jnp.zeros((1, units)), "cell": jnp.zeros((1, units))},
        **dict(zip(START, to_logs(values)[0], strict=True)),
        "rnn_params": {"rnn/linear": initial_linear(key, INPUTS + units, 4 * units)},
        "rnn_to_controls_params": {"rnn_to_controls": {"w": jnp.zeros((units, 4)), "b": jnp.zeros(4)}},
    }


ROWS = (
    Learned(
        NAME,
        nn_adam,
        initial,
        "Metz et al. 2020, arXiv:2009.11243; NNAdam of learned_optimization",
        switches={"output_scale": 0.01, "decay_strength": 0.0, "hyperparameters_act_late": True},
        sizes={
            "lstm_hidden_size": 32,
            "initial_learning_rate": 1e-4,
            "initial_beta1": 0.9,
            "initial_beta2": 0.999,
            "initial_epsilon": 1e-8,
        },
    ),
)
