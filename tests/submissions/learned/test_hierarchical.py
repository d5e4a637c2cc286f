"""The hierarchical optimizer: against the original's own numbers, and against NumPy in float64."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from submissions import Rule, Seen
from submissions.learned import LEARNED
from tests.submissions.learned.hierarchical_in_numpy import InNumpy

ROW = LEARNED["hierarchical"]
TENSORS = ("a_scalar", "b_vec", "c_mat", "d_rank3", "e_conv")


def golden_weights(seed: int, scale: float, lstm: int, mlp: int):
    """As the golden's README draws them: leaf by leaf from one generator."""
    draw = np.random.default_rng(seed)

    def one(*shape):
        return (draw.standard_normal(shape) * scale).astype(np.float32)

    def layer(inputs, outputs):
        return {"b": one(outputs), "w": one(inputs, outputs)}

    return {
        "ffmod_params": {
            "mlp/~/linear_0": layer(54, mlp),
            "mlp/~/linear_1": layer(mlp, mlp),
            "mlp/~/linear_2": layer(mlp, 18),
        },
        "initial_from_lstm": one(18),
        "initial_from_mlp": one(16),
        "lstm_init_state": {"hidden": one(1, lstm), "cell": one(1, lstm)},
        "rnn_params": {"rnn/linear": layer(52 + lstm, 4 * lstm)},
        "rnn_to_ff_params": {"rnn_to_ff": layer(lstm, 17)},
        "rnn_to_in_params": {"rnn_to_in": layer(lstm, 18)},
    }


@functools.cache
def compiled(rule: Rule):
    def update(weights, grads, state, params, loss):
        updates, state = rule.update(weights, {}, grads, state, params, Seen(loss, 0, None))
        return jax.tree.map(jnp.add, params, updates), state

    return jax.jit(update)


@pytest.mark.parametrize(
    ("tag", "arguments"), [("small", (20200912, 0.4, 8, 8)), ("default", (20200913, 0.15, 64, 32))]
)
def test_every_call_is_the_originals(shared, tag, arguments):
    golden = np.load(shared / "data/learned_optimizer_golden/rnn_mlp_lopt.npz", allow_pickle=False)
    weights = golden_weights(*arguments)
    rule = ROW.make(weights)
    assert rule.observe is not None
    start = {name: golden[f"p0/{name}"] for name in TENSORS}
    params, state = start, rule.init(weights, {}, start, None, 14)
    for call in range(1, 15):
        if golden[f"is_valid{call}"]:
            state = rule.observe(state, {"validation/loss": golden[f"loss{call}"]})
        else:
            grads = {name: golden[f"g{call}/{name}"] for name in TENSORS}
            params, state = compiled(rule)(weights, grads, state, params, golden[f"loss{call}"])
        at = functools.partial("{}/{}/{}".format, tag, call)
        for name in TENSORS:  # 3e-7: the golden's own agreement with float64, in parameters
            np.testing.assert_allclose(params[name], golden[at(f"p/{name}")], rtol=0, atol=3e-7)
        # 1e-5: float32 through an LSTM whose inputs are logarithms.
        np.testing.assert_allclose(state.hidden, golden[at("lstm_hidden")], atol=1e-5)
        np.testing.assert_allclose(state.cell, golden[at("lstm_cell")], atol=1e-5)
        np.testing.assert_allclose(state.from_lstm, golden[at("from_lstm")], atol=1e-5)
        told = [golden[at(f"from_mlp/{name}")] for name in TENSORS]
        np.testing.assert_allclose(state.from_mlp, told, rtol=1e-5, atol=1e-5)
        assert state.iteration == golden[at("iteration")]
        for ours, theirs in ((state.training, "train"), (state.validation, "valid")):
            np.testing.assert_allclose(ours.mean, golden[at(f"{theirs}_mean")], rtol=1e-6)
            np.testing.assert_allclose(ours.var, golden[at(f"{theirs}_var")], rtol=1e-5)
            assert ours.updates == golden[at(f"{theirs}_updates")]
        np.testing.assert_allclose(state.clipper.number, golden[at("clip_k")])
        np.testing.assert_allclose(state.clipper.size, golden[at("clip_a")], rtol=1e-6)
    moved = max(np.abs(params[name] - start[name]).max() for name in TENSORS)
    assert moved > 1e-3  # of which the tolerance is a small part


def test_it_is_the_numpy_version_whatever_the_shapes_and_sizes():
    rng = np.random.default_rng(5)
    start = {"a": rng.standard_normal((4, 6)), "b": rng.standard_normal(3), "c": np.float64(0.3)}
    start = {name: np.asarray(x, np.float32) for name, x in start.items()}
    weights = jax.tree.map(lambda x: x + 0.1, ROW.initial(jax.random.key(0), lstm=5, mlp=7))
    rule = ROW.make(weights)
    assert rule.observe is not None
    params, state, reference = start, rule.init(weights, {}, start, None, 9), InNumpy(weights, start)
    for call in range(9):
        grads = {name: rng.standard_normal(x.shape).astype(np.float32) for name, x in start.items()}
        loss = np.float32(3 / (1 + call) + 0.1 * rng.standard_normal())
        params, state = compiled(rule)(weights, grads, state, params, loss)
        reference.step(grads, float(loss))
        if call % 3 == 1:
            state = rule.observe(state, {"validation/loss": loss + 1})
            reference.validate(float(loss + np.float32(1)))
    for name, x in start.items():
        move, expected = params[name] - x, reference.p[name] - x.astype(np.float64)
        # float32 eps of the parameters, of order 1, in each of 9 sums
        np.testing.assert_allclose(move, expected, rtol=0, atol=1e-6)
        assert np.abs(expected).max() > 1e-4


def test_it_hears_only_the_losses_that_it_asked_for():
    weights = ROW.initial(jax.random.key(0), lstm=2, mlp=2)
    rule = ROW.make(weights)
    assert rule.observe is not None
    assert rule.validation_period == 10
    state = rule.init(weights, {}, {"a": jnp.ones(2)}, None, 9)
    of_evaluation = {"validation/loss": jnp.float32(1), "train/loss": jnp.float32(1)}
    assert rule.observe(state, of_evaluation) is state
    assert rule.observe(state, {"validation/loss": jnp.float32(1)}).validation.updates == 1
    still = ROW.make(weights, validation_advances_time=False)
    assert still.observe is not None
    assert still.observe(state, {"validation/loss": jnp.float32(1)}).iteration == 0
