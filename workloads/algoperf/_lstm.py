"""A bidirectional LSTM that knows how long its sequences are, with the names of AlgoPerf's parameters.

i, f, o = sigmoid(x W + h U + b) of the gate, g = tanh(x W + h U + b), c' = f c + i g, h' = o tanh(c'), from zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import initializers

GATES = "ifgo"


def orthogonal(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Orthonormal columns or rows, by a method that may be vmapped on a CPU."""
    return initializers.orthogonal().finish(jax.random.normal(key, shape, dtype))


class Kernel(nn.Module):
    """A matrix, and maybe a bias; used elsewhere."""

    shape: tuple[int, int]
    drawn: Callable[..., jax.Array]
    biased: bool

    @nn.compact
    def __call__(self) -> Mapping[str, jax.Array]:
        """{"kernel", "bias"}."""
        found = {"kernel": self.param("kernel", self.drawn, self.shape)}
        if self.biased:
            found["bias"] = self.param("bias", nn.initializers.zeros, self.shape[-1:])
        return found


class Cell(nn.Module):
    """Parameters of a direction: of every gate a kernel for the input, and one with a bias for the state."""

    units: int

    @nn.compact
    def __call__(self, inputs: int) -> Mapping[str, Mapping[str, jax.Array]]:
        """i* for inputs, h* for the state, * a gate.

        Every gate has arrays of its own: a slice of a joint one keeps XLA from vectorising the loop on a CPU.
        """
        of_inputs = {
            f"i{gate}": Kernel((inputs, self.units), nn.initializers.lecun_normal(), False, name=f"i{gate}")()
            for gate in GATES
        }
        of_state = {
            f"h{gate}": Kernel((self.units, self.units), orthogonal, True, name=f"h{gate}")()
            for gate in GATES
        }
        return of_inputs | of_state


class SequenceEncoder(nn.Module):
    """Holds a direction's cell."""

    units: int

    @nn.compact
    def __call__(self, inputs: int) -> Mapping[str, Mapping[str, jax.Array]]:
        """Of the cell."""
        return Cell(self.units, name="cell")(inputs)


class Directions(nn.Module):
    """Holds both directions: forward, backward."""

    units: int

    @nn.compact
    def __call__(self, inputs: int) -> list[Mapping[str, Mapping[str, jax.Array]]]:
        """Of the cells."""
        return [SequenceEncoder(self.units, name=f"LSTMSequenceEncoder_{i}")(inputs) for i in range(2)]


class LSTM(nn.Module):
    """Both directions at once; the states of both, forward first.

    Attributes:
      units: of a direction.
    """

    units: int

    @nn.compact
    def __call__(self, x: jax.Array, lengths: jax.Array) -> jax.Array:
        """[example, time, unit], read backwards from the end that `lengths` say; padding is read after the rest."""
        forward, backward = Directions(self.units, name="LSTM")(x.shape[-1])
        both = jax.tree.map(lambda *each: jnp.stack(each), forward, backward)
        states = jax.vmap(_states)(both, jnp.stack([x, turned(x, lengths)]))
        return jnp.concatenate([states[0], turned(states[1], lengths)], axis=-1)


def turned(x: jax.Array, lengths: jax.Array) -> jax.Array:
    """[example, time, ...] with the first `lengths` entries backwards, and so the others; its own inverse."""
    time = x.shape[1]
    index = (time - 1 - jnp.arange(time) + lengths[:, None]) % time
    return jnp.take_along_axis(x, index[..., None], axis=1)


def _states(cell: Mapping[str, Mapping[str, jax.Array]], x: jax.Array) -> jax.Array:
    """Hidden states [example, time, unit] of one direction."""

    def step(carry, of_input):
        c, h = carry
        i, f, g, o = (
            of_input[gate] + h @ cell[f"h{gate}"]["kernel"] + cell[f"h{gate}"]["bias"] for gate in GATES
        )
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (c, h), h

    time_first = jnp.swapaxes(x, 0, 1)
    of_inputs = {gate: time_first @ cell[f"i{gate}"]["kernel"] for gate in GATES}
    start = jnp.zeros((x.shape[0], cell["hi"]["kernel"].shape[0]), x.dtype)
    _, states = jax.lax.scan(step, (start, start), of_inputs)
    return jnp.swapaxes(states, 0, 1)
