"""Hold DeepSpeech and its variants against AlgoPerf's."""

import jax
import numpy as np
import pytest

from tests.workloads.algoperf import golden, parity, speech
from workloads.algoperf._names import BASES

NAME = "librispeech_deepspeech"
NAMES = (NAME, *BASES[NAME].variants)


@golden.needs_counts
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_algoperfs_path_for_path(name):
    parity.check_parameters(name)


@golden.needs_golden
def test_logits_and_what_is_heard_are_algoperfs():
    # One unit in the last place of the parameters changes logits by up to 1.2e-5.
    options, outputs = speech.check_logits(NAME, 5e-5)
    speech.check_heard(NAME, options, outputs)


@golden.needs_golden
@pytest.mark.slow
def test_outputs_statistics_and_gradients_are_algoperfs():
    # Noise of rounding: logits 1.2e-5 and, in training, 1.2e-4; sampled entries of gradients .17 % of the largest.
    parity.check_against_golden(
        NAME, logits=5e-5, training_logits=5e-4, gradient=5e-3, workload=speech.without_noise(NAME)
    )


def test_initial_parameters_have_algoperfs_distributions():
    leaves = speech.leaves(NAME)
    cell = "BatchRNN_0/LSTM_0/LSTM/LSTMSequenceEncoder_1/cell"
    for path, leaf in leaves.items():
        if path.endswith(("bias", "scale")):
            assert not np.any(leaf), path
        elif "/cell/h" in path:
            np.testing.assert_allclose(leaf @ leaf.T, np.eye(32), atol=1e-5)
    assert not np.array_equal(leaves[f"{cell}/hi/kernel"], leaves[f"{cell}/hf/kernel"])
    for path, fans in {
        "Subsample_0/Conv2dSubsampling_1/kernel": (9 * 4, 9 * 4),
        "Subsample_0/Dense_0/kernel": (4 * 4, 64),
        "FeedForwardModule_0/Dense_0/kernel": (64, 64),
        "Dense_0/kernel": (64, 11),
    }.items():
        parity.check_uniform(np.asarray(leaves[path]), speech.xavier(*fans))
    # LeCun's: a normal of deviation 1 / sqrt(64) after it is cut at two of its own deviations, .1421 before.
    values = np.concatenate([np.ravel(leaves[f"{cell}/i{gate}/kernel"]) for gate in "ifgo"])
    assert abs(values.std() - 0.125) < 5 * 0.125 / np.sqrt(2 * values.size)
    assert 0.26 < np.abs(values).max() <= 2 * 0.125 / 0.8796


def test_switches_of_batch_normalisation_are_algoperfs():
    _, model = speech.narrow(NAME, masking=None, residual_dropout=None, **speech.SHALLOW[NAME])
    params, state = model.init(jax.random.key(0))
    state = jax.tree.map(lambda x: x + 0.5, state)
    of = speech.batch()

    @jax.jit
    def all_of_them(key):
        return [
            model.model_fn(params, state, of, key, *switches, 0.0)
            for switches in ((False, False, None), (True, True, None), (True, False, None), (False, True, None),
                             (True, True, True), (False, False, False))
        ]  # fmt: skip

    found = all_of_them(jax.random.key(0))
    logits = [np.asarray(outputs[0]) for outputs, _ in found]
    updated = [not all(map(np.array_equal, jax.tree.leaves(new), jax.tree.leaves(state))) for _, new in found]
    # Training, whichever of the first two says so; the third is ignored.
    for i in (2, 3, 4):
        np.testing.assert_allclose(logits[i], logits[1], atol=1e-5)
    np.testing.assert_allclose(logits[5], logits[0], atol=1e-5)
    assert np.abs(logits[0] - logits[1]).max() > 0.01
    assert updated == [False, True, True, True, True, False]


@pytest.mark.parametrize(("residual", "random"), [(True, True), (False, False)])
def test_dropout_of_dense_layers_forgets_the_argument_if_they_are_added(residual, random):
    _, model = speech.narrow(NAME, masking=None, residual=residual, **speech.SHALLOW[NAME])
    params, state = model.init(jax.random.key(0))
    of = speech.batch()
    train = jax.jit(lambda key: model.model_fn(params, state, of, key, True, True, None, 0.0)[0][0])
    assert np.array_equal(train(jax.random.key(1)), train(jax.random.key(2))) != random


def test_layer_norms_keep_no_state():
    _, model = speech.narrow(NAME, layer_norm=True, **speech.SHALLOW[NAME])
    assert jax.eval_shape(model.init, jax.random.key(0))[1] == ()
