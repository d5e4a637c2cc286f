"""Any workload with its training made stranger, as VeLO's tasks were (Metz et al. 2022, arXiv:2211.09760, appendix C).

    taskset/mlp_family_seed3+reparametrised=tensor:0.001:1000+delayed=4

An optimizer that is meta-trained on such tasks sees other scales, types and gradients than models have. Several are
applied in the order written, the outermost last. What is evaluated stays the workload's own metric.

| augmentation | what it does |
|---|---|
| `reparametrised=LEVEL:LOW:HIGH[:SEED]` | parameters are p / s: one s (`global`), or one per `tensor` or `element` |
| `es_gradient=STD:PAIRS` | the gradient is estimated from so many antithetic pairs at that distance |
| `reduced_batch=FRACTION` | batches have that part of their examples, one at least |
| `batch_size=N` | batches have N examples, whatever the workload's own have |
| `bfloat16` | parameters and floats of the data have 16 bits |
| `normalized_gradient` | the gradient has length 1 |
| `random_directions=K[:sign]` | the gradient is the sum over K random directions u of (g u) u, or sign(g u) u |
| `delayed=D` | loss and gradient are those of the parameters D - 1 steps ago, 1 at least |

s is drawn between LOW and HIGH, even in its logarithm.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workloads._measure import ForeignMeasure, Measure
from workloads._workload import Functions, SharedProgram, Workload
from workloads.spelling import did_you_mean

if TYPE_CHECKING:
    import jax

# constants -> functions -> functions
Change = Callable[[Mapping[str, Any]], Callable[[Functions], Functions]]
Own = Callable[[Any, Any], tuple[Any, Any]]  # (params, model_state) -> the workload's own
LEVELS = ("global", "tensor", "element")
SEPARATOR = "+"


def names_augmentations(name: str) -> bool:
    """Whether a workload's name has augmentations behind it."""
    return SEPARATOR in name


def build(name: str, load: Callable[[str], Workload]) -> Workload:
    """The workload of a name with augmentations behind it.

    Args:
      name: WORKLOAD+AUGMENTATION+..., see above.
      load: makes the workload of a name.

    Raises:
      ValueError: an augmentation that is not one, or that the workload cannot have.
    """
    plain, *switches = name.split(SEPARATOR)
    workload = load(plain)
    for switch in switches:
        kind, _, arguments = switch.partition("=")
        if kind not in KINDS:
            hint = did_you_mean(kind, KINDS)
            raise ValueError(f"{name}: no augmentation {kind!r}{hint} (there is: {', '.join(KINDS)})")
        try:
            workload = KINDS[kind](workload, *filter(None, arguments.split(":")))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: {switch!r} is not understood: {error}") from None
        workload = dataclasses.replace(workload, name=f"{workload.name}{SEPARATOR}{switch}")
    return workload


def reparametrised(workload: Workload, level: str, low: str, high: str, seed: str = "0") -> Workload:
    """Parameters p / s with the loss of p: a gradient s times as large, for steps that act s times as much."""
    import jax
    import numpy as np

    bottom, top = float(low), float(high)
    if level not in LEVELS:
        raise ValueError(f"level is {level!r}; must be one of {', '.join(LEVELS)}")
    if not 0 < bottom <= top < math.inf:
        raise ValueError(f"scales from {low} to {high}; must be above 0, the lower first")
    leaves, treedef = jax.tree.flatten(jax.eval_shape(workload.init, jax.random.key(0))[0])
    rng = np.random.default_rng(int(seed))

    def drawn(shape: tuple[int, ...]) -> np.ndarray:
        return np.exp(rng.uniform(math.log(bottom), math.log(top), shape)).astype(np.float32)

    names = ["scale" if level == "global" else f"scale_{i}" for i in range(len(leaves))]
    shapes = {
        name: leaf.shape if level == "element" else () for name, leaf in zip(names, leaves, strict=True)
    }
    numbers = {name: drawn(shape) for name, shape in shapes.items()}
    numbers |= {"low": np.float32(math.log(bottom)), "high": np.float32(math.log(top))}

    def change(constants):
        scale = jax.tree.unflatten(treedef, [constants[name] for name in names])

        def unscaled(params):
            return jax.tree.map(lambda p, s: p * s.astype(p.dtype), params, scale)

        def changed(plain):
            def init(key):
                params, model_state = plain.init(key)
                return jax.tree.map(lambda p, s: p / s, params, scale), model_state

            return _of_params(plain._replace(init=init), unscaled)

        return changed

    if workload.constraint is not None:
        raise ValueError(f"{workload.name} has a constraint, of its own parameters")
    whole = jax.tree.unflatten(treedef, [numbers[name] for name in names])

    def own(params, model_state):
        return jax.tree.map(lambda p, s: p * s.astype(p.dtype), params, whole), model_state

    return _changed(workload, change, ["reparametrised", level], numbers, own)


def es_gradient(workload: Workload, std: str, pairs: str) -> Workload:
    """The gradient mean over n pairs of xi (L(p + xi) - L(p - xi)) / (2 std^2), xi ~ N(0, std^2); the loss is L(p).

    Both signs see the same batch and the same random key.
    """
    import jax
    import jax.numpy as jnp

    deviation, count = float(std), int(pairs)
    if not 0 < deviation < math.inf or count < 1:
        raise ValueError(f"a deviation of {std} and {pairs} pairs; must be above 0")

    def gradient(loss, params, key):
        def of_pair(key):
            xi = _normal(key, params, deviation)
            ahead, behind = (loss(_moved(params, xi, sign))[0] for sign in (1, -1))
            return jax.tree.map(lambda x: x * ((ahead - behind) / (2 * deviation**2)).astype(x.dtype), xi)

        found = jax.lax.map(of_pair, jax.random.split(key, count))
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), found)

    return _changed(workload, lambda _: _of_gradient(gradient), ["es_gradient", deviation, count])


def reduced_batch(workload: Workload, fraction: str) -> Workload:
    """Batches of max(1, int(B f)) examples."""
    part = float(fraction)
    if not 0 < part <= 1:
        raise ValueError(f"the part is {fraction}; must be above 0 and at most 1")
    return dataclasses.replace(workload, batch_size=max(1, int(workload.batch_size * part)))


def batch_size(workload: Workload, examples: str) -> Workload:
    """Batches of so many examples. Not VeLO's: for asking what an optimizer makes of larger ones."""
    count = int(examples)
    if count < 1:
        raise ValueError(f"batches of {examples}; must be 1 or more")
    return dataclasses.replace(workload, batch_size=count)


def bfloat16(workload: Workload) -> Workload:
    """Parameters and floats of the batches in bfloat16, and so what optimizers make after them."""
    import jax.numpy as jnp

    def changed(plain):
        def init(key):
            params, model_state = plain.init(key)
            return _cast(params, jnp.bfloat16), model_state

        def loss(params, model_state, batch, key, train, regularization):
            batch = _cast(batch, jnp.bfloat16)
            value, new = plain.loss(params, model_state, batch, key, train, regularization)
            return value.astype(jnp.float32), _like(new, model_state)

        def metrics(params, model_state, batch, key):
            return plain.metrics(params, model_state, _cast(batch, jnp.bfloat16), key)

        return Functions(init, loss, metrics)

    return _changed(workload, lambda _: changed, ["bfloat16"])


def normalized_gradient(workload: Workload) -> Workload:
    """g / |g|, over all tensors and without an epsilon: where g is 0 it is not a number."""
    import jax
    import optax

    def gradient(loss, params, key):
        del key
        found = jax.grad(lambda p: loss(p)[0])(params)
        length = optax.tree.norm(found)
        return jax.tree.map(lambda g: g / length.astype(g.dtype), found)

    return _changed(workload, lambda _: _of_gradient(gradient), ["normalized_gradient"])


def random_directions(workload: Workload, directions: str, sign: str = "") -> Workload:
    """Sum over k directions u of (g u) u, or of sign(g u) u; u has length 1 over all tensors and is new every step.

    A sum, no mean: of n parameters, k / n of the gradient are expected.
    """
    import jax
    import jax.numpy as jnp
    import optax

    count = int(directions)
    if count < 1 or sign not in ("", "sign"):
        raise ValueError(f"{directions} directions, {sign!r}; must be K or K:sign, K above 0")

    def gradient(loss, params, key):
        found = jax.grad(lambda p: loss(p)[0])(params)

        def add(total, key):
            u = _normal(key, params, 1.0)
            length = optax.tree.norm(u)
            along = optax.tree.vdot(found, u) / length
            along = jnp.sign(along) if sign else along
            return jax.tree.map(lambda t, x: t + x * (along / length).astype(x.dtype), total, u), None

        return jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), jax.random.split(key, count))[0]

    return _changed(workload, lambda _: _of_gradient(gradient), ["random_directions", count, sign])


def delayed(workload: Workload, steps: str) -> Workload:
    """Loss and gradient at the parameters of max(1, d - 1) steps ago: the original's d is one too many."""
    import jax
    import jax.numpy as jnp

    age = max(1, int(steps) - 1)
    if int(steps) < 1:
        raise ValueError(f"a delay of {steps}; must be 1 or more")

    def changed(plain):
        def init(key):
            params, model_state = plain.init(key)
            past = jax.tree.map(lambda p: jnp.broadcast_to(p, (age, *p.shape)), params)
            return params, {"model": model_state, "past": past, "count": jnp.zeros((), jnp.int32)}

        def loss(params, model_state, batch, key, train, regularization):
            place = model_state["count"] % age
            old = jax.tree.map(lambda p: p[place], model_state["past"])

            # The parameters of today are what is updated: it is their cotangent that the old ones' gradient becomes.
            @jax.custom_vjp
            def of_old(params):
                del params
                return plain.loss(old, model_state["model"], batch, key, train, regularization)

            def forward(params):
                del params
                made, pull = jax.vjp(
                    lambda p: plain.loss(p, model_state["model"], batch, key, train, regularization), old
                )
                zeros = jax.tree.map(jnp.zeros_like, made[1])
                return made, pull((jnp.ones_like(made[0]), zeros))[0]

            of_old.defvjp(forward, _scaled)
            value, new = of_old(params)
            past = jax.tree.map(lambda all, p: all.at[place].set(p), model_state["past"], params)
            return value, {
                "model": new,
                "past": jax.lax.stop_gradient(past),
                "count": model_state["count"] + 1,
            }

        def metrics(params, model_state, batch, key):
            return plain.metrics(params, model_state["model"], batch, key)

        return Functions(init, loss, metrics)

    return _changed(
        workload, lambda _: changed, ["delayed", age], None, lambda params, state: (params, state["model"])
    )


def resampled(constants: Mapping[str, Any], key: jax.Array) -> dict[str, Any]:
    """The constants of a workload with the scales of its augmentations drawn anew. May be traced.

    Args:
      constants: of `Workload.shared`.
      key: of the draws.
    """
    import jax

    made = dict(constants)
    for number, name in enumerate(sorted(constants)):
        prefix, found, _ = name.rpartition("scale")
        if found and prefix and not prefix.replace(_PREFIX, ""):
            low, high = constants[f"{prefix}low"], constants[f"{prefix}high"]
            uniform = jax.random.uniform(jax.random.fold_in(key, number), constants[name].shape)
            made[name] = jax.numpy.exp(low + uniform * (high - low))
    return made


_PREFIX = "augmented_"
KINDS: dict[str, Callable[..., Workload]] = {
    function.__name__: function
    for function in (
        reparametrised, es_gradient, reduced_batch, batch_size, bfloat16, normalized_gradient, random_directions,
        delayed,
    )
}  # fmt: skip


def _changed(
    workload: Workload,
    change: Change,
    structure: list,
    numbers: Mapping[str, Any] | None = None,
    own: Own | None = None,
) -> Workload:
    """The workload with other functions, and with a shared program wherever it had one.

    Args:
      workload: of which.
      change: constants -> functions -> functions.
      structure: JSON values that determine `change`.
      numbers: constants of the change.
      own: what a measure of the workload's is to be given; None: parameters and model state as they are.

    Raises:
      ValueError: it has a measure that cannot be given that.
    """
    numbers = numbers or {}
    made = change(numbers)(
        Functions(workload.init, workload.loss, workload.metrics, workload.apply, workload.losses)
    )
    shared = workload.shared
    if shared is not None:
        bind = shared.bind
        of_workload = tuple(shared.constants)
        prefix = _PREFIX * (1 + max((name.count(_PREFIX) for name in of_workload), default=0))

        def bound(constants):
            ours = {name: constants[prefix + name] for name in numbers}
            return change(ours)(bind({name: constants[name] for name in of_workload}))

        shared = SharedProgram(
            (shared.key, *structure),
            {**shared.constants, **{prefix + name: value for name, value in numbers.items()}},
            bound,
        )
    measure = workload.measure if own is None else _measured(workload, own)
    return dataclasses.replace(workload, **made._asdict(), shared=shared, model_fn=None, measure=measure)


def _measured(workload: Workload, own: Own) -> Measure | None:
    """The workload's measure, of its own parameters and model state."""
    measure = workload.measure
    if measure is None:
        return None
    if isinstance(measure, ForeignMeasure) or workload.shared is not None:
        raise ValueError(f"{workload.name} is measured by what knows its parameters and model state alone")
    accumulate = measure.accumulate

    def of_own(params, model_state, batch, key):
        return accumulate(*own(params, model_state), batch, key)

    return dataclasses.replace(measure, accumulate=of_own)


def _of_params(plain: Functions, to: Callable[[Any], Any]) -> Functions:
    """The functions of other parameters, which `to` makes the model's."""

    def loss(params, *rest):
        return plain.loss(to(params), *rest)

    def metrics(params, *rest):
        return plain.metrics(to(params), *rest)

    def apply(params, *rest):
        assert plain.apply is not None
        return plain.apply(to(params), *rest)

    return Functions(plain.init, loss, metrics, apply if plain.apply else None, plain.losses)


def _of_gradient(
    gradient: Callable[[Callable[[Any], Any], Any, jax.Array], Any],
) -> Callable[[Functions], Functions]:
    """Functions whose loss is the same, and whose gradient is gradient(loss, params, key)."""
    import jax

    def changed(plain: Functions) -> Functions:
        def loss(params, model_state, batch, key, train, regularization):
            of_params = functools.partial(_loss, plain, model_state, batch, key, train, regularization)
            wrapped = jax.custom_vjp(of_params)
            noise = jax.random.fold_in(key, 0)
            wrapped.defvjp(lambda params: (of_params(params), gradient(of_params, params, noise)), _scaled)
            return wrapped(params)

        # Whoever made a loss of apply and losses would have the plain gradient.
        return Functions(plain.init, loss, plain.metrics)

    return changed


def _loss(plain, model_state, batch, key, train, regularization, params):
    return plain.loss(params, model_state, batch, key, train, regularization)


def _scaled(found, cotangent):
    import jax

    return (jax.tree.map(lambda g: g * cotangent[0].astype(g.dtype), found),)


def _normal(key: jax.Array, params: Any, deviation: float) -> Any:
    import jax

    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        deviation * jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(treedef, drawn)


def _moved(params: Any, xi: Any, sign: int) -> Any:
    import jax

    return jax.tree.map(lambda p, x: p + sign * x, params, xi)


def _cast(tree: Any, to: Any) -> Any:
    """Floats of a tree in another type."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda x: x.astype(to) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def _like(tree: Any, other: Any) -> Any:
    """A tree in the types of another."""
    import jax

    return jax.tree.map(lambda x, y: x.astype(y.dtype), tree, other)
