"""The population engine against a plain loop, and its promises."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from submissions import from_optax
from tests.tuning.toy import linear_sgd, sgd, toy_workload
from tuning.engine import _memory
from tuning.engine._layout import trial_axes
from tuning.engine.population import Population, stack, trial_seed
from workloads import Functions, Regularization, SharedProgram
from workloads.layers import dense

RATES = np.array([0.3, 0.1, 0.03])
SEEDS = np.array([11, 12, 13], np.uint32)
ORDER = np.array([7], np.uint32)


@pytest.fixture(scope="module")
def toy():
    """One workload for many tests: a program is compiled once for each, and a workload is only equal to itself."""
    return toy_workload()


def train(rates=RATES, seeds=SEEDS, order=ORDER, shared=True, workload=None, **hyperparameters):
    population = Population(workload or toy_workload(), sgd, 24, 6, shared)
    return population.run({"learning_rate": rates, **hyperparameters}, seeds, order)


_LOOPS: dict[int, tuple] = {}  # id of a workload -> it, and its compiled functions


def loop_functions(workload, steps):
    """(rate, seed) -> start, one step, and the validation error: what a user would jit."""
    if id(workload) in _LOOPS:
        return _LOOPS[id(workload)][1:]
    validation = workload.data.splits["validation"]

    def start(rate, seed):
        init_key, dropout_key = jax.random.split(jax.random.key(seed))
        params, state = workload.init(init_key)
        return params, state, linear_sgd({"learning_rate": rate}, steps).init(params), dropout_key

    def one_step(rate, params, state, opt_state, batch, key, step):
        grads, _ = jax.grad(workload.loss, has_aux=True)(
            params, state, batch, jax.random.fold_in(key, step), True, Regularization()
        )
        updates, opt_state = linear_sgd({"learning_rate": rate}, steps).update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def error(params, state):
        sums = workload.metrics(params, state, validation, jax.random.key(0))
        return sums["mse"] / sums["examples"]

    _LOOPS[id(workload)] = (workload, jax.jit(start), jax.jit(one_step), jax.jit(error))
    return _LOOPS[id(workload)][1:]


def plain_loop(workload, rate, seed, order_seed, steps=24, period=6):
    """One trial as a user would write it: a Python loop around Optax. Returns validation errors."""
    start, one_step, error = loop_functions(workload, steps)
    params, state, opt_state, key = start(rate, seed)
    train_split = workload.data.splits["train"]
    examples = len(train_split["targets"])
    epochs = -(-steps * workload.batch_size // examples)
    rows = np.concatenate(
        [jax.random.permutation(k, examples) for k in jax.random.split(jax.random.key(order_seed), epochs)]
    )
    curve = []
    for step in range(steps):
        chosen = rows[step * workload.batch_size : (step + 1) * workload.batch_size]
        batch = {k: v[chosen] for k, v in train_split.items()}
        params, opt_state = one_step(rate, params, state, opt_state, batch, key, step)
        if (step + 1) % period == 0:
            curve.append(float(error(params, state)))
    return curve


def test_every_trial_follows_the_plain_loop(toy):
    workload = toy
    curves = train(workload=workload)
    for trial, (rate, seed) in enumerate(zip(RATES, SEEDS, strict=True)):
        expected = plain_loop(workload, rate, seed, int(ORDER[0]))
        # float32, 24 steps of sums over 8 and 30 terms in another order
        np.testing.assert_allclose(curves.metrics["validation/mse"][trial], expected, rtol=2e-4)
    assert curves.global_step.tolist() == [6, 12, 18, 24]


def test_own_batches_follow_the_plain_loop_too(toy):
    workload = toy
    curves = train(workload=workload, order=np.array([1, 2, 3], np.uint32), shared=False)
    for trial, (rate, seed) in enumerate(zip(RATES, SEEDS, strict=True)):
        expected = plain_loop(workload, rate, seed, trial + 1)
        np.testing.assert_allclose(curves.metrics["validation/mse"][trial], expected, rtol=2e-4)


def test_the_same_seeds_give_the_same_numbers_bit_for_bit(toy):
    first, second = train(workload=toy), train(workload=toy)
    for name, values in first.metrics.items():
        np.testing.assert_array_equal(values, second.metrics[name])


def test_a_trial_does_not_depend_on_its_companions(toy):
    together, alone = train(workload=toy), train(RATES[1:2], SEEDS[1:2], workload=toy)
    # Another width may reorder sums: float32 eps times the number of steps and terms.
    np.testing.assert_allclose(
        together.metrics["validation/mse"][1], alone.metrics["validation/mse"][0], rtol=1e-4
    )


def test_new_points_and_seeds_compile_nothing():
    population = Population(toy_workload(), sgd, 24, 6)
    for shift in range(3):
        population.run(
            {"learning_rate": RATES * (1 + shift)}, SEEDS + np.uint32(shift), ORDER + np.uint32(shift)
        )
    assert population.compilations == 1
    population.run({"learning_rate": RATES[:2]}, SEEDS[:2], ORDER)
    assert population.compilations == 2


def of_structure(seed):
    """Toys of one structure and other numbers: the offset of the targets is a constant of the program."""
    toy = toy_workload()

    def bind(constants):
        def loss(params, model_state, batch, key, train, regularization):
            moved = {**batch, "targets": batch["targets"] + constants["offset"]}
            return toy.loss(params, model_state, moved, key, train, regularization)

        return Functions(toy.init, loss, toy.metrics)

    shared = SharedProgram("offset toy", {"offset": np.float32(seed)}, bind)
    functions = bind(shared.constants)
    return dataclasses.replace(toy, name=f"toy/offset_{seed}", loss=functions.loss, shared=shared)


def test_tasks_of_one_structure_share_one_program():
    workloads = [of_structure(seed) for seed in range(3)]
    populations = [Population(workload, sgd, 24, 6) for workload in workloads]
    curves = [population.run({"learning_rate": RATES}, SEEDS, ORDER) for population in populations]
    assert [population.compilations for population in populations] == [1, 0, 0]
    assert populations[0].compile_seconds > 0 == populations[1].compile_seconds
    for workload, found in zip(workloads, curves, strict=True):
        expected = plain_loop(workload, RATES[1], SEEDS[1], int(ORDER[0]))
        np.testing.assert_allclose(found.metrics["validation/mse"][1], expected, rtol=2e-4)
    other_rule = Population(workloads[0], from_optax(linear_sgd), 24, 6)
    other_rule.run({"learning_rate": RATES}, SEEDS, ORDER)
    assert other_rule.compilations == 1


@pytest.mark.parametrize(("width", "side_by_side"), [(1, 1), (2, 2), (8, 1)])
def test_how_trials_are_spread_moves_numbers_by_no_more_than_rounding(toy, width, side_by_side):
    # 5 trials: parts of unequal need are filled up, and what fills them is dropped.
    rates, seeds = np.geomspace(0.01, 0.3, 5), np.arange(5, dtype=np.uint32)
    population = Population(toy, sgd, 24, 6, width=width, side_by_side=side_by_side)
    curves = population.run({"learning_rate": rates}, seeds, ORDER)
    assert curves.metrics["validation/mse"].shape == (5, 4)
    for trial in range(5):
        expected = plain_loop(toy, rates[trial], seeds[trial], int(ORDER[0]))
        np.testing.assert_allclose(curves.metrics["validation/mse"][trial], expected, rtol=2e-4)


def test_own_batches_go_with_their_trials_into_every_program(toy):
    own = Population(toy, sgd, 24, 6, shared_batches=False, width=1, side_by_side=2)
    curves = own.run({"learning_rate": RATES}, SEEDS, np.array([1, 2, 3], np.uint32))
    expected = plain_loop(toy, RATES[2], SEEDS[2], 3)
    np.testing.assert_allclose(curves.metrics["validation/mse"][2], expected, rtol=2e-4)


def test_more_than_fits_into_memory_runs_in_turns():
    # Wide enough that parameters are most of what a trial takes.
    workload, rates = toy_workload(features=3000), {"learning_rate": np.geomspace(1e-5, 1e-4, 8)}
    seeds = np.arange(8, dtype=np.uint32)
    wide = Population(workload, sgd, 6, 6, width=8, side_by_side=1)
    whole = wide.run(rates, seeds, ORDER)
    (needed,) = map(_memory.needed, calls(wide))
    tight = Population(workload, sgd, 6, 6, width=8, side_by_side=1, memory=needed // 2)
    turns = tight.run(rates, seeds, ORDER)
    assert tight.compilations > 0
    assert min(map(_memory.needed, calls(tight))) <= needed // 2
    np.testing.assert_allclose(turns.metrics["test/mse"], whole.metrics["test/mse"], rtol=1e-4)


def calls(population):
    return [program.call for program in population.programs]


def test_tall_matrices_are_kept_with_trials_before_their_outputs_and_trained_all_the_same():
    # 12 inputs to 3 hidden units is tall, 3 to 1 is too, biases are not.
    assert trial_axes({"w": np.zeros((12, 3)), "b": np.zeros(3)}, True) == {"w": 1, "b": 0}
    assert trial_axes({"w": np.zeros((12, 3)), "b": np.zeros(3)}, False) == {"w": 0, "b": 0}
    base = toy_workload(features=12)

    def init(key):
        keys = jax.random.split(key)
        return {"in": jax.random.normal(keys[0], (12, 3)), "out": jax.random.normal(keys[1], (3, 1))}, ()

    def errors(params, batch):
        hidden = jnp.tanh(dense({"kernel": params["in"], "bias": 0.0}, batch["inputs"]))
        return (hidden @ params["out"])[:, 0] - batch["targets"]

    def loss(params, model_state, batch, key, train, regularization):
        return jnp.mean(errors(params, batch) ** 2), model_state

    def metrics(params, model_state, batch, key):
        return {"mse": jnp.sum(errors(params, batch) ** 2), "examples": jnp.float32(len(batch["targets"]))}

    workload = dataclasses.replace(base, init=init, loss=loss, metrics=metrics)
    curves = train(workload=workload, rates=0.1 * RATES)
    for trial in range(3):
        expected = plain_loop(workload, 0.1 * RATES[trial], SEEDS[trial], int(ORDER[0]))
        np.testing.assert_allclose(curves.metrics["validation/mse"][trial], expected, rtol=2e-4)


@pytest.mark.slow
def test_trials_are_spread_over_all_devices(tmp_path):
    """Two devices that the process is told it has train what one does."""
    code = (
        "import sys, jax, numpy as np\n"
        "from tests.tuning.toy import sgd, toy_workload\n"
        "from tuning.engine.population import Population\n"
        "p = Population(toy_workload(), sgd, 24, 6)\n"
        "c = p.run({'learning_rate': np.array([.3, .1, .03])}, np.uint32([11, 12, 13]), np.uint32([7]))\n"
        "print(len(jax.devices()), p.programs[0].call.as_text().count('num_partitions=2'))\n"
        "np.save(sys.argv[1], c.metrics['validation/mse'])\n"
    )
    flags = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "PYTHONPATH": os.getcwd()}
    made = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "two.npy")],
        env=flags,
        check=True,
        capture_output=True,
        text=True,
    )
    assert made.stdout.split() == ["2", "1"]
    np.testing.assert_allclose(np.load(tmp_path / "two.npy"), train().metrics["validation/mse"], rtol=1e-4)


def test_a_diverging_trial_is_recorded_and_costs_the_others_nothing(toy):
    healthy = train(workload=toy)
    mixed = train(np.array([0.3, 1e30, 0.03]), workload=toy)
    assert mixed.diverged_step[[0, 2]].tolist() == [-1, -1]
    assert 0 < mixed.diverged_step[1] < 24
    assert np.isnan(mixed.metrics["validation/mse"][1, -1])
    for trial in (0, 2):
        np.testing.assert_array_equal(
            mixed.metrics["validation/mse"][trial], healthy.metrics["validation/mse"][trial]
        )


def test_regularization_reaches_the_loss_as_an_array(toy):
    without = train(dropout_rate=np.zeros(3), workload=toy)
    mixed = train(dropout_rate=np.array([0.0, 0.9, 0.0]), workload=toy)
    np.testing.assert_array_equal(without.metrics["train/mse"][0], mixed.metrics["train/mse"][0])
    assert not np.allclose(without.metrics["train/mse"][1], mixed.metrics["train/mse"][1], rtol=1e-3)


def test_evaluation_in_chunks_sums_to_the_whole(toy):
    whole = train(workload=toy)
    data = dataclasses.replace(toy.data, eval_batch_size=7)  # 40, 30 and 20 examples: whole chunks and a rest
    chunked = train(workload=dataclasses.replace(toy, data=data))
    for name, values in whole.metrics.items():
        np.testing.assert_allclose(chunked.metrics[name], values, rtol=1e-5)


def test_evaluation_period_longer_than_the_run_is_refused():
    with pytest.raises(ValueError, match=r"eval_period 30 must lie in 1\.\.24"):
        Population(toy_workload(), sgd, 24, 30)


def test_points_with_different_hyperparameters_are_refused():
    with pytest.raises(ValueError, match="points 0 and 1 have different hyperparameters"):
        stack([{"a": 1.0}, {"b": 1.0}])


def test_trial_seeds_are_fixed_by_what_they_belong_to():
    assert trial_seed(0, "w", "173", 0, "init") == trial_seed(0, "w", "173", 0, "init")
    assert len({trial_seed(0, "w", p, r, "init") for p in range(50) for r in range(5)}) == 250
    assert trial_seed("1", "11") != trial_seed("11", "1")
