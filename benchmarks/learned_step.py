"""VeLO's step: against learned_optimization's, and against AdamW's on larger models; and populations of VeLOs.

    git clone https://github.com/google/learned_optimization LO
    pip install dm-haiku==0.0.17 gin-config==0.5.0
    python -m benchmarks.learned_step perceptrons --reference LO
    python -m benchmarks.learned_step overhead algoperf/imagenet_vit@mini
    python -m benchmarks.learned_step population --widths 1,8,64

perceptrons: one hidden layer of 32, batches of 128 random images of n x n x 3, 10 classes; one training in a scan. Both
take the same steps on the same numbers, in turns in one process; times are the least of all turns. learned_optimization
is read from where it is, unmodified; what it lacks on a current JAX is put in its place in memory.
"""

from __future__ import annotations

import argparse
import sys
import time
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from submissions import Seen
from submissions.learned import velo

SIDES = (8, 16, 32)
HIDDEN, BATCH, CLASSES = 32, 128, 10
HORIZON = 1000

Program = Callable[[Any], Any]  # state -> state, a scan


def perceptron(side: int) -> tuple[Any, Callable, Any]:
    """(parameters, loss, batches for one scan)."""
    inputs = side * side * 3
    keys = jax.random.split(jax.random.key(side), 4)
    params = {
        "w0": jax.random.normal(keys[0], (inputs, HIDDEN)) / inputs**0.5,
        "b0": jnp.zeros(HIDDEN),
        "w1": jax.random.normal(keys[1], (HIDDEN, CLASSES)) / HIDDEN**0.5,
        "b1": jnp.zeros(CLASSES),
    }

    def loss(p, batch):
        x, y = batch
        logits = jax.nn.relu(x @ p["w0"] + p["b0"]) @ p["w1"] + p["b1"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))

    x = jax.random.uniform(keys[2], (BATCH, inputs))
    return params, loss, (x, jax.random.randint(keys[3], (BATCH,), 0, CLASSES))


def ours(weights: Any, params: Any, loss: Callable, batch: Any, steps: int) -> tuple[Program, Any]:
    rule = velo.velo(weights)

    def step(carry, t):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, batch)
        updates, state = rule.update(weights, {}, grads, state, params, Seen(value, t, None))
        return (jax.tree.map(jnp.add, params, updates), state), value

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, jnp.arange(steps)))
    return run, (params, rule.init(weights, {}, params, None, HORIZON))


def theirs(weights: Any, params: Any, loss: Callable, batch: Any, steps: int) -> tuple[Program, Any]:
    from learned_optimization.research.general_lopt import hyper_v2  # pyright: ignore[reportMissingImports]

    sizes = {"lstm_hidden_size": 512, "param_inits": 256, "use_bugged_loss_features": False}
    optimizer = hyper_v2.HyperV2(**sizes).opt_fn(_as_theirs(weights))

    def step(state, t):
        value, grads = jax.value_and_grad(loss)(optimizer.get_params(state), batch)
        return optimizer.update(state, grads, loss=value, key=jax.random.fold_in(jax.random.PRNGKey(0), t)), value

    run = jax.jit(lambda state: jax.lax.scan(step, state, jnp.arange(steps)))
    return run, optimizer.init(params, num_steps=HORIZON, key=jax.random.PRNGKey(0))


def _as_theirs(weights: Any) -> Any:
    import haiku  # pyright: ignore[reportMissingImports]

    first = weights["lstm_init_state"]
    return weights | {"lstm_init_state": haiku.LSTMState(first["hidden"], first["cell"])}


def shimmed(folder: Path) -> None:
    """learned_optimization importable from a folder, without TensorFlow, which it needs for summaries and files."""

    class Anything(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

    for name in ("tensorflow", "tensorflow.compat", "tensorflow.compat.v2"):
        module = Anything(name)
        module.__spec__, module.__path__ = ModuleSpec(name, None), []
        sys.modules[name] = module
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], own, module)
    np.product = np.prod  # type: ignore[attr-defined]
    sys.path.insert(0, str(folder))


def perceptrons(reference: Path | None, sides: list[int], steps: int, turns: int) -> None:
    """One line per perceptron: steps per second and compile seconds of both."""
    if reference:
        shimmed(reference)
    weights = velo.initial_velo(jax.random.key(0))
    ways = {"ours": ours} | ({"theirs": theirs} if reference else {})
    for side in sides:
        params, loss, batch = perceptron(side)
        programs = {}
        for name, way in ways.items():
            run, start = way(weights, params, loss, batch, steps)
            begun = time.process_time(), time.perf_counter()
            compiled = run.lower(start).compile()
            took = time.process_time() - begun[0], time.perf_counter() - begun[1]
            programs[name] = compiled, start, took
        best, ends = dict.fromkeys(programs, np.inf), {}
        for _ in range(turns):
            for name, (run, start, _) in programs.items():
                begun = time.perf_counter()
                ends[name] = np.asarray(jax.block_until_ready(run(start))[1])
                best[name] = min(best[name], time.perf_counter() - begun)
        for name, (_, _, (cpu, wall)) in programs.items():
            print(
                f"{side:2d}x{side:<2d} {name:6s} {steps / best[name]:8.1f} steps/s, compiled in {wall:5.1f} s "
                f"({cpu:5.1f} s of CPU), loss {ends[name][0]:.4f} -> {ends[name][-1]:.6f}",
                flush=True,
            )
        if reference:
            print(f"      ratio  {best['theirs'] / best['ours']:8.1f} times as many steps/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("perceptrons")
    one.add_argument("--reference", type=Path, metavar="FOLDER", help="of learned_optimization (default: ours alone)")
    one.add_argument("--sides", default="8,16,32", metavar="N,...", help="of the images (default: 8,16,32)")
    one.add_argument("--steps", type=int, default=20, metavar="N", help="of a scan (default: 20)")
    one.add_argument("--turns", type=int, default=10, metavar="N", help="of which the best counts (default: 10)")
    a = parser.parse_args()
    if a.command == "perceptrons":
        perceptrons(a.reference, [int(n) for n in a.sides.split(",")], a.steps, a.turns)


if __name__ == "__main__":
    main()
