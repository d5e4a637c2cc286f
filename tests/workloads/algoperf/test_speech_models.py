"""Hold both speech models to what every workload of AlgoPerf's shows, beside their parity."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import workloads
from tests.workloads.algoperf import parity, speech
from workloads.algoperf import _log_mel, _speech_scales
from workloads.algoperf._names import BASES

MODELS = ("librispeech_conformer", "librispeech_deepspeech")
each = pytest.mark.parametrize("name", MODELS)


@pytest.mark.parametrize("name", [name for base in MODELS for name in (base, *BASES[base].variants)])
def test_full_scale_builds_abstractly(name):
    parity.check_abstract_step(workloads.load(f"algoperf/{name}"))


@each
def test_four_frames_become_one_output(name):
    workload = workloads.load(f"algoperf/{name}")
    of = workload.data.shapes("train", 2)
    assert [x.shape for x in (*of["inputs"], *of["targets"])] == [(2, 320_000)] * 2 + [(2, 256)] * 2
    params, state = jax.eval_shape(workload.init, jax.random.key(0))
    outputs, _ = jax.eval_shape(lambda *args: workload.apply(*args, None, False, 0.0), params, state, of)
    assert [x.shape for x in outputs] == [(2, 500, 1024), (2, 500)]


@each
def test_dropout_rate_is_traced_and_zero_is_no_dropout(name):
    options = {"residual_dropout": None} if name == "librispeech_deepspeech" else {}
    _, model = speech.narrow(name, masking=None, **speech.SHALLOW[name], **options)
    of = speech.batch()
    params, state = model.init(jax.random.key(0))
    traced = 0

    @jax.jit
    def train(rate, key):
        nonlocal traced
        traced += 1
        return model.model_fn(params, state, of, key, True, True, None, rate)[0][0]

    one, other = jax.random.key(1), jax.random.key(2)
    assert np.array_equal(train(0.0, one), train(0.0, other))
    assert not np.array_equal(train(0.3, one), train(0.3, other))
    assert traced == 1


@each
def test_masks_act_in_training_alone(name):
    masking = _log_mel.Masking(times=2, frequencies=1, longest=0.2, widest=6)
    _, model = speech.narrow(name, masking=masking, **speech.SHALLOW[name])
    params, state = model.init(jax.random.key(0))
    of = speech.batch()

    @jax.jit
    def train(key):
        return model.model_fn(params, state, of, key, True, True, None, 0.0)[0][0]

    assert not np.array_equal(train(jax.random.key(1)), train(jax.random.key(2)))
    evaluate = jax.jit(lambda: model.model_fn(params, state, of, None, False, False, None, 0.5)[0][0])
    assert np.isfinite(evaluate()).all()


@each
@pytest.mark.slow
def test_one_real_step_at_full_scale(name):
    workload = workloads.load(f"algoperf/{name}")
    of = speech.batch(2, 32_000)
    params, state = workload.init(jax.random.key(0))
    regularization = workloads.Regularization(0.1, 0.0)
    optimizer = optax.adamw(1e-3)

    @jax.jit
    def step(params, state, key):
        gradient, new = jax.grad(workload.loss, has_aux=True)(params, state, of, key, True, regularization)
        updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        loss, _ = workload.loss(optax.apply_updates(params, updates), new, of, key, True, regularization)
        return loss, optax.tree.norm(gradient), new

    loss, norm, new = step(params, state, jax.random.key(1))
    assert np.isfinite([loss, norm]).all()
    assert not all(map(np.array_equal, jax.tree.leaves(new), jax.tree.leaves(state)))


@each
@pytest.mark.parametrize("scale", ["mini", "small"])
def test_smaller_scales_build_abstractly(name, scale):
    strings = _speech_scales.MINI if scale == "mini" else _speech_scales.SMALL
    table = speech.base(name).scales[scale]
    options = dataclasses.replace(speech.base(name).options, **table.options)
    model = speech.base(name).model(options)
    stored = _stored(strings)
    of = jax.eval_shape(lambda stored: _speech_scales.batch(None, stored, "train"), stored)
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert size < 50_000 if scale == "mini" else 0.7e6 < size < 1.3e6
    (logits, paddings), _ = jax.eval_shape(
        lambda *args: model.model_fn(*args, None, False, False, None, 0.0), params, state, of
    )
    assert logits.shape[::2] == (4, 1 + len(strings.alphabet))
    # Room for every code twice, a blank between equal ones included.
    assert logits.shape[1] >= 2 * strings.places[1]
    assert paddings.shape == logits.shape[:2]


def _stored(strings):
    shape = jax.ShapeDtypeStruct
    return {
        "audio": shape((4, strings.samples), jnp.int16),
        "samples": shape((4,), jnp.int32),
        "codes": shape((4, strings.places[1]), jnp.int32),
        "places": shape((4,), jnp.int32),
    }


@each
def test_every_variant_differs_at_the_smaller_scales_too(name):
    table = speech.base(name)
    for scale in table.scales.values():
        plain = dataclasses.replace(table.options, **scale.options)
        for variant, changes in table.variants.items():
            options = dataclasses.replace(plain, **{**changes, **scale.variants.get(variant, {})})
            assert options != plain
