"""Streamed data against the same data on the device, and what only streams can get wrong."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from submissions import from_optax
from tests.tuning.toy import SGD, sgd, toy_workload
from tuning.engine import _streaming
from tuning.engine.population import Evaluation, Population
from workloads import ResidentData, StreamedData, Workload

RATES = {"learning_rate": np.array([0.3, 0.1, 0.03])}
SEEDS = np.array([11, 12, 13], np.uint32)
# The two lanes compile different programs, whose sums may be ordered differently: some float32 roundings of errors
# that are 1 to 10.
ROUNDING = 1e-5


def as_stream(workload: Workload, **changes) -> Workload:
    """The workload with its resident data streamed, in the order in which the engine takes resident rows."""
    stored = workload.data
    assert isinstance(stored, ResidentData)

    def stream(split, seed, batch_size):
        fields, examples = stored.splits[split], stored.size(split)
        # The engine draws its epochs from keys that depend on how many there are: 24 steps of 8 from 40 are 5.
        keys = jax.random.split(jax.random.key(np.uint32(seed)), 5)
        rows = np.concatenate([jax.random.permutation(key, examples) for key in keys])
        for start in range(0, len(rows), batch_size):
            yield {name: values[rows[start : start + batch_size]] for name, values in fields.items()}

    def once(split, batch_size):
        for start in range(0, stored.size(split), batch_size):
            yield {name: values[start : start + batch_size] for name, values in stored.splits[split].items()}

    sizes = {split: stored.size(split) for split in stored.splits}
    data = StreamedData(stream, sizes, stored.provenance, **{"once": once, "eval_batch_size": 7, **changes})
    return dataclasses.replace(workload, data=data)


@pytest.fixture(scope="module")
def toy() -> Workload:
    return toy_workload()


@pytest.mark.parametrize("shared", [True, False])
def test_streamed_data_train_as_resident_data_do(toy, shared):
    order = np.array([7] if shared else [7, 8, 9], np.uint32)
    hyperparameters = {**RATES, "dropout_rate": np.array([0.0, 0.2, 0.5])}
    evaluation = Evaluation(at_start=True)
    resident, streamed = (
        Population(workload, SGD, 24, 6, shared, evaluation).run(hyperparameters, SEEDS, order)
        for workload in (toy, as_stream(toy))
    )
    np.testing.assert_array_equal(streamed.global_step, [0, 6, 12, 18, 24])
    np.testing.assert_array_equal(streamed.global_step, resident.global_step)
    assert streamed.metrics.keys() == resident.metrics.keys()
    for name, values in resident.metrics.items():
        np.testing.assert_allclose(streamed.metrics[name], values, rtol=ROUNDING)
    np.testing.assert_array_equal(streamed.diverged_step, resident.diverged_step)


def test_recommended_parameters_are_evaluated_and_a_constraint_is_kept(toy):
    # Half of the parameters, none of which may pass 0.1: their starting values do.
    constrained = dataclasses.replace(toy, constraint=lambda p: jax.tree.map(lambda x: x.clip(-0.1, 0.1), p))
    half = from_optax(sgd, evaluated=lambda state, params: jax.tree.map(lambda x: x / 2, params))
    resident, streamed = (
        Population(workload, half, 24, 6).run(RATES, SEEDS, np.array([7], np.uint32))
        for workload in (constrained, as_stream(constrained))
    )
    plain = Population(as_stream(toy), SGD, 24, 6).run(RATES, SEEDS, np.array([7], np.uint32))
    for name, values in resident.metrics.items():
        np.testing.assert_allclose(streamed.metrics[name], values, rtol=ROUNDING)
        assert not np.allclose(plain.metrics[name], values, rtol=0.01)


def test_how_many_steps_a_call_takes_changes_no_number(toy, monkeypatch):
    whole = Population(as_stream(toy), SGD, 24, 6).run(RATES, SEEDS, np.array([7], np.uint32))
    monkeypatch.setattr(_streaming, "CHUNK_STEPS", 4)  # calls of 3 and 3 steps
    parts = Population(as_stream(toy), SGD, 24, 6).run(RATES, SEEDS, np.array([7], np.uint32))
    monkeypatch.setattr(_streaming, "CHUNK_BYTES", 1)  # calls of one step
    single = Population(as_stream(toy), SGD, 24, 6).run(RATES, SEEDS, np.array([7], np.uint32))
    for name, values in whole.metrics.items():
        np.testing.assert_allclose(parts.metrics[name], values, rtol=ROUNDING)
        np.testing.assert_allclose(single.metrics[name], values, rtol=ROUNDING)


def test_trials_that_take_turns_see_the_same_batches(toy):
    together = Population(as_stream(toy), SGD, 24, 6).run(RATES, SEEDS, np.array([7], np.uint32))
    in_turns = Population(as_stream(toy), SGD, 24, 6, width=1).run(RATES, SEEDS, np.array([7], np.uint32))
    np.testing.assert_allclose(
        in_turns.metrics["validation/mse"], together.metrics["validation/mse"], rtol=ROUNDING
    )


def test_a_new_point_compiles_nothing(toy):
    population = Population(as_stream(toy), SGD, 24, 6)
    population.run(RATES, SEEDS, np.array([7], np.uint32))
    # The start, the steps, and the sums over batches of 7, and over the 5, 2 and 6 left of the three splits.
    assert population.compilations == 6
    population.run({"learning_rate": RATES["learning_rate"] / 2}, SEEDS + 1, np.array([8], np.uint32))
    assert population.compilations == 6


def test_a_diverged_trial_is_recorded_and_costs_the_others_nothing(toy):
    streamed = as_stream(toy)
    alone = Population(streamed, SGD, 24, 6).run(RATES, SEEDS, np.array([7], np.uint32))
    wild = {"learning_rate": np.array([0.3, np.nan, 0.03])}
    curves = Population(streamed, SGD, 24, 6).run(wild, SEEDS, np.array([7], np.uint32))
    assert curves.diverged_step.tolist() == [-1, 1, -1]
    assert np.isnan(curves.metrics["validation/mse"][1]).all()
    for trial in (0, 2):
        np.testing.assert_array_equal(
            curves.metrics["validation/mse"][trial], alone.metrics["validation/mse"][trial]
        )


def test_evaluation_on_the_host_sees_every_trial_and_limits_the_training_split(toy):
    asked = []

    def evaluate(params, model_state, split, examples):
        del model_state
        asked.append((split, examples))
        return {"mse": float(params["b"]), "norm": float(np.linalg.norm(params["w"]))}

    streamed = as_stream(
        dataclasses.replace(toy, eval_examples=16, step_hint=6), once=None, evaluate=evaluate
    )
    wild = {"learning_rate": np.array([0.3, np.nan, 0.03])}
    curves = Population(streamed, SGD, 6, 6).run(wild, SEEDS, np.array([7], np.uint32))
    # Twice each: the trial that has diverged is not evaluated.
    assert asked == [("train", 16)] * 2 + [("validation", 30)] * 2 + [("test", 20)] * 2
    assert curves.metrics["test/mse"].shape == (3, 1)
    assert np.isnan(curves.metrics["test/mse"][1]).all()
    assert curves.metrics["test/norm"][0] != curves.metrics["test/norm"][2]


def test_when_every_trial_has_diverged_the_metric_is_there_and_empty(toy):
    streamed = as_stream(toy, once=None, evaluate=lambda *_: {"mse": 0.0})
    wild = {"learning_rate": np.array([np.nan])}
    curves = Population(streamed, SGD, 24, 6).run(wild, SEEDS[:1], np.array([7], np.uint32))
    assert np.isnan(curves.metrics["validation/mse"]).all()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((8, 8, 5, 8, 8, 8), "a stream's batches must agree"), ((8,) * 5, "come to an end")],
)
def test_a_stream_that_changes_or_ends_is_refused(toy, sizes, message):
    def stream(split, seed, batch_size):
        for size in sizes:
            yield {name: values[:size] for name, values in toy.data.splits[split].items()}

    streamed = dataclasses.replace(toy, data=dataclasses.replace(as_stream(toy).data, stream=stream))
    with pytest.raises(ValueError, match=message):
        Population(streamed, SGD, 24, 6).run(RATES, SEEDS, np.array([7], np.uint32))


def test_a_split_smaller_than_its_size_is_refused(toy):
    data = as_stream(toy).data
    streamed = dataclasses.replace(
        toy, data=dataclasses.replace(data, sizes={**data.sizes, "validation": 31})
    )
    with pytest.raises(ValueError, match=r"split 'validation' gave 30 examples; its size says 31"):
        Population(streamed, SGD, 24, 6).run(RATES, SEEDS, np.array([7], np.uint32))


def test_random_evaluation_batches_are_refused(toy):
    with pytest.raises(ValueError, match="leave out the 3 random batches"):
        Population(as_stream(toy), SGD, 24, 6, evaluation=Evaluation(batches=3))


def test_streamed_data_need_one_way_to_be_evaluated(toy):
    with pytest.raises(ValueError, match="give one of them"):
        as_stream(toy, once=None)
