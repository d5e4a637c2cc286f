"""Hold the graph network and its measure against AlgoPerf's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import average_precision_score

import workloads
from tests.workloads.algoperf import golden, parity
from workloads import ResidentData
from workloads.algoperf import _graphs, _labels, ogbg
from workloads.algoperf._gnn import JoinedDense

NAMES = ("ogbg", *ogbg.BASE.variants)


@golden.needs_counts
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_algoperfs_path_for_path(name):
    parity.check_parameters(name)


@golden.needs_golden
def test_outputs_and_gradients_are_algoperfs():
    # One unit in the last place of the parameters moves logits by 1.7e-6 and sampled gradients by 1.7e-6 of a leaf's
    # largest.
    parity.check_against_golden("ogbg", logits=6e-6, training_logits=6e-6, loss=1e-6, gradient=1e-5)


@golden.needs_golden
def test_measures_are_algoperfs():
    workload = workloads.load("algoperf/ogbg")
    totals = jax.jit(workload.measure.accumulate)(
        golden.params("ogbg"), (), golden.batch("ogbg", "eval"), jax.random.key(0)
    )
    found = workload.measure.compute(jax.device_get(totals))
    expected = golden.scalars("ogbg")
    for name in ("accuracy", "loss", "mean_average_precision"):
        assert found[name] == pytest.approx(expected[f"metrics/{name}"], rel=1e-6), name


@golden.needs_golden
def test_the_measure_of_given_logits_is_algoperfs():
    arrays, values = golden.components()
    logits, labels, mask = (arrays[f"ogbg_metrics/{name}"] for name in ("logits", "labels", "mask"))
    batch = {"targets": labels, "weights": mask}
    sums = _labels.sums(logits, batch)
    assert sums["accuracy"] / sums["examples"] == pytest.approx(values["ogbg_metrics"]["accuracy"], rel=1e-6)
    found = _labels.mean_average_precision(np.asarray(jax.nn.sigmoid(logits)), labels == 1, mask > 0)
    assert found == pytest.approx(values["ogbg_metrics"]["mean_average_precision"], rel=1e-6)
    per_task = arrays["ogbg_metrics/per_task_ap"]
    own = _labels.average_precisions(np.asarray(jax.nn.sigmoid(logits)), labels == 1, mask > 0)
    np.testing.assert_allclose(own[~np.isnan(per_task)], per_task[~np.isnan(per_task)], rtol=1e-12)


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_average_precision_is_that_of_scikit_learn_with_ties(levels):
    rng = np.random.default_rng(levels)
    scores = (rng.integers(0, levels, (300, 7)) / levels).astype(np.float32)
    targets, known = rng.random((300, 7)) < 0.2, rng.random((300, 7)) < 0.7
    expected = [average_precision_score(targets[known[:, t], t], scores[known[:, t], t]) for t in range(7)]
    np.testing.assert_allclose(_labels.average_precisions(scores, targets, known), expected, rtol=1e-12)


def test_a_task_counts_if_all_rows_have_both_answers_known_or_not():
    # Tasks: all known yes, with an unknown row stored as no (AlgoPerf counts it, with 1); all yes (not counted); a
    # "yes" nobody knows (counted, with 0); yes ranked second of two.
    scores = np.array([[0.9, 0.9, 0.9, 0.9], [0.1, 0.1, 0.1, 0.1]], np.float32)
    targets = np.array([[1, 1, 1, 0], [0, 1, 0, 1]], bool)
    known = np.array([[1, 1, 0, 1], [0, 1, 1, 1]], bool)
    assert _labels.mean_average_precision(scores, targets, known) == pytest.approx((1 + 0 + 0.5) / 3)
    assert np.isnan(_labels.mean_average_precision(scores[:, 1:2], targets[:, 1:2], known[:, 1:2]))


def narrow(**options):
    return ogbg.Options(**{"hidden": (8,), "latent": 6, "steps": 2, "tasks": 3, **options})


def molecules(sizes=((3, 2), (1, 0), (4, 5)), tasks=3):
    """Stored graphs of given (nodes, bonds)."""
    rng = np.random.default_rng(1)
    graphs = []
    for nodes, bonds in sizes:
        ends = rng.integers(0, nodes, (2, bonds))
        features = rng.integers(0, 3, (bonds, 3))
        graphs.append(
            {
                "nodes": rng.integers(0, 9, (nodes, 9)).astype(np.float32),
                "edges": np.concatenate([features, features]).astype(np.float32),
                "senders": np.concatenate([ends[0], ends[1]]).astype(np.int32),
                "receivers": np.concatenate([ends[1], ends[0]]).astype(np.int32),
            }
        )
    known = rng.random((len(sizes), tasks)) < 0.7
    targets = (rng.random((len(sizes), tasks)) < 0.5) & known
    return _graphs.padded(graphs) | {
        "targets": targets.astype(np.float32),
        "weights": known.astype(np.float32),
    }


def test_graphs_lie_end_to_end_and_the_padding_is_graphs_of_its_own():
    stored = molecules()
    batch = _graphs.lay_out(stored)
    graph = batch["inputs"]
    assert graph._fields == ("nodes", "edges", "receivers", "senders", "globals", "n_node", "n_edge")
    assert graph.n_node[:3].tolist() == [3, 1, 4]
    assert graph.n_edge[:3].tolist() == [4, 0, 10]
    assert graph.n_node.sum() == len(graph.nodes) >= 3 * 4 + 1
    assert graph.n_edge.sum() == len(graph.edges) >= 3 * 10
    np.testing.assert_array_equal(graph.nodes[4:8], stored["nodes"][2])
    np.testing.assert_array_equal(graph.edges[:4], stored["edges"][0, :4])
    np.testing.assert_array_equal(graph.senders[4:14], stored["senders"][2] + 4)
    assert (graph.senders[14:] == 8).all()
    assert (graph.receivers[14:] == 8).all()
    assert not graph.nodes[8:].any()
    assert not batch["weights"][3:].any()


def test_no_graph_sees_another_nor_the_padding():
    model = ogbg.BASE.model(narrow())
    params, _ = model.init(jax.random.key(0))
    stored = molecules()

    @jax.jit
    def logits(stored):
        return model.model_fn(params, (), _graphs.lay_out(stored), None, False, False, None, 0.0)[0]

    together = logits(stored)
    for i in range(3):
        alone = logits({field: values[i : i + 1] for field, values in stored.items()})
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-5, atol=1e-6)


def test_what_has_no_weight_changes_nothing():
    model = ogbg.BASE.model(narrow())
    params, _ = model.init(jax.random.key(0))
    batch = jax.jit(_graphs.lay_out)(molecules())

    def loss(params, batch):
        logits, _ = model.model_fn(params, (), batch, None, False, False, None, 0.0)
        values, weights = _labels.losses(logits, batch, 0.1)
        return jnp.sum(values * weights)

    unknown = batch["weights"] == 0
    others = batch | {"targets": jnp.where(unknown, 7.0, batch["targets"])}
    gradient = jax.jit(jax.value_and_grad(loss))
    before, after = (gradient(params, each) for each in (batch, others))
    jax.tree.map(np.testing.assert_array_equal, before, after)


def test_layers_begin_as_flax_has_them():
    params, _ = ogbg.BASE.model(narrow(hidden=(64,), latent=64, tasks=16)).init(jax.random.key(1))
    leaves = golden.flat(params)
    for path, leaf in leaves.items():
        if path.endswith("bias"):
            assert not leaf.any(), path
        elif path.endswith("scale"):
            assert (leaf == 1).all(), path
        else:
            # lecun_normal: variance 1 / inputs of a normal that is cut at two of its own standard deviations.
            sd = leaf.shape[0] ** -0.5
            standard_error = sd / np.sqrt(leaf.size)
            assert abs(leaf.mean()) < 5 * standard_error, path
            assert abs(leaf.std() / sd - 1) < 5 / np.sqrt(2 * leaf.size), path
            assert 0.9 < np.abs(leaf).max() / (2 * sd / 0.87962566) <= 1 + 1e-6 or leaf.size < 1000, path


def test_dropout_follows_every_activation_and_its_rate_is_traced():
    model = ogbg.BASE.model(narrow())
    params, _ = model.init(jax.random.key(0))
    batch = jax.jit(_graphs.lay_out)(molecules())
    compiled = []

    @jax.jit
    def training(rate):
        compiled.append(rate)
        return model.model_fn(params, (), batch, jax.random.key(3), True, True, None, rate)[0]

    evaluated = jax.jit(lambda: model.model_fn(params, (), batch, None, False, False, None, 0.5)[0])()
    np.testing.assert_allclose(training(0.0), evaluated, rtol=1e-5, atol=1e-6)
    assert np.abs(training(0.5) - evaluated)[:3].max() > 1e-2
    assert len(compiled) == 1
    # Everything dropped leaves the bias of the last layer.
    np.testing.assert_allclose(training(1 - 1e-6), np.zeros_like(evaluated), atol=1e-6)


def test_layers_of_joined_parts_are_those_of_their_concatenation():
    keys = jax.random.split(jax.random.key(0), 3)
    looked_up, in_order = jax.random.normal(keys[0], (5, 4)), jax.random.normal(keys[1], (7, 2))
    rows = jnp.array([4, 0, 1, 1, 2, 3, 0])
    layer = JoinedDense(3)
    parts = ((in_order, None), (looked_up, rows))
    params = layer.init(keys[2], parts)["params"]
    joined = jnp.concatenate([in_order, looked_up[rows]], 1) @ params["kernel"] + params["bias"]
    np.testing.assert_allclose(layer.apply({"params": params}, parts), joined, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_full_scale_builds(name):
    workload = workloads.load(f"algoperf/{name}")
    assert isinstance(workload.data, ResidentData)
    batch = workloads.batch_shapes(workload)
    assert batch["inputs"].nodes.shape == (26 * 512 + 1, 9)
    assert batch["inputs"].edges.shape == (56 * 512, 3)
    assert batch["targets"].shape == batch["weights"].shape == (513, 128)

    def loss(key, batch):
        params, state = workload.init(key)
        return workload.loss(params, state, batch, key, True, workloads.Regularization(dropout_rate=0.1))[0]

    assert jax.eval_shape(loss, jax.random.key(0), batch).shape == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_full_scale_takes_a_step(name):
    workload = workloads.load(f"algoperf/{name}")
    params, state = workload.init(jax.random.key(0))
    batch = next(workload.data.stream("train", jax.random.key(1), 8))
    optimizer = optax.adamw(1e-3)
    moments = optimizer.init(params)

    @jax.jit
    def step(params, moments, key):
        def loss(params):
            regularization = workloads.Regularization(dropout_rate=0.1)
            return workload.loss(params, state, batch, key, True, regularization)[0]

        value, grads = jax.value_and_grad(loss)(params)
        updates, moments = optimizer.update(grads, moments, params)
        return optax.apply_updates(params, updates), moments, value

    losses = []
    for i in range(4):
        params, moments, value = step(params, moments, jax.random.key(i))
        losses.append(float(value))
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
