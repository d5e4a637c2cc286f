"""VeLO's families: their ranges, their programs, what draws change, and their normalised losses."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import workloads
from workloads import Regularization, augmented, velo
from workloads._flops import flops_per_step
from workloads.velo import _draws, _images, _sampled, image_mlp

# arXiv:2211.09760, appendix C, as the released program has them: field -> lowest, highest that comes up
RANGES = {
    "image_mlp": {"hidden": (8, 127), "layers": (0, 4), "image_size": (4, 31), "batch_size": (4, 511)},
    "image_conv": {"channels": (4, 63), "image_size": (4, 31), "batch_size": (4, 511)},
    "image_mlp_ae": {"hidden": (8, 127), "layers": (0, 4), "image_size": (4, 31), "batch_size": (4, 511)},
    "image_mlp_vae": {"latents": (2, 127), "image_size": (4, 31), "batch_size": (4, 511)},
    "image_resnet": {"first_channels": (8, 63), "image_size": (8, 63), "batch_size": (4, 255)},
    "vit": {"layers": (1, 15), "heads": (1, 15), "hidden": (32, 511), "batch_size": (4, 255)},
    "lm_rnn": {"units": (8, 255), "embedding": (8, 255), "length": (4, 511), "vocabulary": (100, 9999)},
    "lm_transformer": {"heads": (8, 127), "layers": (1, 7), "length": (4, 511), "vocabulary": (100, 9999)},
    "lopt": {"hidden": (8, 127), "steps": (1, 99), "batch_size": (1, 7), "inner_batch_size": (4, 511)},
}


@pytest.mark.parametrize("family", velo.FAMILIES)
def test_seeds_stay_in_the_published_ranges_and_fill_them(family):
    configs = [velo.sample(family, seed) for seed in range(600)]
    assert configs[0] == velo.sample(family, 0)
    for field, (low, high) in RANGES[family].items():
        values = [config[field] for config in configs]
        assert low <= min(values) <= max(values) <= high, field
        if low > 0:  # even in the logarithm: as many below the middle as above
            middle = math.sqrt(low * (high + 1))
            assert 0.4 < np.mean([value < middle for value in values]) < 0.6, field
        else:
            assert {*values} == {*range(low, high + 1)}


def test_initialisers_and_activations_are_drawn_evenly():
    drawn = [velo.draw("image_mlp", 0, number) for number in range(2000)]
    for field, count in (("initializer", 5), ("activation", 12)):
        shares = np.bincount([each[field] for each in drawn], minlength=count) / 2000
        assert shares.max() < 1.5 / count
        assert shares.min() > 0.6 / count
    scales = [each["initial_scale"] for each in drawn]
    assert 0.5 <= min(scales) < 0.51 < 1.99 < max(scales) <= 2.0


@pytest.mark.parametrize("number", range(5))
def test_an_initialiser_has_the_spread_that_its_name_says(number):
    scale, fan_in = 1.7, 3 * 3 * 8
    init = _sampled.initializer({"initializer": number, "initial_scale": np.float32(scale)})
    kernel = init.finish(jax.random.normal(jax.random.key(number), (3, 3, 8, 64)))
    flat = np.asarray(kernel).reshape(fan_in, 64)
    name = _draws.INITIALIZERS[number]
    if name == "orthogonal":
        np.testing.assert_allclose(flat.T @ flat, scale**2 * np.eye(64), atol=1e-5)
        return
    largest = {
        "uniform_scale": scale * math.sqrt(3 / fan_in),
        "variance_uniform": math.sqrt(3 * scale / fan_in),
    }
    variance = scale**2 / fan_in if name == "uniform_scale" else scale / fan_in
    assert np.var(flat) == pytest.approx(variance, rel=0.06)
    if name in largest:
        assert largest[name] * 0.999 < np.abs(flat).max() <= largest[name] * 1.000001
        assert np.mean(np.abs(flat) < largest[name] / 2) == pytest.approx(0.5, abs=0.03)


def test_activations_are_those_of_the_table():
    x = jnp.linspace(-7, 7, 29)
    made = {
        name: np.asarray(_sampled.activation({"activation": i})(x))
        for i, name in enumerate(_draws.ACTIVATIONS)
    }
    np.testing.assert_allclose(made["leaky_relu"], np.where(x < 0, -0.5 * x, x), rtol=1e-6)
    np.testing.assert_allclose(made["relu6"], np.clip(x, 0, 6), rtol=1e-6)
    np.testing.assert_allclose(made["silu"], x / (1 + np.exp(-x)), rtol=1e-4, atol=1e-6)
    assert len(made) == 10


@pytest.mark.parametrize(
    ("family", "seed"),
    [("image_mlp", 1), ("image_mlp_vae", 0), ("lm_rnn", 0)],
)
def test_draws_of_a_seed_share_a_program_and_differ_in_numbers(family, seed):
    one, other = (workloads.load(f"velo/{family}_seed{seed}{at}").shared for at in ("", "@draw=1"))
    assert one
    assert other
    assert one.key == other.key
    assert {k: (v.shape, v.dtype) for k, v in one.constants.items()} == {
        k: (v.shape, v.dtype) for k, v in other.constants.items()
    }
    assert one.constants != other.constants
    traced = []

    @jax.jit
    def start(constants, key):
        traced.append(1)
        return one.bind(constants).init(key)[0]

    made = [start(each.constants, jax.random.key(3)) for each in (one, other)]
    assert len(traced) == 1
    spread = [max(float(jnp.std(x)) for x in jax.tree.leaves(params)) for params in made]
    assert abs(spread[0] - spread[1]) > 1e-3


@pytest.mark.parametrize("family", velo.FAMILIES)
def test_a_task_of_every_family_can_be_differentiated(family):
    """Shapes alone: nothing is computed."""
    task = workloads.load(f"velo/{family}_seed0")
    batch = task.data.shapes("train", task.batch_size)
    params, model_state = jax.eval_shape(task.init, jax.random.key(0))

    def loss(params, model_state, batch, key):
        return task.loss(params, model_state, batch, key, True, Regularization())

    (value, new), grads = jax.eval_shape(
        jax.value_and_grad(loss, has_aux=True), params, model_state, batch, jax.random.key(0)
    )
    assert value.shape == ()
    assert value.dtype == jnp.float32
    assert jax.tree.structure(grads) == jax.tree.structure(params)
    assert jax.tree.structure(new) == jax.tree.structure(model_state)
    counted = velo.work(family, 0)
    assert counted.flops == pytest.approx(flops_per_step(task), rel=0.1)
    assert counted.parameters == pytest.approx(sum(x.size for x in jax.tree.leaves(params)), rel=0.1)
    sums = jax.eval_shape(task.metrics, params, model_state, batch, jax.random.key(0))
    assert {"loss", "examples"} <= set(sums)


@pytest.mark.slow
@pytest.mark.parametrize("family", velo.FAMILIES)
def test_adam_learns_a_task_of_every_family(family):
    import optax

    # Of handwritten digits: a small transformer learns a random teacher slowly. A learned optimizer with few weights.
    seed = {"vit": 40, "lopt": 8}.get(family, 0)
    task = workloads.load(f"velo/{family}_seed{seed}")
    stream = task.data.stream("train", jax.random.key(0), task.batch_size)
    rule = optax.adam(1e-3)

    @jax.jit
    def step(params, model_state, opt, batch, key):
        of = lambda p: task.loss(p, model_state, batch, key, True, Regularization())  # noqa: E731
        (value, model_state), grads = jax.value_and_grad(of, has_aux=True)(params)
        updates, opt = rule.update(grads, opt)
        return optax.apply_updates(params, updates), model_state, opt, value

    params, model_state = task.init(jax.random.key(1))
    opt, values = rule.init(params), []
    for number in range(60):
        params, model_state, opt, value = step(params, model_state, opt, next(stream), jax.random.key(number))
        values.append(float(value))
    assert np.isfinite(values).all()
    assert np.mean(values[-10:]) < np.mean(values[:5])


def test_numbers_drawn_anew_inside_a_program_are_spread_as_draws_are():
    plain = workloads.load("velo/image_mlp_ae_seed0+reparametrised=tensor:0.01:100")
    assert plain.shared
    constants = {name: jnp.asarray(value) for name, value in plain.shared.constants.items()}
    draw = jax.jit(jax.vmap(lambda key: augmented.resampled(velo.resampled(constants, key), key)))
    made = draw(jax.random.split(jax.random.key(0), 2000))
    assert {k: v.dtype for k, v in made.items()} == {k: v.dtype for k, v in constants.items()}
    assert np.bincount(made["activation"]).min() > 2000 / 12 * 0.7
    assert np.bincount(made["initializer"]).min() > 2000 / 5 * 0.8
    assert np.mean(made["log_loss"]) == pytest.approx(0.5, abs=0.05)
    assert 0.5 <= made["initial_scale"].min() < made["initial_scale"].max() <= 2.0
    for name in (name for name in made if "scale_" in name and name != "initial_scale"):
        logarithm = np.log(made[name])
        assert np.abs(logarithm).max() <= np.log(100) * 1.0001
        assert np.std(logarithm) == pytest.approx(2 * np.log(100) / np.sqrt(12), rel=0.05)
    assert np.all(np.asarray(made["augmented_low"]) == constants["augmented_low"])


def test_normalised_losses_are_those_of_the_formulas():
    def of(name, *losses):
        normalized = velo.normalizer(name)
        return [float(normalized(jnp.float32(loss))) for loss in losses]

    worst = (math.log(200) - math.log(20)) * 10 / math.log(100)
    made = of("velo/image_mlp_seed1", math.log(20), 99.0, math.nan, -math.inf)  # CIFAR-100
    assert made == pytest.approx([0, worst, worst, worst], abs=1e-5)
    logarithms = {
        velo.draw("image_mlp_ae", 0, k)["log_loss"]: f"velo/image_mlp_ae_seed0@draw={k}" for k in range(9)
    }
    assert of(logarithms[0], math.exp(-4.0)) == pytest.approx([8.0], abs=1e-4)
    assert of(logarithms[1], -4.0, math.inf, -40.0) == [8.0, 10.5, 4.0]
    assert of("velo/image_resnet_seed0", math.log(200), math.nan) == pytest.approx([10, 10])


def test_a_task_takes_sizes_of_ones_own_beside_those_of_its_seed():
    own = workloads.load("velo/image_mlp_seed1@layers=1,hidden=24,draw=2")
    config = velo.sample("image_mlp", 1)
    sizes = {x.shape for x in jax.tree.leaves(jax.eval_shape(own.init, jax.random.key(0))[0])}
    pixels = 3 * config["image_size"] ** 2
    assert sizes == {(pixels, 24), (24,), (24, 100), (100,)}
    assert own.batch_size == config["batch_size"]
    assert own.shared is not None
    assert float(own.shared.constants["initial_scale"]) == velo.draw("image_mlp", 1, 2)["initial_scale"]


SMALL_LOPT = "hidden=8,layers=1,image_size=4,inner_batch_size=5,steps=3,batch_size=2"


@pytest.mark.slow
def test_a_learned_optimizer_as_a_task_is_trained_through_its_trainings():
    """The loss against loops in Python with plain SGD, its gradient against differences."""
    task = workloads.load(f"velo/lopt_seed1@{SMALL_LOPT}")
    config = velo.sample("lopt", 1)
    assert config["optimizer"] == "learnable_sgd"
    batch = next(task.data.stream("train", jax.random.key(0), task.batch_size))
    assert batch["inputs"].shape == (2, 3, 5, 4, 4, 3)
    normalized = velo.normalizer("velo/lopt_seed1")
    inner = workloads.load("velo/image_mlp_seed0@layers=1,hidden=8").shared
    of_inner = image_mlp.functions_of_draw(config | {"hidden": 8, "layers": 1, "image_size": 4})
    assert inner is not None

    def by_hand(rate, key):
        losses = []
        for number, one in enumerate(jax.random.split(key, 2)):
            of_draw, of_params, _, one = jax.random.split(one, 4)
            net = of_inner(velo.resampled(inner.constants, of_draw))
            params = net.init(of_params)[0]
            for step in range(3):
                seen = {field: values[number, step] for field, values in batch.items()}
                of = lambda p: net.loss(p, (), seen, one, True, Regularization())[0]  # noqa: B023, E731
                loss, grads = jax.value_and_grad(of)(params)
                params = jax.tree.map(lambda p, g: p - rate * g, params, grads)
                losses.append(float(normalized(loss)))
        return np.mean(losses)

    def loss(weights):
        return task.loss(weights, (), batch, jax.random.key(7), True, Regularization())[0]

    weights = task.init(jax.random.key(1))[0]
    (value, grads), rate = jax.value_and_grad(loss)(weights), math.exp(weights["log_lr"])
    assert float(value) == pytest.approx(by_hand(rate, jax.random.key(7)), rel=1e-5)
    step = 0.05
    slope = (
        by_hand(rate * math.exp(step), jax.random.key(7)) - by_hand(rate * math.exp(-step), jax.random.key(7))
    ) / (2 * step)
    assert float(grads["log_lr"]) == pytest.approx(slope, rel=0.02)
    sums = task.metrics(weights, (), batch | {"weights": jnp.asarray([1.0, 0.0])}, jax.random.key(7))
    assert float(sums["examples"]) == 1
    evaluated = list(task.data.once_filled("outer_valid", jax.random.key(0), 2, 3))
    assert [each["inputs"].shape[:3] for each in evaluated] == [(2, 3, 5)] * 2
    assert evaluated[1]["weights"].tolist() == [1, 0]


def test_images_are_resized_bilinearly_without_smoothing():
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1) * 10
    expected = jax.image.resize(image.astype(np.float32), (1, 3, 3, 1), "bilinear", antialias=False)
    np.testing.assert_array_equal(_images.resize(image, 3), np.rint(expected))
    larger = jax.image.resize(image.astype(np.float32), (1, 7, 7, 1), "bilinear", antialias=False)
    assert np.abs(_images.resize(image, 7) - np.asarray(larger)).max() <= 0.5001


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "velo/image_mpl_seed0",
            r"VeLO has no task family 'image_mpl'; did you mean 'image_mlp'\? \(it has image_mlp",
        ),
        ("velo/vit_seed0@draw=x", "'draw=x' is not understood: 'x' is no whole number that it can be"),
        (
            "velo/image_mlp_seed0@hiden=3",
            r"'hiden=3' is not understood; did you mean 'hidden'\? \(allowed behind the @: draw=K, hidden=N, layers=N",
        ),
        ("velo/image_mlp_seed0@hidden=0", "'0' is no whole number that it can be"),
        ("velo/vit_seed", "unknown workload 'velo/vit_seed'"),
    ],
)
def test_names_that_are_none(name, message):
    with pytest.raises(ValueError, match=message):
        workloads.load(name)
