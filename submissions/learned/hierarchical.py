"""The hierarchical optimizer: an LSTM for every tensor and an MLP for every parameter, which talk to each other.

Metz et al. 2020, arXiv:2009.11243; class RNNMLPLOpt of google/learned_optimization. It reads the training loss, and
validation losses where it is given them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from submissions.learned._declaration import Learned
from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen

DECAYS = (0.5, 0.9, 0.99, 0.999, 0.9999)  # of both moments
TRAINING_DECAY, VALIDATION_DECAY = 0.9, 0.95  # of the averages of losses
CLIP_DECAY, CLIP_FACTOR = 0.99, 10.0
TIMESCALES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)  # of sines, in steps
STEP = 0.001  # factor of a direction, and of a magnitude within exp
TENSOR_FEATURES, PARAMETER_FEATURES = 18, 37
FROM_LSTM, FROM_MLP, TO_MLP = 18, 16, 17  # numbers that LSTM and MLP tell each other


class LossAverage(NamedTuple):
    """Decayed mean and variance of a loss, not yet divided by what the decay leaves out."""

    mean: Any
    var: Any
    updates: Any


class Clipper(NamedTuple):
    """What bounds the next gradient: its number, from 1, and the decayed size of those before it."""

    number: Any
    size: Any


class HierarchicalState(NamedTuple):
    """State of the optimizer.

    Attributes:
      m, rms: first and second moments of every tensor, with a last axis [decay].
      iteration: calls so far, in which a validation loss counts as one.
      hidden, cell: of the LSTM, [tensor, width].
      from_mlp: what the MLP told each tensor's LSTM, [tensor, 16].
      from_lstm: what the LSTMs told each other, [18].
      training, validation: averages of the losses.
      clipper: of the gradient.
    """

    m: Any
    rms: Any
    iteration: Any
    hidden: Any
    cell: Any
    from_mlp: Any
    from_lstm: Any
    training: LossAverage
    validation: LossAverage
    clipper: Clipper


def hierarchical(
    weights: Mapping[str, Any],
    *,
    validation_period: int | None = 10,
    validation_advances_time: bool = True,
) -> Rule:
    """The rule of trained weights.

        h = LSTM(features of the tensor, what the MLP said, what all LSTMs said)
        d, s, ... = MLP(features of the parameter, what h says)
        x <- x - 0.001 d exp(0.001 s)

    Args:
      weights: as `initial` lays them out.
      validation_period: steps between the validation losses that it asks for; None: it never has one, and the feature
        is that of a loss of 0, as in the original before its first.
      validation_advances_time: a validation loss counts as a step in the optimizer's own time, as in the original.
    """

    def init(weights, hyperparameters, params, key, horizon):
        del hyperparameters, key, horizon
        count = len(jax.tree.leaves(params))
        zeros = jax.tree.map(lambda x: jnp.zeros((*jnp.shape(x), len(DECAYS)), jnp.float32), params)
        nothing = LossAverage(jnp.float32(0), jnp.float32(0), jnp.int32(0))
        start = weights["lstm_init_state"]
        return HierarchicalState(
            zeros,
            jax.tree.map(jnp.zeros_like, zeros),
            jnp.int32(0),
            jnp.tile(start["hidden"], (count, 1)),
            jnp.tile(start["cell"], (count, 1)),
            jnp.tile(weights["initial_from_mlp"], (count, 1)),
            jnp.asarray(weights["initial_from_lstm"]),
            nothing,
            nothing,
            Clipper(jnp.float32(1), jnp.float32(1 - CLIP_DECAY)),
        )

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        del hyperparameters
        training = averaged(state.training, seen.loss, TRAINING_DECAY)
        train_loss = normalised_loss(training, seen.loss)
        validation_mean = state.validation.mean * correction(state.validation, VALIDATION_DECAY)
        valid_loss = normalised_loss(training, validation_mean)
        leaves, tree = jax.tree.flatten(params)
        gradients = [g.astype(jnp.float32) for g in jax.tree.leaves(grads)]
        clipper, gradients = clipped(state.clipper, gradients)
        decays = jnp.asarray(DECAYS, jnp.float32)
        moments = [
            decays * m + (1 - decays) * g[..., None]
            for m, g in zip(jax.tree.leaves(state.m), gradients, strict=True)
        ]
        squares = [
            decays * r + (1 - decays) * jnp.square(g)[..., None]
            for r, g in zip(jax.tree.leaves(state.rms), gradients, strict=True)
        ]
        values = [v.astype(jnp.float32) for v in leaves]
        features = jnp.stack(
            [
                jnp.concatenate([state.from_lstm, told, tensor_features(m, r, g, v, train_loss, valid_loss)])
                for told, m, r, g, v in zip(state.from_mlp, moments, squares, gradients, values, strict=True)
            ]
        )
        hidden, cell = lstm(weights["rnn_params"]["rnn/linear"], features, state.hidden, state.cell)
        from_lstm = jnp.mean(linear(weights["rnn_to_in_params"]["rnn_to_in"], hidden), axis=0)
        told_to_mlp = linear(weights["rnn_to_ff_params"]["rnn_to_ff"], hidden)
        updates, from_mlp = [], []
        for told, m, r, g, v, leaf in zip(
            told_to_mlp, moments, squares, gradients, values, leaves, strict=True
        ):
            of_parameters = parameter_features(m, r, g, v, state.iteration, len(leaves))
            said = jnp.broadcast_to(told, (of_parameters.shape[0], told.shape[0]))
            out = mlp(weights["ffmod_params"], jnp.concatenate([of_parameters, said], axis=1))
            step = STEP * out[:, 0] * jnp.exp(STEP * out[:, 1])
            updates.append(-step.reshape(jnp.shape(leaf)).astype(leaf.dtype))
            from_mlp.append(jnp.mean(out[:, 2:], axis=0))
        after = HierarchicalState(
            jax.tree.unflatten(tree, moments),
            jax.tree.unflatten(tree, squares),
            state.iteration + 1,
            hidden,
            cell,
            jnp.stack(from_mlp),
            from_lstm,
            training,
            state.validation,
            clipper,
        )
        return jax.tree.unflatten(tree, updates), after

    def observe(state, metrics):
        # An evaluation may report a loss of that name too, beside others: it is not of one batch at a known step.
        if set(metrics) != {"validation/loss"}:
            return state
        later = state.iteration + 1 if validation_advances_time else state.iteration
        validation = averaged(state.validation, metrics["validation/loss"], VALIDATION_DECAY)
        return state._replace(iteration=later, validation=validation)

    return Rule(init, update, observe, weights=weights, validation_period=validation_period)


def initial(key: Any, lstm: int = 64, mlp: int = 32) -> dict[str, Any]:
    """Weights before any training, as Haiku draws them: normal ones cut at two deviations.

    Args:
      key: of JAX.
      lstm: width of the LSTM.
      mlp: width of the MLP's two hidden layers.
    """

    def drawn(name: str, shape: tuple[int, ...], deviation: float) -> Any:
        of_its_own = jax.random.fold_in(key, sum(map(ord, name)))
        return deviation * jax.random.truncated_normal(of_its_own, -2, 2, shape, jnp.float32)

    def layer(name: str, inputs: int, outputs: int) -> dict[str, Any]:
        return {
            "b": jnp.zeros(outputs, jnp.float32),
            "w": drawn(name, (inputs, outputs), 1 / math.sqrt(inputs)),
        }

    def vector(name: str, size: int) -> Any:
        return drawn(name, (size,), 1 / math.sqrt(size) / 0.87962566)  # the deviation that cutting leaves

    widths = (PARAMETER_FEATURES + TO_MLP, mlp, mlp, 2 + FROM_MLP)
    return {
        "ffmod_params": {
            f"mlp/~/linear_{i}": layer(f"linear_{i}", *pair)
            for i, pair in enumerate(itertools.pairwise(widths))
        },
        "initial_from_lstm": vector("initial_from_lstm", FROM_LSTM),
        "initial_from_mlp": vector("initial_from_mlp", FROM_MLP),
        "lstm_init_state": {
            "cell": jnp.zeros((1, lstm), jnp.float32),
            "hidden": jnp.zeros((1, lstm), jnp.float32),
        },
        "rnn_params": {"rnn/linear": layer("rnn", TENSOR_FEATURES + FROM_LSTM + FROM_MLP + lstm, 4 * lstm)},
        "rnn_to_ff_params": {"rnn_to_ff": layer("rnn_to_ff", lstm, TO_MLP)},
        "rnn_to_in_params": {"rnn_to_in": layer("rnn_to_in", lstm, FROM_LSTM)},
    }


def averaged(state: LossAverage, loss: Any, decay: float) -> LossAverage:
    """With one loss more; its distance is taken from the new mean."""
    mean = decay * state.mean + (1 - decay) * loss
    return LossAverage(mean, decay * state.var + (1 - decay) * jnp.square(mean - loss), state.updates + 1)


def correction(state: LossAverage, decay: float) -> Any:
    """1 / (1 - decay^n): what makes up for a mean that began at 0."""
    # The original adds 1e-8, for n = 0; compiled, that is added to the 1 first and lost, and 0 / 0 is what comes of it.
    return 1 / jnp.maximum(1 - decay ** jnp.float32(state.updates), 1e-8)


def normalised_loss(training: LossAverage, loss: Any) -> Any:
    """A loss in deviations of the training losses from their mean, within 5."""
    corrected = correction(training, TRAINING_DECAY)
    deviation = jax.lax.rsqrt(training.var * corrected + 1e-8)
    return jnp.clip((loss - training.mean * corrected) * deviation, -5, 5)


def clipped(state: Clipper, gradients: list[Any]) -> tuple[Clipper, list[Any]]:
    """Gradients within ten times the size of those before them."""
    bound = CLIP_FACTOR * state.size / (1 - CLIP_DECAY**state.number)
    inside = [jnp.clip(g, -bound, bound) for g in gradients]
    size = jnp.sqrt(1e-8 + sum(jnp.mean(jnp.square(g)) for g in inside) / len(inside))
    return Clipper(state.number + 1, CLIP_DECAY * state.size + (1 - CLIP_DECAY) * size), inside


def tensor_features(m: Any, rms: Any, g: Any, v: Any, train_loss: Any, valid_loss: Any) -> Any:
    """The 18 of a tensor, in the order of the original's names."""
    shape = (*v.shape, *[1] * (4 - v.ndim))[:4]
    mean_m, mean_rms, mean_v = jnp.mean(m), jnp.mean(rms), jnp.mean(v)
    return jnp.stack(
        [
            log_size(norm(g)),
            jnp.float32(1 if v.ndim == 0 else -1),
            log_size(mean_m),
            jnp.sign(mean_m),
            log_size(mean_rms),
            jnp.sign(mean_rms),  # 1 in every call: a mean of squares
            log_size(mean_v),
            jnp.sign(mean_v),
            log_size(norm(v)),
            *(jnp.float32(math.log(size) - 1) for size in shape),
            train_loss,
            valid_loss,
            log_size(jnp.mean(jnp.square(m - mean_m))),
            log_size(jnp.mean(jnp.square(rms - mean_rms))),
            log_size(jnp.mean(jnp.square(v - mean_v))),
        ]
    )


def parameter_features(m: Any, rms: Any, g: Any, v: Any, iteration: Any, tensors: int) -> Any:
    """The 37 of each parameter, [parameter, feature]: 23 of which are brought to one size over the tensor."""
    m, rms = m.reshape(-1, len(DECAYS)), rms.reshape(-1, len(DECAYS))
    g, v = g.reshape(-1, 1), v.reshape(-1, 1)
    inverse = jax.lax.rsqrt(rms + 1e-6)
    own = jnp.concatenate([g, v, jnp.log(jnp.abs(v) + 1e-8), m, rms, m * inverse, inverse], axis=1)
    own = own * jax.lax.rsqrt(1e-5 + jnp.mean(jnp.square(own), axis=0))
    sines = jnp.sin(iteration / (jnp.asarray(TIMESCALES, jnp.float32) * math.pi))
    of_all = [jnp.float32(math.log(tensors) - 1), jnp.log(norm(v) + 1e-8), jnp.float32(math.log(v.size))]
    shared = jnp.concatenate([sines, jnp.stack(of_all)])
    return jnp.concatenate([own, jnp.broadcast_to(shared, (own.shape[0], shared.shape[0]))], axis=1)


def log_size(x: Any) -> Any:
    """ln |x|, within 5."""
    return jnp.clip(jnp.log(1e-8 + jnp.abs(x)), -5, 5)


def norm(x: Any) -> Any:
    """Length of all of a tensor."""
    return jnp.sqrt(jnp.sum(jnp.square(x)))


def linear(layer: Mapping[str, Any], x: Any) -> Any:
    """x w + b."""
    return x @ layer["w"] + layer["b"]


def lstm(layer: Mapping[str, Any], x: Any, hidden: Any, cell: Any) -> tuple[Any, Any]:
    """Haiku's: gates i, g, f, o, and 1 is added to f."""
    i, g, f, o = jnp.split(linear(layer, jnp.concatenate([x, hidden], axis=1)), 4, axis=1)
    cell = jax.nn.sigmoid(f + 1) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(cell), cell


def mlp(layers: Mapping[str, Any], x: Any) -> Any:
    """Two hidden layers with relu."""
    x = jax.nn.relu(linear(layers["mlp/~/linear_0"], x))
    x = jax.nn.relu(linear(layers["mlp/~/linear_1"], x))
    return linear(layers["mlp/~/linear_2"], x)


ROWS = (
    Learned(
        "hierarchical",
        hierarchical,
        initial,
        "Metz et al. 2020, arXiv:2009.11243; RNNMLPLOpt",
        switches={"validation_period": 10, "validation_advances_time": True},
        sizes={"lstm": 64, "mlp": 32},
    ),
)
