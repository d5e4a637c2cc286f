"""Recurrent cells against recurrences written step by step in NumPy, and their initial weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from workloads.taskset import _recurrent, char_rnn_language_model_family

TIME, BATCH, UNITS, EMBED, TOKENS = 7, 3, 5, 4, 9


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def vrnn_step(cell, x, state, activation):
    p = cell["hidden"]
    (h,) = state
    return (activation(x @ p["input_kernel"] + p["bias"] + h @ p["state_kernel"] + p["state_bias"]),)


def gru_step(cell, x, state, activation):
    del activation
    (h,) = state

    def linear(gate, state):
        return x @ cell[gate]["input_kernel"] + state @ cell[gate]["state_kernel"] + cell[gate]["bias"]

    z, r = sigmoid(linear("update", h)), sigmoid(linear("reset", h))
    return ((1 - z) * h + z * np.tanh(linear("candidate", r * h)),)


def lstm_step(cell, x, state, activation):
    """With the joint matrix of the original: [x, h] @ w + b, gates i, j, f, o."""
    del activation
    h, c = state
    gates = [cell[gate] for gate in ("input", "candidate", "forget", "output")]
    w = np.block([[g["input_kernel"] for g in gates], [g["state_kernel"] for g in gates]])
    b = np.concatenate([g["bias"] for g in gates])
    i, j, f, o = np.split(np.concatenate([x, h], axis=1) @ w + b, 4, axis=1)
    c = c * sigmoid(f + 1.0) + sigmoid(i) * np.tanh(j)
    return np.tanh(c) * sigmoid(o), c


CASES = {
    "vrnn": (_recurrent.vrnn(UNITS, jax.nn.relu), vrnn_step, lambda x: np.maximum(x, 0)),
    "gru": (_recurrent.gru(UNITS), gru_step, None),
    "lstm": (_recurrent.lstm(UNITS), lstm_step, None),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("embed_dim", "tokens", "trainable"),
    [(EMBED, TOKENS, True), (EMBED, TIME * BATCH + 1, False), (None, TOKENS, False)],
    ids=["small vocabulary", "large vocabulary", "one-hot"],
)
def test_states_equal_a_recurrence_in_numpy(name, embed_dim, tokens, trainable):
    cell, step, activation = CASES[name]
    net = _recurrent.RecurrentNet(tokens, embed_dim, cell, outputs=2, trainable_init=trainable)
    rng = np.random.default_rng(0)
    # Every parameter is random, biases and initial states as well.
    params = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0, 0.5, leaf.shape), jnp.float32),
        jax.eval_shape(net.init, jax.random.key(0)),
    )
    ids = rng.integers(tokens, size=(TIME, BATCH))
    got = net.states(params, jnp.asarray(ids))

    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    table = np.eye(tokens) if embed_dim is None else p["embedding"]
    start = p.get("initial_state", dict.fromkeys(cell.parts, np.zeros(UNITS)))
    state = tuple(np.tile(start[part], (BATCH, 1)) for part in cell.parts)
    for t in range(TIME):
        state = step(p["cell"], table[ids[t]], state, activation)
        # Sums of some ten float32 products of size 1, 7 steps deep.
        np.testing.assert_allclose(got[t], state[0], atol=1e-5, rtol=1e-5)


def finished(cell, inputs):
    """name -> (distribution, what a draw of 1 becomes) of everything that a cell draws."""
    return {
        name: (make.distribution, float(np.ravel(make.finish(np.ones(shape)))[0]))
        for name, (shape, make) in cell.makes(inputs).items()
    }


def test_gru_weights_and_biases_are_glorot_uniform():
    made = finished(_recurrent.gru(40), 60)
    for name, fans in (("w", 60 + 40), ("u", 40 + 40), ("b", 40 + 40)):  # a vector's length is both fans
        for gate in "zrh":
            assert made[f"{name}{gate}"] == ("uniform", pytest.approx(np.sqrt(6 / fans)))


def test_lstm_gates_are_cut_normals_of_the_joint_fan_in():
    made = finished(_recurrent.lstm(40), 60)
    expected = "truncated", pytest.approx(1 / np.sqrt(60 + 40))
    assert made == {"gates": expected, "biases": expected}
    assert _recurrent.lstm(40).makes(60)["gates"][0] == (60 + 40, 4 * 40)


@pytest.mark.parametrize(("seed", "core"), [(0, "gru"), (1, "vrnn"), (2, "lstm")])
def test_a_sampled_core_is_made_by_its_own_initialisers(seed, core):
    # he_normal in all three: variance 2 / fan in after the cut at two deviations, which leaves .8796 of a deviation.
    config = char_rnn_language_model_family.sample(seed)["core"]
    assert config[0] == core
    units = config[1]["core_dim"]
    made = finished(_recurrent.sampled(config), 24)
    fans = {
        "gru": {"wz": 24, "wr": 24, "wh": 24, "uz": units, "ur": units, "uh": units},
        "vrnn": {"w": 24, "u": units},
        "lstm": {"gates": 24 + units},
    }[core]
    for name, fan_in in fans.items():
        assert made[name] == ("truncated", pytest.approx(np.sqrt(2 / fan_in) / 0.87962566, rel=1e-6))


@pytest.fixture(scope="module")
def drawn():
    """Initial parameters of a sampled LSTM with orthogonal gates, and of an IRNN."""
    cells = {
        "lstm": _recurrent.sampled(["lstm", {"w_gates": ["orthogonal", 1.0], "core_dim": 20}]),
        "irnn": _recurrent.fixed("IRNN", 20, "relu"),
    }
    nets = {
        name: _recurrent.RecurrentNet(40, 30, cell, 2, trainable_init=True) for name, cell in cells.items()
    }
    made = jax.jit(lambda key: {name: net.init(key) for name, net in nets.items()})(jax.random.key(1))
    return jax.tree.map(np.asarray, made)


def test_a_sampled_lstm_draws_one_matrix_for_all_gates(drawn):
    # The 50 rows of the joint [30 + 20, 80] are orthonormal, which those of a single gate cannot be.
    gates = [drawn["lstm"]["cell"][gate] for gate in _recurrent.LSTM_GATES]
    joint = np.block([[g["input_kernel"] for g in gates], [g["state_kernel"] for g in gates]])
    np.testing.assert_allclose(joint @ joint.T, np.eye(50), atol=1e-5)


def test_embeddings_are_standard_normal(drawn):
    embedding = drawn["irnn"]["embedding"]
    assert embedding.shape == (40, 30)
    assert abs(embedding.std() - 1) < 5 / np.sqrt(2 * embedding.size)  # 5 standard errors
    assert np.abs(embedding).max() > 2.5  # 15 of 1200 are expected there; a cut at 2 would leave none


def test_an_irnn_starts_as_the_identity(drawn):
    hidden = drawn["irnn"]["cell"]["hidden"]
    np.testing.assert_array_equal(hidden["state_kernel"], np.eye(20))
    assert not hidden["bias"].any()
    assert not hidden["state_bias"].any()


def test_initial_states_and_the_bias_of_the_linear_layer_start_at_zero(drawn):
    assert set(drawn["lstm"]["initial_state"]) == {"hidden", "cell"}
    assert set(drawn["irnn"]["initial_state"]) == {"hidden"}
    zeros = [(params["initial_state"], params["linear"]["bias"]) for params in drawn.values()]
    assert not any(leaf.any() for leaf in jax.tree.leaves(zeros))


@pytest.mark.parametrize(("activation", "expected"), [(None, np.tanh(-2.0)), ("relu", 0.0)])
def test_the_activation_of_a_fixed_vrnn_is_tanh_unless_named(activation, expected):
    cell = _recurrent.fixed("VRNN", 1, activation)
    (h,) = cell.step((np.ones((1, 1)),), (np.zeros((1, 1)),), (np.array([[-2.0]]),))
    np.testing.assert_allclose(h, expected, rtol=1e-6)
