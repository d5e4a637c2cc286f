"""VeLO, Celo and Celo-Adam: against the original's numbers, and against a slow version of our own."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from submissions import Seen
from submissions.learned import celo, celo_adam, continuation, fused_mlp, velo, weight_files
from submissions.learned.features import factored_axes
from tests.submissions.learned.velo_in_numpy import InNumpy
from tests.tuning.toy import toy_workload
from tuning.engine.population import Population

ROWS = {module.ROWS[0].name: module.ROWS[0] for module in (velo, celo, celo_adam)}
SMALL = {"velo": {"lstm": 8, "bank": 4}, "celo": {"lstm": 8}, "celo_adam": {"lstm": 8}}
# Equal sizes in the two largest axes, whose order decides; two tensors of one shape, apart; one that is not padded.
SHAPES = {
    "a_scalar": (), "b_matrix": (4, 3), "c_torch": (4, 4, 2, 2), "d_five": (3, 2, 3, 1, 3), "e_matrix": (4, 3),
    "f_large": (65, 64), "g_vector": (5,),
}  # fmt: skip


def of_structure(row, seed=0, scale=0.15):
    """Random weights of a small size: large enough that every part of the optimizer matters."""
    shapes = jax.eval_shape(lambda key: row.initial(key, **SMALL[row.name]), jax.random.key(0))
    random = np.random.default_rng(seed)
    weights = jax.tree.map(lambda x: (random.standard_normal(x.shape) * scale).astype(np.float32), shapes)
    if row.name != "velo":
        weights["rnn_params"]["step_size"]["b"] += 4  # or steps are too small to tell
    return weights


def quadratic(names=tuple(SHAPES)):
    """(start, gradients at p): a quadratic whose tensors differ in size by four orders."""
    random = np.random.default_rng(0)
    start = {name: random.standard_normal(SHAPES[name]).astype(np.float32) for name in names}
    size = {name: 10.0 ** random.uniform(-3, 1) for name in names}

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
        bank[name] = drawn(4, fused_mlp.CHANNELS[int(name[4:])], 4)
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


@pytest.mark.parametrize("padded", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_small_velo_makes_the_originals_numbers(padded, shared, monkeypatch):
    if not padded:
        monkeypatch.setattr(fused_mlp, "SMALL", 0)
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


FEW = ("a_scalar", "b_matrix")  # are compiled sooner
MORE = ("b_matrix", "c_torch", "e_matrix", "f_large")
CASES = [
    pytest.param("velo", MORE, {}, {}),
    pytest.param("velo", SHAPES, {}, {}, marks=pytest.mark.slow),
    pytest.param("celo_adam", FEW, {}, {}),
    pytest.param("celo", SHAPES, {}, {}, marks=pytest.mark.slow),
    pytest.param(
        "velo", FEW, {"use_bugged_loss_features": True}, {"loss_horizon": 10}, marks=pytest.mark.slow
    ),
    pytest.param(
        "velo", FEW, {"use_bugged_next_lstm_state": True}, {"forgets": True}, marks=pytest.mark.slow
    ),
    pytest.param(
        "velo", FEW, {"var_rms_uses_mean_m": False}, {"var_rms_uses_mean_m": False}, marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize(("name", "tensors", "switches", "theirs"), CASES)
def test_it_agrees_with_numpy(name, tensors, switches, theirs):
    row = ROWS[name]
    weights = of_structure(row)
    rule = row.make(weights, **switches)
    start, gradients = quadratic(tensors)
    reference = InNumpy(name, weights, start, 40, **theirs)
    p, state = dict(start), rule.init(weights, {}, start, None, 40)
    random = np.random.default_rng(1)
    for t in range(30):
        loss = 3 / (1 + t) + 0.3 * random.standard_normal()
        g = {n: np.float32(x + 0.1 * random.standard_normal(x.shape)) for n, x in gradients(p).items()}
        reference.step(g, np.float32(loss))
        p, state = step(rule, weights, state, p, g, loss)
    for n in start:
        moved = np.abs(reference.p[n] - start[n]).max()
        assert moved > 1e-4
        np.testing.assert_allclose(p[n], reference.p[n], rtol=0, atol=1e-5, err_msg=n)


def regression():
    """(parameters, loss): 6-16-3 with tanh on 32 points."""
    random = np.random.default_rng(7)
    x = random.standard_normal((32, 6))
    y = np.tanh(x @ random.standard_normal((6, 8))) @ random.standard_normal((8, 3)) / 2
    p = {
        "b0": np.zeros(16), "b1": np.zeros(3),
        "w0": random.standard_normal((6, 16)) / 6**0.5, "w1": random.standard_normal((16, 3)) / 4,
    }  # fmt: skip
    x, y = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)

    def loss(p):
        return jnp.mean(jnp.square(jnp.tanh(x @ p["w0"] + p["b0"]) @ p["w1"] + p["b1"] - y))

    return {name: jnp.asarray(value, jnp.float32) for name, value in p.items()}, loss


@pytest.mark.parametrize(("name", "fraction"), [("celo", 2e-3), ("celo_adam", 1e-2)])
def test_real_weights_train_as_in_numpy(name, fraction, shared):
    weights = weight_files.read(shared / f"data/learned_optimizer_weights/{name}.theta.state").weights
    rule = ROWS[name].make(weights)
    start, loss = regression()

    @jax.jit
    def run(start):
        def one(carry, t):
            p, state = carry
            value, g = jax.value_and_grad(loss)(p)
            updates, state = rule.update(weights, {}, g, state, p, Seen(value, t, None))
            p = jax.tree.map(jnp.add, p, updates)
            return (p, state), (value, g, p)

        return jax.lax.scan(one, (start, rule.init(weights, {}, start, None, 200)), jnp.arange(200))[1]

    losses, gradients, path = jax.device_get(run(start))
    assert losses[-1] < fraction * losses[0]
    reference = InNumpy(name, weights, start, 200)
    for t in range(60):
        reference.step({n: g[t] for n, g in gradients.items()}, losses[t])
        for n in start:
            # Float32 against float64 on the same gradients.
            np.testing.assert_allclose(path[n][t], reference.p[n], rtol=0, atol=1e-5, err_msg=f"{n} {t}")


def test_the_order_of_tensors_does_not_matter():
    row = ROWS["velo"]
    weights = of_structure(row)
    rule = row.make(weights)
    start, gradients = quadratic(FEW)
    renamed = {n: f"{9 - i}_{n}" for i, n in enumerate(start)}  # leaves are sorted by name
    made = []
    for names in ({n: n for n in start}, renamed):
        p = {names[n]: x for n, x in start.items()}
        state = rule.init(weights, {}, p, None, 10)
        for t in range(4):
            g = {names[n]: x for n, x in gradients({n: p[names[n]] for n in start}).items()}
            p, state = step(rule, weights, state, p, g, 3.0 - t)
        made.append({n: np.asarray(p[names[n]]) for n in start})
    for n in start:
        assert np.abs(made[0][n] - start[n]).max() > 1e-5
        np.testing.assert_allclose(made[0][n], made[1][n], rtol=1e-6, atol=1e-6)  # sums in another order


def test_the_released_sizes_are_the_defaults():
    of = {name: jax.eval_shape(row.initial, jax.random.key(0)) for name, row in ROWS.items()}
    counts = {name: sum(leaf.size for leaf in jax.tree.leaves(tree)) for name, tree in of.items()}
    assert counts == {"velo": 2_320_385, "celo": 37_089, "celo_adam": 36_865}
    paths = {
        "/".join(str(key.key) for key in path): leaf.shape
        for path, leaf in jax.tree.leaves_with_path(of["velo"])
    }
    bank = {f"w0__{i}": (256, 3 if i in (3, 5, 7, 9, 10, 11, 12, 13) else 1, 4) for i in range(14)}
    bank |= {"b0": (256, 4), "b1": (256, 4), "b2": (256, 3), "w1": (256, 4, 4), "w2": (256, 4, 3)}
    layers = {
        "linear": (30, 512), "linear_1": (30, 512), "linear_2": (30, 512), "rnn/linear": (1024, 2048),
        "rnn_to_controls": (512, 256), "step_size": (512, 1),
    }  # fmt: skip
    assert paths == {
        **{f"ff_mod_stack/~/{name}": shape for name, shape in bank.items()},
        **{f"lstm_init_state/{name}": (1, 512) for name in ("hidden", "cell")},
        **{f"rnn_params/{name}/w": shape for name, shape in layers.items()},
        **{f"rnn_params/{name}/b": shape[1:] for name, shape in layers.items()},
    }


def test_equal_axes_are_sorted_stably():
    # NumPy's default order of these depends on the processor.
    assert factored_axes((64, 64, 3, 3)) == (0, 1)
    assert factored_axes((3, 2, 3, 1, 3)) == (2, 4)
    assert factored_axes((3, 3, 64, 64)) == (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_weights_with_a_trial_axis_are_single_trainings(name):
    row = ROWS[name]
    several = [of_structure(row, seed) for seed in range(2)]
    rule = row.make(several[0])
    population = Population(toy_workload(), rule, 6, 3)
    seeds, batches = np.array([3, 3], np.uint32), np.array([4], np.uint32)
    together = population.run({}, seeds, batches, weights=jax.tree.map(lambda *x: np.stack(x), *several))
    alone = Population(toy_workload(), rule, 6, 3)
    found = [alone.run({}, seeds[:1], batches, weights=weights) for weights in several]
    for metric, values in together.metrics.items():
        assert values[0, -1] != values[1, -1]
        for one, of_trial in zip(found, values, strict=True):
            np.testing.assert_allclose(of_trial, one.metrics[metric][0], rtol=1e-5)  # sums in another order


def test_only_the_time_changes_with_more_steps():
    row = ROWS["velo"]
    weights = of_structure(row)
    rule = row.make(weights)
    start, gradients = quadratic(FEW)
    state = rule.init(weights, {}, start, None, 2)
    p = dict(start)
    for t in range(2):
        p, state = step(rule, weights, state, p, gradients(p), 3.0 - t)
    longer = continuation.more_steps(state, 100)
    assert jax.tree.all(jax.tree.map(np.array_equal, longer._replace(horizon=state.horizon), state))
    after = {
        way: step(rule, weights, of, p, gradients(p), 1.0)[0]["b_matrix"]
        for way, of in {
            "naive": continuation.naive(state),
            "more steps": longer,
            "reset": continuation.reset(rule, p, 100, None),
        }.items()
    }
    ways = list(after.values())
    assert not np.array_equal(ways[0], ways[1])
    assert not np.array_equal(ways[1], ways[2])
