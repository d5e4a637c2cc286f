"""Recurrent nets over tokens, with the cells and initial weights of Sonnet 1.36.

x is the input, h the state (and c the cell of an LSTM), s the logistic function:

  vrnn  h' = f(W x + b + U h + d), f an activation; b and d are both parameters
  gru   z = s(W_z x + U_z h + b_z), r = s(W_r x + U_r h + b_r), a = tanh(W_h x + U_h (r h) + b_h), h' = (1 - z) h + z a
  lstm  c' = s(f + 1) c + s(i) tanh(j), h' = tanh(c') s(o), where i, j, f, o = W x + U h + b

The reset gate of Sonnet's GRU acts before the product with the state. Three choices are for the CPU, as in
`layers.gru`: inputs are looked up, never multiplied as one-hot vectors; every gate has arrays of its own; the body of
the loop is rematerialised on the way back.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from workloads import layers
from workloads.initializers import Initializer, kernels, normal, variance_scaling
from workloads.taskset import _nets
from workloads.taskset.quirks import RELEASED, Quirks

State = tuple[jax.Array, ...]  # (h,), or (h, c) of an LSTM
Makes = layers.Layers  # name -> shape, and how to make it

# Of TensorFlow's variables without an initializer, biases too: a vector counts its length as both fans.
GLOROT_UNIFORM = variance_scaling(1.0, "fan_avg", "uniform")
GLOROT_UNIFORM_BIAS = Initializer("uniform", lambda draws: draws * math.sqrt(3.0 / draws.shape[0]))
IDENTITY = Initializer("uniform", lambda draws: jnp.eye(*draws.shape))  # the draws are not used
EMBEDDING = normal(1.0)
FORGET_BIAS = 1.0


class Cell(NamedTuple):
    """A recurrent cell.

    Attributes:
      units: length of the state.
      gates: names of the gates, in the order that `step` takes them.
      parts: names of the parts of the state; the first is the output.
      makes: inputs -> what is drawn.
      params: (drawn arrays, inputs) -> gate -> its arrays: `input_kernel` [input, unit], `state_kernel` [unit, unit],
        and one or more biases [unit].
      step: (state kernels, state, rows) -> state; rows[g] = inputs of gate g times its kernel, plus its biases.
    """

    units: int
    gates: tuple[str, ...]
    parts: tuple[str, ...]
    makes: Callable[[int], Makes]
    params: Callable[[Mapping[str, jax.Array], int], dict]
    step: Callable[[tuple[jax.Array, ...], State, tuple[jax.Array, ...]], State]


def vrnn(
    units: int,
    activation: Callable[[jax.Array], jax.Array] = jnp.tanh,
    input_init: Initializer = _nets.SONNET,
    state_init: Initializer = _nets.SONNET,
) -> Cell:
    """Sonnet's VanillaRNN: two linear layers, both with a bias, and an activation."""

    def makes(inputs):
        return {"w": ((inputs, units), input_init), "u": ((units, units), state_init)}

    def params(drawn, inputs):
        del inputs
        biases = {"bias": jnp.zeros(units), "state_bias": jnp.zeros(units)}
        return {"hidden": {"input_kernel": drawn["w"], "state_kernel": drawn["u"], **biases}}

    def step(state_kernels, state, rows):
        return (activation(rows[0] + state[0] @ state_kernels[0]),)

    return Cell(units, ("hidden",), ("hidden",), makes, params, step)


GRU_GATES = {"z": "update", "r": "reset", "h": "candidate"}


def gru(units: int, inits: Mapping[str, Initializer] | None = None) -> Cell:
    """Sonnet's GRU; inits holds wz, wr, wh (of inputs) and uz, ur, uh (of the state), TensorFlow's default without."""

    def makes(inputs):
        made: Makes = {}
        for g in GRU_GATES:
            for name, rows in ((f"w{g}", inputs), (f"u{g}", units)):
                made[name] = ((rows, units), inits[name] if inits else GLOROT_UNIFORM)
            made[f"b{g}"] = ((units,), GLOROT_UNIFORM_BIAS)
        return made

    def params(drawn, inputs):
        del inputs
        return {
            gate: {"input_kernel": drawn[f"w{g}"], "state_kernel": drawn[f"u{g}"], "bias": drawn[f"b{g}"]}
            for g, gate in GRU_GATES.items()
        }

    def step(state_kernels, state, rows):
        (h,) = state
        update, reset, candidate = state_kernels
        z = jax.nn.sigmoid(rows[0] + h @ update)
        r = jax.nn.sigmoid(rows[1] + h @ reset)
        a = jnp.tanh(rows[2] + (r * h) @ candidate)
        return (h + z * (a - h),)

    return Cell(units, tuple(GRU_GATES.values()), ("hidden",), makes, params, step)


LSTM_GATES = ("input", "candidate", "forget", "output")  # i, j, f, o, in the order of the joint matrix


def lstm(units: int, init: Initializer | None = None) -> Cell:
    """Sonnet's LSTM; init makes the joint matrix [inputs + units, 4 units], whose shape decides its scale."""

    def makes(inputs):
        # The default takes inputs + units as fan in for the biases as well.
        default = Initializer("truncated", lambda draws: draws / math.sqrt(inputs + units))
        return {"gates": ((inputs + units, 4 * units), init or default), "biases": ((4 * units,), default)}

    def params(drawn, inputs):
        joint, biases = jnp.split(drawn["gates"], 4, axis=1), jnp.split(drawn["biases"], 4)
        return {
            gate: {"input_kernel": joint[g][:inputs], "state_kernel": joint[g][inputs:], "bias": biases[g]}
            for g, gate in enumerate(LSTM_GATES)
        }

    def step(state_kernels, state, rows):
        h, c = state
        i, j, f, o = (row + h @ kernel for row, kernel in zip(rows, state_kernels, strict=True))
        c = jax.nn.sigmoid(f + FORGET_BIAS) * c + jax.nn.sigmoid(i) * jnp.tanh(j)
        return jnp.tanh(c) * jax.nn.sigmoid(o), c

    return Cell(units, LSTM_GATES, ("hidden", "cell"), makes, params, step)


def sampled(core: list, quirks: Quirks = RELEASED) -> Cell:
    """The cell of a config's `core`."""
    name, arguments = core

    def init(key):
        return _nets.initializer(*arguments[key], quirks=quirks)

    units = arguments["core_dim"]
    if name == "vrnn":
        activation = _nets.ACTIVATIONS[arguments["act_fn"]]
        return vrnn(units, activation, init("in_to_hidden"), init("hidden_to_hidden"))
    if name == "gru":
        return gru(units, {key: init(key) for key in arguments if key != "core_dim"})
    return lstm(units, init("w_gates"))


def fixed(core: str, units: int, activation: str | None = None) -> Cell:
    """The cell of a fixed task, with Sonnet's initial weights.

    Args:
      core: LSTM, GRU, VRNN, or IRNN: a VRNN whose state kernel starts as the identity (Le et al. 2015,
        arXiv:1504.00941).
      units: length of the state.
      activation: of a VRNN or IRNN, a key of `_nets.ACTIVATIONS`; None for tanh.
    """
    if core in ("VRNN", "IRNN"):
        state_init = IDENTITY if core == "IRNN" else _nets.SONNET
        return vrnn(units, _nets.ACTIVATIONS[activation or "tanh"], state_init=state_init)
    return {"GRU": gru, "LSTM": lstm}[core](units)


@dataclasses.dataclass(frozen=True)
class RecurrentNet:
    """Tokens -> embedding -> cell -> states, and a linear layer for whoever reads the states.

    Attributes:
      tokens: different token ids.
      embed_dim: length of an embedding; None feeds the cell with one-hot tokens.
      cell: of `sampled` or `fixed`.
      outputs: of the linear layer.
      trainable_init: the initial state is a parameter, zero at the start; else it is zero.
      output_init: makes the kernel of the linear layer.
      embedding_init: makes the embedding.
    """

    tokens: int
    embed_dim: int | None
    cell: Cell
    outputs: int
    trainable_init: bool
    output_init: Initializer = _nets.SONNET
    embedding_init: Initializer = EMBEDDING

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Parameters `embedding` (if any), `cell`, `initial_state` (if trainable) and `linear`."""
        inputs = self.embed_dim or self.tokens
        makes = self.cell.makes(inputs) | {"linear": ((self.cell.units, self.outputs), self.output_init)}
        if self.embed_dim:
            makes["embedding"] = ((self.tokens, self.embed_dim), self.embedding_init)
        drawn = dict(
            zip(makes, kernels(jax.random.split(key, len(makes)), list(makes.values())), strict=True)
        )
        params: dict[str, Any] = {
            "cell": self.cell.params(drawn, inputs),
            "linear": {"kernel": drawn["linear"], "bias": jnp.zeros(self.outputs)},
        }
        if self.embed_dim:
            params["embedding"] = drawn["embedding"]
        if self.trainable_init:
            params["initial_state"] = {part: jnp.zeros(self.cell.units) for part in self.cell.parts}
        return params

    def states(
        self, params: Mapping[str, Any], tokens: Integer[Array, "time batch"]
    ) -> Float[Array, "time batch unit"]:
        """Outputs of the cell after every token."""
        gates = [params["cell"][gate] for gate in self.cell.gates]
        state_kernels = tuple(gate["state_kernel"] for gate in gates)
        rows = tuple(self._rows(params.get("embedding"), gate, tokens) for gate in gates)

        @jax.checkpoint
        def step(state, rows):
            state = self.cell.step(state_kernels, state, rows)
            return state, state[0]

        zero = jnp.zeros_like(rows[0][0])
        start = params.get("initial_state")
        state = tuple(zero if start is None else zero + start[part] for part in self.cell.parts)
        _, outputs = jax.lax.scan(step, state, rows)
        return outputs

    def linear(
        self, params: Mapping[str, Any], states: Float[Array, "*batch unit"]
    ) -> Float[Array, "*batch output"]:
        """Logits."""
        return layers.dense(params["linear"], states)

    def _rows(
        self, embedding: jax.Array | None, gate: Mapping[str, jax.Array], tokens: jax.Array
    ) -> jax.Array:
        """Inputs of a gate times its kernel, plus its biases, [time, batch, unit]."""
        bias = sum(value for name, value in gate.items() if name.endswith("bias"))
        if embedding is None:
            return (gate["input_kernel"] + bias)[tokens]
        if self.tokens <= tokens.size:  # one product for every token id is less work than one for every place
            return (embedding @ gate["input_kernel"] + bias)[tokens]
        return embedding[tokens] @ gate["input_kernel"] + bias
