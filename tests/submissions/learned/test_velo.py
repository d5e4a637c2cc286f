"""VeLO, Celo and Celo-Adam: against the original's numbers, and against a slow version of our own."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from submissions import Seen
from submissions.learned import celo, celo_adam, velo
from submissions.learned.fused_mlp import CHANNELS
from tests.submissions.learned.velo_in_numpy import InNumpy

ROWS = {module.ROWS[0].name: module.ROWS[0] for module in (velo, celo, celo_adam)}
SMALL = {"velo": {"lstm": 8, "bank": 4}, "celo": {"lstm": 8}, "celo_adam": {"lstm": 8}}
SHAPES = {
    "a_scalar": (), "b_vector": (5,), "c_matrix": (4, 3), "d_square": (3, 3), "e_convolution": (2, 2, 3, 4),
    "f_row": (1, 6), "g_matrix": (4, 3), "h_torch": (4, 4, 2, 2), "i_five": (3, 2, 3, 1, 3), "j_scalar": (),
}  # fmt: skip


def of_structure(row, seed=0, scale=0.3):
    """Random weights of a small size: large enough that every part of the optimizer matters."""
    shapes = jax.eval_shape(lambda key: row.initial(key, **SMALL[row.name]), jax.random.key(0))
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda x: (random.standard_normal(x.shape) * scale).astype(np.float32), shapes)


def quadratic(seed=0):
    """(start, gradients and loss at p): a noiseless quadratic whose tensors differ in size by four orders."""
    random = np.random.default_rng(seed)
    start = {name: random.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    size = {name: 10.0 ** random.uniform(-3, 1) for name in SHAPES}

    def gradients(p):
        return {name: (size[name] * np.asarray(x, np.float64)).astype(np.float32) for name, x in p.items()}

    return start, gradients


@functools.cache
def updates_of(rule):
    return jax.jit(rule.update)


def step(rule, weights, state, p, g, loss, t=0):
    updates, state = updates_of(rule)(weights, {}, g, state, p, Seen(jnp.float32(loss), t, None))
    return jax.tree.map(jnp.add, p, updates), state


def golden_weights():
    """The weights that the golden file was made with, drawn in its order."""
    random = np.random.default_rng(20221118)

    def drawn(*shape):
        return (random.standard_normal(shape) * 0.15).astype(np.float32)

    bank = {"b0": drawn(4, 4), "b1": drawn(4, 4), "b2": drawn(4, 3)}
    for name in sorted(f"w0__{i}" for i in range(14)):
        bank[name] = drawn(4, CHANNELS[int(name[4:])], 4)
    bank |= {"w1": drawn(4, 4, 4), "w2": drawn(4, 4, 3)}
    first = {"hidden": drawn(1, 8), "cell": drawn(1, 8)}
    layers = {
        "linear": (30, 8), "linear_1": (30, 8), "linear_2": (30, 8), "rnn/linear": (16, 32),
        "rnn_to_controls": (8, 4), "step_size": (8, 1),
    }  # fmt: skip
    rnn = {
        name: {"b": drawn(outputs), "w": drawn(inputs, outputs)} for name, (inputs, outputs) in layers.items()
    }
    return {"ff_mod_stack": {"~": bank}, "lstm_init_state": first, "rnn_params": rnn}


def test_a_small_velo_makes_the_originals_numbers(shared):
    golden = np.load(shared / "data/learned_optimizer_golden/velo_small.npz", allow_pickle=False)
    names = ["a_scalar", "b_vec", "c_mat", "d_square", "e_conv", "f_one"]
    weights = golden_weights()
    rule = velo.velo(weights)
    p = {name: jnp.asarray(golden[f"p0/{name}"]) for name in names}
    state = rule.init(weights, {}, p, None, 100)
    for t in range(6):
        g = {name: golden[f"g{t}/{name}"] for name in names}
        p, state = step(rule, weights, state, p, g, golden[f"loss{t}"])
        for name in names:
            move = np.float64(p[name]) - golden[f"p0/{name}"]
            # The golden file's own tolerance: a few units in the last place of parameters of size 1.
            np.testing.assert_allclose(
                move, np.float64(golden[f"p{t + 1}/{name}"]) - golden[f"p0/{name}"], rtol=0, atol=5e-7
            )
        np.testing.assert_allclose(state.lstm.hidden, golden[f"h{t + 1}"], rtol=0, atol=1e-6)
        features = velo.loss_features(state.losses)
        np.testing.assert_allclose(features, golden[f"lossfeat{t + 1}"], rtol=0, atol=2e-6)


CASES = [
    ("velo", {}, {}),
    ("velo", {"use_bugged_loss_features": True}, {"loss_horizon": 10}),
    ("velo", {"use_bugged_next_lstm_state": True}, {"forgets": True}),
    ("velo", {"var_rms_uses_mean_m": False}, {"var_rms_uses_mean_m": False}),
    ("celo", {}, {}),
    ("celo_adam", {}, {}),
]


@pytest.mark.parametrize(("name", "switches", "theirs"), CASES)
def test_it_agrees_with_numpy(name, switches, theirs):
    row = ROWS[name]
    weights = of_structure(row)
    rule = row.make(weights, **switches)
    start, gradients = quadratic()
    reference = InNumpy(name, weights, start, 40, **theirs)
    p, state = dict(start), rule.init(weights, {}, start, None, 40)
    random = np.random.default_rng(1)
    for t in range(30):
        loss = 3 / (1 + t) + 0.3 * random.standard_normal()
        g = {n: np.float32(x + 0.1 * random.standard_normal(x.shape)) for n, x in gradients(p).items()}
        reference.step(g, np.float32(loss))
        p, state = step(rule, weights, state, p, g, loss)
    for n in SHAPES:
        moved = np.abs(reference.p[n] - start[n]).max()
        assert moved > 1e-4
        np.testing.assert_allclose(p[n], reference.p[n], rtol=0, atol=1e-5, err_msg=n)


def test_the_switches_differ():
    made = {}
    row = ROWS["velo"]
    weights = of_structure(row)
    for switches in ({}, *(switches for _, switches, _ in CASES if switches)):
        rule = row.make(weights, **switches)
        start, gradients = quadratic()
        state, p = rule.init(weights, {}, start, None, 1000), dict(start)
        for t in range(5):
            p, state = step(rule, weights, state, p, gradients(p), 3.0 - t)
        made[tuple(switches)] = np.asarray(state.lstm.hidden if not switches.get("x") else 0)
    values = list(made.values())
    for i, one in enumerate(values):
        for other in values[:i]:
            assert np.abs(one - other).max() > 1e-6
