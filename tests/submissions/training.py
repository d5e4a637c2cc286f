"""One small problem that every optimizer is run on, in JAX and in NumPy.

Loss 1/2 sum h (x - 1)^2 over a vector, a matrix and the kernel of a convolution, plus a gradient that waves: with it
nothing settles, so that a wrong constant shows at every step.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

import submissions
from submissions import Seen

STEPS = 60
TARGET = 1.0
SHAPES = {"bias": (2,), "kernel": (3, 2), "conv": (2, 1, 3, 4)}
MORE_SHAPES = {
    "adafactor_optax": {"large": (130, 128)},  # both sides long enough to be factored
    "shampoo_grafted": {"long": (300, 2)},  # one side too long for a root
    "soap": {"long": (300, 2)},  # one side too long for a basis
}


def shapes_of(name):
    return SHAPES | MORE_SHAPES.get(name, {})


def _ramp(shape, low, high):
    """Numbers from low to high in an order without structure, for matrices of full rank."""
    # A copy each: JAX remembers an array in the precision in which it first met it.
    return _same_ramp(shape, low, high).copy()


@functools.cache
def _same_ramp(shape, low, high):
    count = int(np.prod(shape))
    return np.linspace(low, high, count)[np.random.default_rng(count).permutation(count)].reshape(shape)


def start_of(name):
    return {key: _ramp(shape, 2.0, 4.0) for key, shape in shapes_of(name).items()}


def gradient(t, x, wave, sin=np.sin):
    """h (x - 1) + wave sin(0.7 t + phase), entry by entry, h in [0.2, 2]."""
    return {
        key: _ramp(value.shape, 0.2, 2.0) * (value - TARGET)
        + wave * sin(0.7 * t + _ramp(value.shape, 0.0, 7.0))
        for key, value in x.items()
    }


def loss(x):
    return sum((_ramp(x[key].shape, 0.2, 2.0) * (x[key] - TARGET) ** 2).sum() / 2 for key in x)


@functools.cache
def program(name):
    """(hyperparameters [case], wave, horizon) -> what is trained, and what is evaluated where that is something else.

    After 0, 1, ..., STEPS updates; leaves [case, step, ...].
    """
    rule = submissions.optimizer(name).rule
    key = jax.random.key(0)

    def train(hyperparameters, wave, horizon):
        start = jax.tree.map(jnp.asarray, start_of(name))

        def step(carry, t):
            x, state = carry
            seen = Seen(loss(x), t - 1, jax.random.fold_in(key, t))
            updates, state = rule.update(
                rule.weights, hyperparameters, gradient(t, x, wave, jnp.sin), state, x, seen
            )
            x = optax.apply_updates(x, updates)
            return (x, state), [x] if rule.evaluated is None else [x, rule.evaluated(state, x)]

        state = rule.init(rule.weights, hyperparameters, start, key, horizon)
        _, paths = jax.lax.scan(step, (start, state), jnp.arange(STEPS) + 1)
        return [
            jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), start, path)
            for path in paths
        ]

    # These programs run for milliseconds, so the time goes into compiling them.
    options = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}
    on_cpu = jax.default_backend() == "cpu"
    return jax.jit(jax.vmap(train, in_axes=(0, None, None)), compiler_options=options if on_cpu else None)


def run(name, points, wave=1.0, horizon=STEPS):
    """Paths of STEPS updates in float64: (what is trained, what is evaluated), each key -> [case, step, ...].

    Three points, always, as another number of them is another program.
    """
    assert len(points) == 3
    prepared = [submissions.optimizer(name).prepare(point, horizon) for point in points]
    with jax.enable_x64(True):
        hyperparameters = {key: jnp.array([p[key] for p in prepared]) for key in prepared[0]}
        arrays = hyperparameters, jnp.asarray(wave, jnp.float64), jnp.int32(horizon)
        paths = jax.tree.map(np.asarray, program(name)(*arrays))
    return paths[0], paths[-1]


def reference(name, rule, point, wave=1.0):
    """The same path by `rule(hp, t, g, x, memory) -> x`, all leaves at once, in NumPy; key -> [step, ...]."""
    hp = submissions.optimizer(name).canonical(point)
    x, memory, path = start_of(name), {}, []
    path.append(x)
    for t in range(1, STEPS + 1):
        x = rule(hp, t, gradient(t, x, wave), x, memory)
        path.append(x)
    return {key: np.stack([at[key] for at in path]) for key in x}


def each_leaf(rule):
    """A rule of whole parameters from `rule(hp, t, g, x, memory)` of one array, each with a memory of its own."""

    def of_all(hp, t, g, x, memory):
        return {key: rule(hp, t, g[key], x[key], memory.setdefault(key, {})) for key in x}

    return of_all


def mean(memory, key, decay, value):
    """memory[key] <- decay memory[key] + (1 - decay) value, from 0."""
    memory[key] = decay * memory.get(key, 0.0) + (1 - decay) * value
    return memory[key]


def cosine_rate(hp, t, steps=STEPS):
    """Rate of update t = 1, 2, ...: linear warm-up over int(fraction T) steps, half a cosine to zero at T."""
    number, warmup = t - 1, int(hp["warmup_fraction"] * steps)
    if number < warmup:
        return hp["learning_rate"] * number / warmup
    return hp["learning_rate"] * (1 + np.cos(np.pi * (number - warmup) / (steps - warmup))) / 2


def check(name, rule, points, tolerance):
    """All three paths agree with the reference, entry by entry and step by step."""
    trained, _ = run(name, points)
    for case, point in enumerate(points):
        expected = reference(name, rule, point)
        for key in expected:
            np.testing.assert_allclose(
                trained[key][case], expected[key], rtol=0, atol=tolerance, err_msg=f"{key} of point {case}"
            )
