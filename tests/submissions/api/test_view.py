"""Our workloads through AlgoPerf's interface: every number that a submission sees, against the workload's own."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import workloads
from submissions import api, from_optax
from submissions.api import _parameters
from tests.tuning.toy import toy_workload
from tuning.engine.population import Population
from workloads import GeneratedData, Regularization, StreamedData

MNIST = "algoperf/mnist"
MOVING_AVERAGES = "taskset/FixedImageConv_cifar10_batchnorm_32x64x64_bs128@batch_norm=moving_average"
DROPOUT = "taskset/FixedMLP_cifar10_Dropout05_128x128_relu_bs128"

# One of every way to make a loss, and of every kind of batch.
KINDS = {
    MNIST: {"inputs", "targets"},
    "digits/conv": {"inputs", "targets"},
    "photographs/autoencoder": {"inputs", "targets"},
    "stdlib/char_rnn": {"inputs", "targets"},
    "clicks/mlp": {"inputs", "targets"},
    "taskset/mlp_vae_family_seed10": {"inputs", "targets"},
    "taskset/rnn_text_classification_family_seed5": {"inputs", "targets"},
    "taskset/word_rnn_language_model_family_seed7": {"inputs", "targets"},
    "taskset/Copy_LSTM128_BS128_Length5_Tokens10": {"inputs", "targets"},
    "taskset/quadratic_family_seed7": {"inputs", "targets"},
    "taskset/losg_tasks_family_seed0": {"inputs", "targets"},
    MOVING_AVERAGES: {"inputs", "targets"},
    DROPOUT: {"inputs", "targets"},
}
# Each is of a kind that a cheaper one beside it is of, but for its size.
LONG = {
    "stdlib/char_rnn",
    "photographs/autoencoder",
    "taskset/rnn_text_classification_family_seed5",
    "taskset/word_rnn_language_model_family_seed7",
}
EXAMPLES = 4


@pytest.fixture(scope="module")
def spec():
    return api.spec()


@pytest.fixture(scope="module")
def views(loaded):
    """name -> view, each made once."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = api.view(loaded[name])
        return made[name]

    return of


def first_batch(view, size=EXAMPLES, seed=1, **options):
    return next(view._build_input_queue(jax.random.PRNGKey(seed), "train", None, size, **options))


def training_loss(view, params, model_state, batch, rng, dropout_rate=0.0, label_smoothing=0.0):
    """As every submission computes it."""
    outputs, model_state = view.model_fn(
        params,
        batch,
        model_state,
        view.spec.ForwardPassMode.TRAIN,
        rng,
        update_batch_norm=True,
        dropout_rate=dropout_rate,
    )
    found = view.loss_fn(batch["targets"], outputs, batch.get("weights"), label_smoothing)
    return found["summed"] / found["n_valid_examples"], model_state


def own_batch(workload, key, number, size):
    """The documented draw of step `number`: rows of shuffled epochs, and a key for what is random in a batch."""
    data, split = workload.data, workload.eval_splits["train"]
    if isinstance(data, GeneratedData):
        return jax.jit(data.draw, static_argnums=1)(jax.random.fold_in(key, number), size)
    examples = data.size(split)
    first, last = number * size // examples, ((number + 1) * size - 1) // examples
    shuffle = jax.jit(lambda epoch: jax.random.permutation(jax.random.fold_in(key, epoch), examples))
    order = np.concatenate([shuffle(epoch) for epoch in range(first, last + 1)])
    rows = order[number * size - first * examples :][:size]
    batch = {field: jnp.asarray(values[rows]) for field, values in data.splits[split].items()}
    if data.transform is None:
        return batch
    return jax.jit(data.transform, static_argnums=2)(jax.random.fold_in(key, number), batch, split)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in KINDS]
)
def test_the_loss_and_its_gradient_are_the_workloads_own(name, views):
    view = views(name)
    workload = view.workload
    params, model_state = view.init_model_fn(jax.random.PRNGKey(0))
    batch = first_batch(view)
    assert set(batch) == KINDS[name]
    own = own_batch(workload, jax.random.key(1), 0, EXAMPLES)
    own_params, own_state = jax.jit(workload.init)(jax.random.key(0))
    rng = jax.random.PRNGKey(2)
    regularization = Regularization(jnp.float32(0.3), jnp.float32(0.2))

    def through_the_view(params):
        return training_loss(view, params, model_state, batch, rng, *regularization)

    def directly(params):
        return workload.loss(params, own_state, own, jax.random.key(2), True, regularization)

    @jax.jit
    def both(params, own_params):
        found = jax.value_and_grad(through_the_view, has_aux=True)(params)
        return found, jax.value_and_grad(directly, has_aux=True)(own_params)

    ((value, state), gradient), ((expected_value, expected_state), expected_gradient) = both(
        params, own_params
    )
    # sum / n and a mean are rounded differently: some units in the last place of the largest term.
    np.testing.assert_allclose(value, expected_value, rtol=2e-6)
    assert jax.tree.structure(gradient) == jax.tree.structure(expected_gradient)
    for found, expected in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected_gradient), strict=True):
        scale = float(jnp.max(jnp.abs(expected)))
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6 * scale)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient))
    for found, expected in zip(jax.tree.leaves(state), jax.tree.leaves(expected_state), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", [MNIST, "digits/conv"])
def test_losses_can_be_differentiated_forward_over_reverse(name, views):
    # Hessian times vector, against reverse over reverse.
    view = views(name)
    params, model_state = view.init_model_fn(jax.random.PRNGKey(0))
    batch, rng = first_batch(view), jax.random.PRNGKey(2)
    vector = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), params)
    gradient = jax.grad(lambda params: training_loss(view, params, model_state, batch, rng)[0])

    def along(params):
        return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, gradient(params), vector)))

    def products(params):
        return jax.jvp(gradient, (params,), (vector,))[1], jax.grad(along)(params)

    forward, reverse = (
        np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]) for tree in jax.jit(products)(params)
    )
    assert np.linalg.norm(forward) > 0
    assert np.linalg.norm(forward - reverse) < 1e-5 * np.linalg.norm(forward)


def test_dropout_and_label_smoothing_arrive(views):
    view = views(MNIST)
    params, model_state = view.init_model_fn(jax.random.PRNGKey(0))
    batch, rng = first_batch(view), jax.random.PRNGKey(2)
    plain, dropped, smoothed = (
        float(training_loss(view, params, model_state, batch, rng, *strengths)[0])
        for strengths in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.3))
    )
    logits, _ = view.model_fn(params, batch, model_state, view.spec.ForwardPassMode.EVAL, None, False)
    log_p = np.asarray(jax.nn.log_softmax(logits), np.float64)
    of_label = -log_p[np.arange(EXAMPLES), batch["targets"]]
    assert plain == pytest.approx(of_label.mean(), rel=1e-6)
    assert smoothed == pytest.approx((0.7 * of_label - 0.3 * log_p.mean(1)).mean(), rel=1e-6)
    assert abs(dropped - plain) > 1e-3
    evaluated = view.model_fn(
        params, batch, model_state, view.spec.ForwardPassMode.EVAL, rng, False, dropout_rate=0.5
    )[0]
    np.testing.assert_array_equal(evaluated, logits)


@pytest.mark.parametrize("name", [MNIST, "stdlib/char_rnn"])
def test_a_mask_weights_examples(name, views):
    view = views(name)
    params, model_state = view.init_model_fn(jax.random.PRNGKey(0))
    batch = first_batch(view)
    outputs, _ = view.model_fn(params, batch, model_state, view.spec.ForwardPassMode.EVAL, None, False)
    whole = view.loss_fn(batch["targets"], outputs)
    assert whole["per_example"].shape[0] == EXAMPLES
    assert whole["n_valid_examples"] == whole["per_example"].size == np.asarray(batch["targets"]).size
    mask = jnp.array([1.0, 0.0, 1.0, 1.0])
    masked = view.loss_fn(batch["targets"], outputs, mask)
    np.testing.assert_allclose(masked["per_example"][1], 0.0)
    np.testing.assert_array_equal(masked["per_example"][2:], whole["per_example"][2:])
    assert masked["n_valid_examples"] == 0.75 * whole["n_valid_examples"]
    assert masked["summed"] == pytest.approx(float(masked["per_example"].sum()), rel=1e-6)
    cells = jnp.broadcast_to(
        mask.reshape(-1, *[1] * (whole["per_example"].ndim - 1)), whole["per_example"].shape
    )
    np.testing.assert_allclose(
        view.loss_fn(batch["targets"], outputs, cells)["summed"], masked["summed"], rtol=1e-6
    )


def test_a_loss_that_is_no_mean_over_examples_takes_no_mask(views):
    view = views("taskset/quadratic_family_seed7")
    with pytest.raises(ValueError, match="not a mean over examples"):
        view.loss_fn(jnp.zeros(1), jnp.zeros(1), jnp.ones(1))


def test_moving_averages_obey_both_switches(views):
    view = views(MOVING_AVERAGES)
    params, model_state = view.init_model_fn(jax.random.PRNGKey(0))
    assert set(model_state) == {"batch_stats"}
    batch = first_batch(view)
    modes = view.spec.ForwardPassMode

    def run(mode, update, running=None):
        return view.model_fn(params, batch, model_state, mode, jax.random.PRNGKey(0), update, running)

    trained, updated = run(modes.TRAIN, True)
    evaluated, after_evaluation = run(modes.EVAL, False)
    assert float(jnp.max(jnp.abs(trained - evaluated))) > 1e-3
    moved = jax.tree.map(lambda new, old: float(jnp.max(jnp.abs(new - old))), updated, model_state)
    assert all(distance > 0 for distance in jax.tree.leaves(moved))
    assert after_evaluation is model_state
    without, unchanged = run(modes.TRAIN, False)
    np.testing.assert_array_equal(without, trained)
    assert unchanged is model_state
    np.testing.assert_array_equal(run(modes.TRAIN, True, True)[0], evaluated)
    assert run(modes.TRAIN, True, True)[1] is model_state
    np.testing.assert_array_equal(run(modes.EVAL, False, False)[0], trained)


def test_a_model_without_state_has_none(views):
    view = views(MNIST)
    assert view.init_model_fn(jax.random.PRNGKey(0))[1] is None
    batch = first_batch(view)
    params, _ = view.init_model_fn(jax.random.PRNGKey(0))
    modes = view.spec.ForwardPassMode
    assert view.model_fn(params, batch, None, modes.TRAIN, jax.random.PRNGKey(0), True)[1] is None
    with pytest.raises(ValueError, match="needs rng"):
        view.model_fn(params, batch, None, modes.TRAIN, None, True)


@pytest.mark.parametrize("name", [MNIST, "taskset/mlp_vae_family_seed10", "taskset/quadratic_family_seed7"])
def test_batches_follow_the_documented_draw_over_epochs(name, views):
    view = views(name)
    size = 500 if name == MNIST else 300  # of 1,077 and 717 training examples
    queue = view._build_input_queue(jax.random.PRNGKey(5), "train", None, size)
    for number in range(4):
        batch = next(queue)
        own = own_batch(view.workload, jax.random.key(5), number, size)
        seen = view._fields.seen(own, size)
        assert jax.tree.structure(seen) == jax.tree.structure(batch)
        for found, expected in zip(jax.tree.leaves(batch), jax.tree.leaves(seen), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_queue_goes_on_over_chunks_and_shows_every_example_once_per_epoch(views):
    view = views(MNIST)
    queue = view._build_input_queue(jax.random.PRNGKey(5), "train", None, 3)
    steps = view.num_train_examples // 3
    assert steps > 2 * queue.chunk
    assert view.num_train_examples == 3 * steps
    for _ in range(2):
        seen = np.concatenate([next(queue)["inputs"] for _ in range(steps)]).reshape(3 * steps, -1)
        own = view.workload.data.splits["train"]["inputs"].reshape(3 * steps, -1)
        np.testing.assert_array_equal(np.sort(seen.sum(1)), np.sort(own.sum(1)))


def test_a_queue_can_go_on_anywhere(views):
    view = views(MNIST)
    queues = [view._build_input_queue(jax.random.PRNGKey(5), "train", None, 8) for _ in range(2)]
    batches = [next(queues[0]) for _ in range(queues[0].chunk + 3)]
    for number in (queues[0].chunk + 1, 2):
        queues[1].seek(number)
        for expected in batches[number : number + 2]:
            np.testing.assert_array_equal(next(queues[1])["inputs"], expected["inputs"])


def test_other_splits_come_in_order_padded_and_end(views):
    view = views(MNIST)
    batches = list(view._build_input_queue(jax.random.PRNGKey(0), "validation", None, 100))
    assert [len(batch["targets"]) for batch in batches] == [100] * 4
    assert "weights" not in batches[0]
    np.testing.assert_array_equal(batches[-1]["weights"], [1.0] * 60 + [0.0] * 40)
    labels = np.concatenate([batch["targets"] for batch in batches])
    np.testing.assert_array_equal(labels[:360], view.workload.data.splits["validation"]["targets"])
    endless = view._build_input_queue(jax.random.PRNGKey(0), "test", None, 360, None, True, 3)
    assert len(list(endless)) == 3


def test_a_batch_size_must_be_positive_and_a_split_known(views):
    with pytest.raises(ValueError, match="batch size 0"):
        views(MNIST)._build_input_queue(jax.random.PRNGKey(0), "train", None, 0)
    with pytest.raises(ValueError, match="no split 'valid'"):
        views(MNIST)._build_input_queue(jax.random.PRNGKey(0), "valid", None, 8)


def test_a_training_through_the_view_is_that_of_the_population_engine():
    workload = toy_workload()
    rate, steps = 0.05, 12
    population = Population(workload, from_optax(lambda hp, total: optax.sgd(hp["learning_rate"])), steps, 4)
    curves = population.run(
        {"learning_rate": np.array([rate])}, np.array([11], np.uint32), np.array([7], np.uint32)
    )
    view = api.view(workload)
    init_key, _ = jax.random.split(jax.random.key(11))
    params, model_state = view.init_model_fn(jax.random.key_data(init_key))
    queue = view._build_input_queue(jax.random.PRNGKey(7), "train", None, workload.batch_size)
    for step in range(steps):
        batch = next(queue)
        gradient = jax.grad(
            lambda p, b=batch: training_loss(view, p, model_state, b, jax.random.PRNGKey(0))[0]
        )(params)
        params = jax.tree.map(lambda p, g: p - rate * g, params, gradient)
        if (step + 1) % 4 == 0:
            found = view.eval_model(1, params, model_state, None, None, None, step + 1)
            for name, values in curves.metrics.items():
                np.testing.assert_allclose(found[name], values[0, step // 4], rtol=1e-4)


def test_evaluation_reports_every_role_and_the_sizes(views):
    view = views("taskset/mlp_family_seed15")
    params, model_state = view.init_model_fn(jax.random.PRNGKey(0))
    found = view.eval_model(7, params, model_state, jax.random.PRNGKey(0), None, None, 0)
    roles = collections.Counter(name.partition("/")[0] for name in found)
    assert roles == {"train": 2, "inner_validation": 2, "validation": 3, "test": 3}
    assert found["validation/num_examples"] == view.num_validation_examples
    again = view.eval_model(512, params, model_state, jax.random.PRNGKey(9), None, None, 3)
    assert again == found
    assert (
        view._eval_model_on_split("eval_train", 0, 7, params, model_state, None, None)["loss"]
        == found["train/loss"]
    )


def test_facts_are_the_workloads(views, spec):
    view = views(MNIST)
    workload = view.workload
    assert isinstance(view, spec.Workload)
    assert view.loss_type is spec.LossType.SOFTMAX_CROSS_ENTROPY
    assert (view.step_hint, view.target_metric_name) == (400, "accuracy")
    assert view.max_allowed_runtime_sec is None
    assert view.eval_period_time_sec is None
    assert view.eval_period == workload.eval_period
    assert view.num_train_examples == 1077
    assert view.num_eval_train_examples == 128
    assert view.num_validation_examples == view.num_test_examples == view.eval_batch_size == 360
    assert view.validation_target_value == workload.validation_target
    timed = api.view(dataclasses.replace(workload, max_runtime_seconds=60.0, eval_period_seconds=10.0))
    assert (timed.max_allowed_runtime_sec, timed.eval_period_time_sec) == (60.0, 10.0)


def test_targets_are_passed_strictly_and_in_the_right_direction(loaded):
    workload = loaded[MNIST]
    target = api.view(dataclasses.replace(workload, validation_target=0.9, test_target=0.8))
    assert not target.has_reached_validation_target({"validation/accuracy": 0.9})
    assert target.has_reached_validation_target({"validation/accuracy": 0.91})
    assert target.has_reached_test_target({"test/accuracy": 0.81})
    loss = workloads.Metric("loss", minimize=True)
    lower = api.view(dataclasses.replace(workload, metric=loss, validation_target=0.9, test_target=None))
    assert lower.has_reached_validation_target({"validation/loss": 0.89})
    assert not lower.has_reached_validation_target({"validation/loss": 0.91})
    assert lower.has_reached_test_target({})
    none = api.view(dataclasses.replace(workload, validation_target=None, test_target=None))
    assert not none.has_reached_validation_target({})
    assert not none.has_reached_test_target({})


TYPES = {
    MNIST: {"Dense_0/kernel": "WEIGHT", "Dense_0/bias": "BIAS"},
    "digits/conv": {"Conv_1/kernel": "CONV_WEIGHT", "Conv_1/bias": "BIAS", "Dense_0/kernel": "WEIGHT"},
    "clicks/mlp": {"Embed_0/embedding": "EMBEDDING"},
    MOVING_AVERAGES: {"BatchNorm_0/bias": "BATCH_NORM_BIAS", "Conv_0/kernel": "CONV_WEIGHT"},
    "taskset/FixedMLP_cifar10_LayerNorm_128x128x128_relu_bs128": {
        "LayerNorm_0/scale": "LAYER_NORM_SCALE",
        "LayerNorm_0/bias": "LAYER_NORM_BIAS",
    },
    "taskset/rnn_text_classification_family_seed5": {
        "embedding": "EMBEDDING",
        "cell/hidden/input_kernel": "WEIGHT",
        "cell/hidden/state_bias": "BIAS",
        "linear/bias": "BIAS",
    },
}


@pytest.mark.parametrize("name", TYPES)
def test_parameters_have_their_types_under_their_own_names(name, views):
    view = views(name)
    params, _ = view.init_model_fn(jax.random.PRNGKey(0))
    assert jax.tree.structure(params) == jax.tree.structure(view.model_params_types)
    shapes = jax.tree.map(lambda shape: shape.shape_tuple, view.param_shapes)
    assert shapes == jax.tree.map(lambda leaf: leaf.shape, params)
    for path, expected in TYPES[name].items():
        found = view.model_params_types
        for part in path.split("/"):
            found = found[part]
        assert found.name == expected, path


def test_attention_is_typed_as_in_algoperf(spec):
    kernels = {part: {"kernel": 0, "bias": 0} for part in ("query", "key", "value", "out")}
    types = _parameters.types({"MultiHeadDotProductAttention_0": kernels}, spec)
    found = types["MultiHeadDotProductAttention_0"]
    assert [found[part]["kernel"].name for part in found] == [
        "ATTENTION_Q",
        "ATTENTION_K",
        "ATTENTION_V",
        "ATTENTION_OUT",
    ]
    assert {found[part]["bias"].name for part in found} == {"ATTENTION_BIAS"}


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        (MNIST, "Dense_1"),
        ("taskset/rnn_text_classification_family_seed5", "linear"),
        (MOVING_AVERAGES, "Dense_0"),
    ],
)
def test_the_output_layer_is_known(name, layer, views):
    view = views(name)
    params, _ = view.init_model_fn(jax.random.PRNGKey(0))
    assert [key for key in params if view.is_output_params(key)] == [layer]


def test_params_of_any_containers_become_nested_dictionaries_and_come_back():
    tree = (np.zeros(2), [np.ones(3), {"a": np.full(1, 7.0)}])
    nested = _parameters.Nested(tree)
    seen = nested.to_dict(tree)
    assert list(seen) == ["0", "1"]
    assert list(seen["1"]) == ["0", "1"]
    assert jax.tree.structure(nested.from_dict(seen)) == jax.tree.structure(tree)
    np.testing.assert_array_equal(nested.from_dict(seen)[1][1]["a"], [7.0])
    alone = _parameters.Nested(np.zeros(2))
    assert list(alone.to_dict(np.zeros(2))) == ["params"]
    numbered = _parameters.Nested({1: np.zeros(2)})
    assert list(numbered.to_dict({1: np.zeros(2)})) == ["1"]
    assert list(numbered.from_dict({"1": np.zeros(2)})) == [1]


def test_a_constraint_is_applied_on_demand():
    params = {"w": jnp.array([[-1.0], [2.0]])}
    toy = toy_workload()
    bounded = dataclasses.replace(toy, constraint=lambda p: jax.tree.map(lambda x: jnp.maximum(x, 0.0), p))
    projected = api.view(bounded).project_params({**params, "b": jnp.array([-3.0])})
    assert jax.tree.map(np.ravel, projected)["w"].tolist() == [0.0, 2.0]
    assert api.view(toy).project_params(params) is params


def test_with_a_device_axis_everything_leads_with_the_devices(loaded):
    plain = api.view(loaded[MNIST])
    view = api.view(loaded[MNIST], device_axis=True)
    devices = jax.local_device_count()
    params, model_state = view.init_model_fn(jax.random.PRNGKey(0), 0.5, None)
    expected, _ = plain.init_model_fn(jax.random.PRNGKey(0))
    assert model_state is None
    assert view.param_shapes == plain.param_shapes
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, np.stack([b] * devices)), params, expected)
    batch, plain_batch = (first_batch(v, 4 * devices) for v in (view, plain))
    assert batch["inputs"].shape[:2] == (devices, 4)
    np.testing.assert_array_equal(batch["targets"].reshape(-1), plain_batch["targets"])
    assert view.eval_model(1, params, None, None, None, None, 0) == plain.eval_model(
        1, expected, None, None, None, None, 0
    )

    def loss(params, batch, rng):
        outputs, _ = view.model_fn(params, batch, None, view.spec.ForwardPassMode.TRAIN, rng, True)
        return view.loss_fn(batch["targets"], outputs)["summed"]

    rngs = jax.random.split(jax.random.PRNGKey(3), devices)
    mapped = jax.pmap(loss, axis_name="batch")(params, batch, rngs)
    first = jax.tree.map(lambda x: x[0], batch)
    alone = training_loss(plain, expected, None, first, rngs[0], dropout_rate=0.5)[0]
    assert mapped[0] / 4 == pytest.approx(float(alone), rel=1e-5)  # the rate given when the model was made


def test_streamed_data_reach_submissions_from_any_batch_on(loaded):
    plain = loaded[MNIST]
    stored = {split: dict(fields) for split, fields in plain.data.splits.items()}

    def read(split, seed, batch_size, first_step):
        rows = np.random.default_rng(seed).permutation(len(stored[split]["targets"]))
        for start in range(first_step * batch_size, len(rows), batch_size):
            yield {name: values[rows[start : start + batch_size]] for name, values in stored[split].items()}

    def once(split, batch_size):
        for start in range(0, len(stored[split]["targets"]), batch_size):
            yield {name: values[start : start + batch_size] for name, values in stored[split].items()}

    sizes = {split: plain.data.size(split) for split in stored}
    data = StreamedData(read, sizes, plain.data.provenance, read_once=once, eval_batch_size=100)
    view, of_resident = api.view(dataclasses.replace(plain, data=data)), api.view(plain)
    queue = view._build_input_queue(jax.random.PRNGKey(5), "train", None, 8)
    taken = [next(queue) for _ in range(4)]
    expected = list(itertools.islice(read("train", 5, 8, 0), 4))
    for got, wanted in zip(taken, expected, strict=True):
        np.testing.assert_array_equal(got["inputs"], wanted["inputs"])
        np.testing.assert_array_equal(got["targets"], wanted["targets"])
    queue.seek(2)
    np.testing.assert_array_equal(next(queue)["inputs"], expected[2]["inputs"])
    last = list(view._build_input_queue(jax.random.PRNGKey(5), "validation", None, 61))[-1]
    assert last["weights"].sum() == view.num_validation_examples % 61
    params, state = view.init_model_fn(jax.random.PRNGKey(1))
    arguments = (100, params, state, jax.random.PRNGKey(0), None, None, 0)
    found, wanted = view.eval_model(*arguments), of_resident.eval_model(*arguments)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-5)  # float32 sums in another order


def in_a_fresh_process(code: str, *path: str) -> str:
    """What the code prints."""
    program = f"import sys\nsys.path[:0] = {list(path)!r}\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_algoperf_is_provided_where_there_is_none_and_nothing_heavy_is_imported():
    out = in_a_fresh_process(
        """
        import importlib.util
        from submissions import api
        if api.is_installed():
            print("installed")
            raise SystemExit
        api.install()
        api.install()
        from algoperf import spec
        import algorithmic_efficiency.spec as old
        assert spec is old is api.spec()
        assert not api.is_installed()
        assert spec.ParameterType.ATTENTION_BIAS.value == 14
        assert "jax" not in sys.modules
        assert importlib.util.find_spec("algoperf.workloads") is None
        from algoperf import jax_sharding_utils, random_utils, param_utils
        import jax
        assert jax_sharding_utils.get_batch_dim_sharding().spec == jax.sharding.PartitionSpec("batch")
        print(sorted(name for name in sys.modules if name.startswith("torch")))
        """
    )
    assert out in ("[]", "installed")


def test_a_real_algoperf_is_never_shadowed(tmp_path):
    package = tmp_path / "algoperf"
    package.mkdir()
    (package / "__init__.py").write_text("real = True\n")
    (package / "spec.py").write_text("mine = 'real'\n")
    out = in_a_fresh_process(
        """
        from submissions import api
        api.install()
        import algoperf
        from algoperf import spec
        import algorithmic_efficiency.spec as old
        assert api.is_installed()
        assert old is spec is api.spec()
        try:
            import algoperf.random_utils
        except ImportError:
            print(algoperf.real, spec.mine)
        """,
        str(tmp_path),
    )
    assert out == "True real"


def test_a_folder_called_algoperf_is_not_algoperf(tmp_path):
    (tmp_path / "algoperf").mkdir()
    out = in_a_fresh_process("from submissions import api\nprint(api.is_installed())", str(tmp_path))
    assert out in ("False", "True")  # True where a real one is installed besides
