"""The engine's programs: what they are given as arrays, what optimizers see, and training that stops and goes on."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from submissions import from_optax
from tests.tuning.test_streaming import as_stream
from tests.tuning.toy import linear_sgd, sgd, toy_workload
from tests.tuning.toy_optimizer import DECAY, PERIOD, everything
from tuning.engine.population import Evaluation, Population, keys_of_seeds
from workloads import Measure, Regularization

RATES = {"learning_rate": np.array([0.3, 0.1, 0.03])}
SEEDS, ORDER = np.array([11, 12, 13], np.uint32), np.array([7], np.uint32)
# Some float32 roundings of errors that are 1 to 10: programs may order their sums differently.
ROUNDING = 1e-5


def test_points_seeds_horizons_and_weights_compile_nothing():
    population = Population(toy_workload(), everything, 24, 6)
    first = population.run(RATES, SEEDS, ORDER)
    assert population.compilations == 1
    population.run({"learning_rate": RATES["learning_rate"] / 2}, SEEDS + 1, ORDER + 1)
    longer = population.run(RATES, SEEDS, ORDER, horizon=48)
    weighed = population.run(RATES, SEEDS, ORDER, weights={"scale": jnp.float32(0.5)})
    assert population.compilations == 1
    name = "validation/mse"
    assert not np.allclose(longer.metrics[name], first.metrics[name])
    assert not np.allclose(weighed.metrics[name], first.metrics[name])


def test_weights_may_differ_between_trials():
    population = Population(toy_workload(), everything, 24, 6)
    rates = {"learning_rate": np.full(3, 0.1)}
    each = population.run(rates, SEEDS[[0, 0, 0]], ORDER, weights={"scale": np.float32([1.0, 0.5, 2.0])})
    for trial, scale in enumerate((1.0, 0.5, 2.0)):
        alone = population.run(
            {"learning_rate": np.array([0.1])}, SEEDS[:1], ORDER, weights={"scale": np.float32(scale)}
        )
        np.testing.assert_allclose(
            each.metrics["validation/mse"][trial], alone.metrics["validation/mse"][0], rtol=ROUNDING
        )


def test_weights_of_another_shape_are_refused():
    population = Population(toy_workload(), everything, 24, 6)
    with pytest.raises(
        ValueError, match=r"weights have leaves of \[2\] axes; the optimizer's own have \[0\]"
    ):
        population.run(RATES, SEEDS, ORDER, weights={"scale": np.ones((3, 2))})


def test_a_horizon_that_python_decides_on_is_a_program_of_its_own():
    static = dataclasses.replace(from_optax(linear_sgd), static_horizon=True)
    population = Population(toy_workload(), static, 24, 6)
    own = population.run(RATES, SEEDS, ORDER)
    population.run(RATES, SEEDS, ORDER, horizon=48)
    assert population.compilations == 2
    traced = Population(toy_workload(), sgd, 24, 6).run(RATES, SEEDS, ORDER)
    np.testing.assert_allclose(own.metrics["validation/mse"], traced.metrics["validation/mse"], rtol=ROUNDING)
    with pytest.raises(ValueError, match="all trials of a run need the same one"):
        population.run(RATES, SEEDS, ORDER, horizon=np.array([24, 48, 24]))


def by_hand(workload, rate, seed, horizon=24, steps=24, period=6):
    """One trial of `everything`, a step at a time, from the same keys. Returns errors, and whether it still decays."""
    keys = keys_of_seeds(jnp.asarray([seed]), jnp.asarray(ORDER))
    typed = jax.random.wrap_key_data
    init, noise, batches = typed(keys.init[0]), typed(keys.noise[0]), typed(keys.batches[0])
    params, _ = workload.init(init)
    stored, source = workload.data.splits, workload.data
    rows = source.order(batches, "train", workload.batch_size, steps)
    loss = lambda p, batch, key, train: workload.loss(p, (), batch, key, train, Regularization())[0]  # noqa: E731
    decays, asked, seen, errors = 1.0, np.inf, 0, []
    fold = jax.random.fold_in
    for step in range(steps):
        batch = {name: values[rows[step]] for name, values in stored["train"].items()}
        value, grads = jax.value_and_grad(loss)(params, batch, fold(noise, step), True)
        jitter = 1e-3 * jax.random.normal(fold(fold(noise, 0xFFFFFFFD), step))
        scale = rate * (1 - step / horizon) / (1 + value)
        params = jax.tree.map(lambda x, g: x - scale * (g + jitter + decays * DECAY * x), params, grads)  # noqa: B023
        if (step + 1) % PERIOD == 0:
            key = fold(fold(batches, step), 0xFFFFFFFE)
            batch = source.fresh(stored["validation"], key, "validation", workload.batch_size)
            now = float(loss(params, batch, fold(fold(noise, 0xFFFFFFFE), step), False))
            decays, asked = 0.0 if now > asked else decays, now
        if (step + 1) % period == 0:
            marked = {**params, "b": params["b"] + 100.0 * seen}
            sums = workload.metrics(marked, (), stored["validation"], None)
            errors.append(float(sums["mse"] / sums["examples"]))
            seen += 1
    return errors, decays


def test_an_optimizer_sees_loss_key_horizon_metrics_and_the_validation_losses_that_it_asks_for():
    workload = toy_workload()
    curves = Population(workload, everything, 24, 6).run(RATES, SEEDS, ORDER)
    ends = []
    for trial, (rate, seed) in enumerate(zip(RATES["learning_rate"], SEEDS, strict=True)):
        expected, decays = by_hand(workload, rate, seed)
        ends.append(decays)
        np.testing.assert_allclose(curves.metrics["validation/mse"][trial], expected, rtol=2e-4)
    assert 0.0 in ends  # some validation loss has risen, so that the test sees the switch


def test_streamed_data_ask_for_validation_losses_too():
    workload = as_stream(toy_workload())
    calls = []
    told = dataclasses.replace(
        everything,
        observe=lambda state, metrics: calls.append(set(metrics)) or everything.observe(state, metrics),
    )
    Population(workload, told, 24, 6).run(RATES, SEEDS, ORDER)
    assert {"validation/loss"} in calls
    assert {"train/mse", "validation/mse", "test/mse"} in calls
    odd = Population(workload, dataclasses.replace(everything, validation_period=4), 24, 6)
    with pytest.raises(ValueError, match="choose such an evaluation period"):
        odd.run(RATES, SEEDS, ORDER)


class Killed(Exception):
    """Stands for a kill: nothing that follows is done."""


@pytest.mark.parametrize("streamed", [False, True])
def test_a_training_that_stopped_goes_on_bit_for_bit(tmp_path, streamed, monkeypatch):
    workload = as_stream(toy_workload()) if streamed else toy_workload()
    population = Population(workload, everything, 24, 6, evaluation=Evaluation(at_start=True))
    whole = population.run(RATES, SEEDS, ORDER, checkpoint=tmp_path / "undisturbed")

    from submissions.api import checkpoints

    save, saved = checkpoints.save, []

    def save_and_stop(folder, step, arrays, kept, keep_others):
        save(folder, step, arrays, kept, keep_others)
        saved.append(step)
        if len(saved) == 3:  # the start and two evaluations
            raise Killed

    monkeypatch.setattr(checkpoints, "save", save_and_stop)
    with pytest.raises(Killed):
        population.run(RATES, SEEDS, ORDER, checkpoint=tmp_path / "stopped")
    monkeypatch.setattr(checkpoints, "save", save)
    # In another process nothing would be compiled or open: a new population stands for it.
    again = Population(workload, everything, 24, 6, evaluation=Evaluation(at_start=True))
    resumed = again.run(RATES, SEEDS, ORDER, checkpoint=tmp_path / "stopped")
    assert resumed.global_step.tolist() == whole.global_step.tolist() == [0, 6, 12, 18, 24]
    for name, values in whole.metrics.items():
        np.testing.assert_array_equal(resumed.metrics[name], values)
    plain = population.run(RATES, SEEDS, ORDER)
    for name, values in plain.metrics.items():
        np.testing.assert_allclose(whole.metrics[name], values, rtol=ROUNDING)


def test_a_measure_may_merge_and_compute_on_the_host():
    """The median error, which no sum over examples gives."""
    toy = toy_workload()

    def errors(params, batch):
        return jnp.abs(batch["inputs"] @ params["w"] + params["b"] - batch["targets"])

    measure = Measure(
        accumulate=lambda params, state, batch, key: errors(params, batch),
        merge=lambda one, more: np.concatenate([one, more]),
        compute=lambda all_errors: {"mse": np.median(all_errors)},
        in_program=False,
    )
    workload = dataclasses.replace(toy, measure=measure)
    resident = Population(workload, sgd, 24, 6).run(RATES, SEEDS, ORDER)
    streamed = Population(as_stream(workload), sgd, 24, 6).run(RATES, SEEDS, ORDER)
    for name, values in resident.metrics.items():
        np.testing.assert_allclose(streamed.metrics[name], values, rtol=ROUNDING)
    # Without training, by hand.
    still = Population(workload, sgd, 24, 6, evaluation=Evaluation(at_start=True)).run(
        {"learning_rate": np.zeros(1)}, SEEDS[:1], ORDER
    )
    key = jax.random.wrap_key_data(keys_of_seeds(jnp.asarray(SEEDS[:1]), jnp.asarray(ORDER)).init[0])
    params, _ = toy.init(key)
    expected = np.median(errors(params, toy.data.splits["test"]))
    np.testing.assert_allclose(still.metrics["test/mse"], np.full((1, 5), expected), rtol=ROUNDING)


def test_trials_that_all_diverge_are_nan_where_the_host_computes():
    """A program whose trials have all diverged computes no metrics, so it knows no names but the workload's."""
    measure = Measure(
        accumulate=lambda params, state, batch, key: jnp.abs(params["b"])[None],
        merge=lambda one, more: np.concatenate([one, more]),
        compute=lambda found: {"mse": np.median(found), "most": np.max(found)},
        in_program=False,
    )
    workload = dataclasses.replace(toy_workload(), measure=measure)
    mixed = Population(workload, sgd, 24, 6, width=1).run(
        {"learning_rate": np.array([1e30, 0.1])}, SEEDS[:2], ORDER
    )
    for role in ("validation", "test"):
        for name in ("mse", "most"):
            values = mixed.metrics[f"{role}/{name}"]
            assert values.shape == (2, 4)
            assert np.isnan(values[0]).all()
            assert np.isfinite(values[1]).all()
    none = Population(workload, sgd, 24, 6).run({"learning_rate": np.array([1e30])}, SEEDS[:1], ORDER)
    assert np.isnan(none.metrics["validation/mse"]).all()
    assert none.diverged_step[0] > 0


TWO_DEVICES = """
import sys
from pathlib import Path

import jax
import numpy as np

from tests.tuning.test_streaming import as_stream
from tests.tuning.toy import toy_workload
from tests.tuning.toy_optimizer import everything
from tuning.engine.population import Population

rates, seeds, found = {"learning_rate": np.array([0.3, 0.1, 0.03])}, np.uint32([11, 12, 13]), {}
for shared, order in ((True, np.uint32([7])), (False, np.uint32([7, 8, 9]))):
    for name, workload, checkpoint in (
        ("resident", toy_workload(), None),
        ("streamed", as_stream(toy_workload()), None),
        ("checkpoints", toy_workload(), Path(sys.argv[1]).with_suffix(f".{shared}")),
    ):
        curves = Population(workload, everything, 24, 6, shared).run(rates, seeds, order, checkpoint=checkpoint)
        found[f"{name}, shared batches {shared}"] = curves.metrics["validation/mse"]
print(len(jax.devices()))
np.savez(sys.argv[1], **found)
"""


@pytest.mark.slow
def test_every_way_to_train_spreads_trials_over_all_devices(tmp_path):
    """Two devices that the process is told it has train what one does."""
    found = []
    for devices in (1, 2):
        flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "PYTHONPATH": os.getcwd()}
        file = tmp_path / f"{devices}.npz"
        command = [sys.executable, "-c", TWO_DEVICES, str(file)]
        made = subprocess.run(command, env=os.environ | flags, check=True, capture_output=True, text=True)
        assert made.stdout.split() == [str(devices)]
        found.append(np.load(file))
    one, two = found
    assert one.files == two.files
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], rtol=ROUNDING)
