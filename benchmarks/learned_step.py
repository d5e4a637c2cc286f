"""VeLO's step against learned_optimization's; learned optimizers beside AdamW on larger models; populations of them.

    git clone https://github.com/google/learned_optimization LO
    pip install dm-haiku==0.0.17 gin-config==0.5.0
    python -m benchmarks.learned_step perceptrons --reference LO
    python -m benchmarks.learned_step overhead algoperf/imagenet_vit@mini --optimizers velo,controlled_adam
    python -m benchmarks.learned_step population --optimizers velo,celo --widths 1,16,256

perceptrons: one hidden layer of 32, batches of 128 random images of n x n x 3, 10 classes; one training in a scan, the
weights an input of the program. Both take the same steps on the same numbers, in turns in one process; times are the
least of all turns. learned_optimization is read from where it is, unmodified; what it lacks on a current JAX is put in
its place in memory. Both are compiled as JAX does, and with the options of the engine.

overhead: gradient of one batch, AdamW's update and those of learned optimizers, each a program of its own, in turns.

population: the perceptron on 8 x 8 images, trained on the engine: trials with weights of their own, or all with the
same. Start and evaluation are part of the time, so that few steps say less than many.

Beside wall time stands the processor's, which another process on the machine lengthens less.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import workloads
from benchmarks._population_cases import perceptron as perceptron_workload
from benchmarks.learned_optimization import importable_from
from submissions import Seen
from submissions.learned import LEARNED, velo
from submissions.learned.lstm import LstmState
from submissions.learned.scheduler import SHARED_INPUTS, scheduled
from tuning.engine._programs import compiler_options
from tuning.engine.population import Evaluation, Population
from workloads import Regularization

SIDES = (8, 16, 32)
HIDDEN, BATCH, CLASSES = 32, 128, 10
HORIZON = 1000
MOST_BYTES = 3 * 2**30  # of weights of a population
AS_ENGINE, THEIRS_SO = "ours, as the engine", "theirs, likewise"


def perceptron(side: int) -> tuple[Any, Callable, Any]:
    """(parameters, loss, batch)."""
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


def ours(weights: Any, params: Any, loss: Callable, batch: Any, steps: int) -> tuple[Callable, Any]:
    """(weights, state) -> (state, losses), and the first state."""
    rule = velo.velo(weights)

    def run(weights, carry):
        def step(carry, t):
            params, state = carry
            value, grads = jax.value_and_grad(loss)(params, batch)
            updates, state = rule.update(weights, {}, grads, state, params, Seen(value, t, None))
            return (jax.tree.map(jnp.add, params, updates), state), value

        return jax.lax.scan(step, carry, jnp.arange(steps))

    return run, (params, rule.init(weights, {}, params, None, HORIZON))


def theirs(weights: Any, params: Any, loss: Callable, batch: Any, steps: int) -> tuple[Callable, Any]:
    """The same of learned_optimization."""
    from haiku import LSTMState  # pyright: ignore[reportMissingImports]
    from learned_optimization.research.general_lopt import hyper_v2  # pyright: ignore[reportMissingImports]

    learned = hyper_v2.HyperV2(lstm_hidden_size=512, param_inits=256, use_bugged_loss_features=False)
    key = jax.random.PRNGKey(0)

    def optimizer(weights):
        first = weights["lstm_init_state"]
        return learned.opt_fn(weights | {"lstm_init_state": LSTMState(first["hidden"], first["cell"])})

    def run(weights, state):
        made = optimizer(weights)

        def step(state, t):
            value, grads = jax.value_and_grad(loss)(made.get_params(state), batch)
            return made.update(state, grads, loss=value, key=jax.random.fold_in(key, t)), value

        return jax.lax.scan(step, state, jnp.arange(steps))

    return run, optimizer(weights).init(params, num_steps=HORIZON, key=key)


class Timed:
    """Programs that are compiled once and then run in turns.

    Attributes:
      compiled: name -> (seconds of processor, seconds) to trace and compile.
      answers: name -> what it gave last.
      wall, busy: name -> least seconds of one call, and least of processor.
    """

    def __init__(
        self,
        programs: Mapping[str, tuple[Callable, tuple]],
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.compiled, self.answers, self._calls = {}, {}, {}
        for name, (run, inputs) in programs.items():
            begun = time.process_time(), time.perf_counter()
            compiler_options = dict((options or {}).get(name, {})) or None
            jax.clear_caches()  # what another program traced would not be traced again
            call = jax.jit(run).lower(*inputs).compile(compiler_options=compiler_options)
            self.compiled[name] = time.process_time() - begun[0], time.perf_counter() - begun[1]
            self._calls[name] = call, inputs
        self.wall, self.busy = dict.fromkeys(programs, np.inf), dict.fromkeys(programs, np.inf)

    def run(self, turns: int) -> None:
        """One call before these warms up."""
        for turn in range(turns + 1):
            for name, (call, inputs) in self._calls.items():
                begun = time.process_time(), time.perf_counter()
                self.answers[name] = jax.block_until_ready(call(*inputs))
                if turn:
                    self.busy[name] = min(self.busy[name], time.process_time() - begun[0])
                    self.wall[name] = min(self.wall[name], time.perf_counter() - begun[1])


def perceptrons(reference: Path | None, sides: Sequence[int], steps: int, turns: int) -> None:
    """Two lines per perceptron, and how many times faster ours is."""
    if reference:
        importable_from(reference)
    weights = velo.initial_velo(jax.random.key(0))
    ways = {"ours": ours, AS_ENGINE: ours} | ({"theirs": theirs, THEIRS_SO: theirs} if reference else {})
    engine = compiler_options(many_loops=True)
    options = {AS_ENGINE: engine, THEIRS_SO: engine} if engine else {}
    for side in sides:
        made = {name: way(weights, *perceptron(side), steps) for name, way in ways.items()}
        timed = Timed({name: (run, (weights, start)) for name, (run, start) in made.items()}, options)
        timed.run(turns)
        for name in ways:
            losses = np.asarray(timed.answers[name][1])
            cpu, wall = timed.compiled[name]
            print(
                f"{side:2d}x{side:<2d} {name:19s} {steps / timed.wall[name]:8.1f} steps/s, "
                f"{timed.busy[name] / steps * 1e3:6.2f} ms of processor per step; compiled in {wall:5.1f} s "
                f"({cpu:4.1f} of processor); loss {losses[0]:.6f} -> {losses[-1]:.6f}",
                flush=True,
            )
        pairs = (("ours", "theirs"), (AS_ENGINE, "theirs"), (AS_ENGINE, THEIRS_SO))
        for name, other in pairs if reference else ():
            wall, busy = (each[other] / each[name] for each in (timed.wall, timed.busy))
            compiled = timed.compiled[name][0] / timed.compiled[other][0]
            print(
                f"      {name} / {other}: {wall:.1f} times the steps/s, by processor {busy:.1f}; compiled in "
                f"{compiled:.2f} of the processor's time",
                flush=True,
            )


def overhead(name: str, optimizers: Sequence[str], turns: int) -> None:
    """Gradient, AdamW and learned optimizers on one workload: milliseconds, bytes, and ratios."""
    workload = workloads.load(name)
    adamw = optax.adamw(1e-3)
    params, model_state = workload.init(jax.random.key(0))
    train = workload.eval_splits["train"]
    batch = jax.tree.map(
        jnp.asarray, next(iter(workload.data.stream(train, jax.random.key(1), workload.batch_size)))
    )

    def gradient(params, batch):
        def loss(params):
            return workload.loss(
                params, model_state, batch, jax.random.key(2), True, Regularization(0.0, 0.0)
            )[0]

        return jax.value_and_grad(loss)(params)

    tensors = len(jax.tree.leaves(params))
    states = {"AdamW": adamw.init(params)}
    cases: dict[str, tuple[Callable, tuple]] = {
        "gradient": (gradient, (params, batch)),
        "AdamW": (lambda g, s, p: adamw.update(g, s, p), (params, states["AdamW"], params)),
    }
    for which in optimizers:
        weights = LEARNED[which].initial(jax.random.key(0))
        rule = LEARNED[which].make(weights)
        states[which] = rule.init(weights, {}, params, None, HORIZON)

        def step(w, g, s, p, rule=rule):
            return rule.update(w, {}, g, s, p, Seen(jnp.float32(2), 0, None))

        cases[which] = step, (weights, params, states[which], params)
        if which == "velo":
            x = jnp.zeros((tensors, SHARED_INPUTS + velo.TENSOR_INPUTS))
            lstm = LstmState(*(jnp.zeros((tensors, 512)) for _ in range(2)))
            cases["velo's LSTM"] = lambda w, x, s: scheduled(w["rnn_params"], x, s), (weights, x, lstm)
    timed = Timed(cases)
    timed.run(turns)
    elements = sum(leaf.size for leaf in jax.tree.leaves(params))
    shapes = {leaf.shape for leaf in jax.tree.leaves(params)}
    print(
        f"{name}: {elements} parameters, {tensors} tensors, {len(shapes)} shapes, batch {workload.batch_size}"
    )
    for each in timed.wall:
        print(
            f"  {each:16s} {timed.wall[each] * 1e3:9.2f} ms, {timed.busy[each] * 1e3:9.2f} ms of processor; compiled "
            f"in {timed.compiled[each][1]:5.1f} s ({timed.compiled[each][0]:4.1f} of processor)"
        )
    sizes = {n: sum(leaf.nbytes for leaf in jax.tree.leaves(s)) for n, s in states.items()}
    of_params = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    for which in optimizers:
        wall, busy = (
            (times["gradient"] + times[which]) / (times["gradient"] + times["AdamW"])
            for times in (timed.wall, timed.busy)
        )
        print(
            f"  {which}: step / step with AdamW {wall:.2f} (wall), {busy:.2f} (processor); state "
            f"{sizes[which] / sizes['AdamW']:.2f} times AdamW's, with parameters "
            f"{(sizes[which] + of_params) / (sizes['AdamW'] + of_params):.2f}",
            flush=True,
        )


def population(
    optimizers: Sequence[str],
    widths: Sequence[int],
    per_program: Sequence[int | None],
    steps: int,
    turns: int,
    most: float,
) -> None:
    """Trial-steps per second of so many trials on the engine, with weights of their own and with the same.

    Args:
      optimizers: of `LEARNED`.
      widths: trials.
      per_program: at most so many trials of one program; None: as the engine chooses.
      steps: of a training.
      turns: of which the best counts.
      most: a width that would take longer is left out, and wider ones with it. Seconds.
    """
    workload = perceptron_workload(8)
    for name in optimizers:
        weights = LEARNED[name].initial(jax.random.key(0))
        rule = LEARNED[name].make(weights)
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(weights))
        for own, width in itertools.product((True, False), per_program):
            trained = Population(workload, rule, steps, steps, evaluation=Evaluation(batches=1), width=width)
            per_trial = 0.0
            for trials in widths:
                if per_trial * trials > most or (own and size * trials > MOST_BYTES):
                    break
                seeds, order = np.arange(trials, dtype=np.uint32), np.zeros(1, np.uint32)
                given = jax.tree.map(lambda x, n=trials: np.repeat(np.asarray(x)[None], n, 0), weights)
                wall = busy = np.inf
                for turn in range(turns + 1):
                    begun = time.process_time(), time.perf_counter()
                    trained.run({}, seeds, order, weights=given if own else None)
                    if turn:
                        busy = min(busy, time.process_time() - begun[0])
                        wall = min(wall, time.perf_counter() - begun[1])
                per_trial = wall / trials
                kind = f"{'own' if own else 'same'} weights, {width or 'engine'} per program"
                print(
                    f"{name:16s} {kind}, {trials:4d} trials: {trials * steps / wall:8.0f} trial-steps/s, "
                    f"{busy / trials / steps * 1e3:6.3f} ms of processor each",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("perceptrons")
    one.add_argument(
        "--reference", type=Path, metavar="FOLDER", help="of learned_optimization (default: ours alone)"
    )
    one.add_argument("--sides", default="8,16,32", metavar="N,...", help="of the images (default: 8,16,32)")
    two = commands.add_parser("overhead")
    two.add_argument("workload", metavar="WORKLOAD")
    two.add_argument("--optimizers", default="velo", metavar="NAME,...", help="(default: %(default)s)")
    three = commands.add_parser("population")
    three.add_argument(
        "--optimizers", default="velo,celo,adafac_mlp_lopt", metavar="NAME,...", help="(default: %(default)s)"
    )
    three.add_argument(
        "--widths", default="1,4,16,64,256,1024", metavar="N,...", help="trials (default: %(default)s)"
    )
    three.add_argument(
        "--per-program", default="engine", metavar="N,...",
        help="at most so many trials of one program (default: engine, which chooses)",
    )  # fmt: skip
    three.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        metavar="X",
        help="of a call; wider ones are left out (default: 60)",
    )
    for command in (one, three):
        command.add_argument("--steps", type=int, default=20, metavar="N", help="of a scan (default: 20)")
    for command in (one, two, three):
        command.add_argument(
            "--turns", type=int, default=10, metavar="N", help="of which the best counts (default: 10)"
        )
    a = parser.parse_args()
    if a.command == "perceptrons":
        perceptrons(a.reference, [int(n) for n in a.sides.split(",")], a.steps, a.turns)
    elif a.command == "overhead":
        overhead(a.workload, a.optimizers.split(","), a.turns)
    else:
        per_program = [None if n == "engine" else int(n) for n in a.per_program.split(",")]
        widths = [int(n) for n in a.widths.split(",")]
        population(a.optimizers.split(","), widths, per_program, a.steps, a.turns, a.seconds)


if __name__ == "__main__":
    main()
