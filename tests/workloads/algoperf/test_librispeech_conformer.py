"""Hold the Conformer and its variants against AlgoPerf's."""

import jax
import numpy as np
import pytest

from tests.workloads.algoperf import golden, parity, speech
from workloads.algoperf._names import BASES

NAME = "librispeech_conformer"
NAMES = (NAME, *BASES[NAME].variants)


@golden.needs_counts
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_algoperfs_path_for_path(name):
    parity.check_parameters(name)


@golden.needs_golden
def test_logits_and_what_is_heard_are_algoperfs():
    # One unit in the last place of the parameters changes logits by up to 1.4e-5.
    options, outputs = speech.check_logits(NAME, 5e-5)
    speech.check_heard(NAME, options, outputs)


@golden.needs_golden
@pytest.mark.slow
def test_outputs_statistics_and_gradients_are_algoperfs():
    # Noise of rounding: logits 1.4e-5 and, in training, 1.0e-4. One bias of a convolution, whose gradient is a sum over
    # all pixels that ReLU lets through, has sampled entries that differ by .5 % of its largest; all others by .01 %.
    parity.check_against_golden(
        NAME, logits=5e-5, training_logits=4e-4, gradient=1e-2, workload=speech.without_noise(NAME)
    )


def test_initial_parameters_have_algoperfs_distributions():
    leaves = speech.leaves(NAME)
    for path, leaf in leaves.items():
        if path.endswith(("bias", "scale")):
            assert not np.any(leaf), path
    block = "ConformerBlock_0"
    attention = f"{block}/MultiHeadedSelfAttention_0/MultiHeadDotProductAttention_0"
    for path, fans in {
        "Subsample_0/Conv2dSubsampling_1/kernel": (9 * 4, 9 * 4),
        "Subsample_0/Dense_0/kernel": (4 * 4, 64),
        f"{block}/FeedForwardModule_1/Dense_0/kernel": (64, 256),
        f"{block}/ConvolutionBlock_0/Dense_2/kernel": (64, 64),
        # One input channel and 64 outputs, over five places.
        f"{block}/ConvolutionBlock_0/Conv_0/kernel": (5, 5 * 64),
        # Drawn as matrices of 64 by 64.
        f"{attention}/query/kernel": (64, 64),
        f"{attention}/out/kernel": (64, 64),
        "Dense_0/kernel": (64, 11),
    }.items():
        parity.check_uniform(np.asarray(leaves[path]), speech.xavier(*fans))


def test_switches_of_batch_normalisation_are_algoperfs():
    _, model = speech.narrow(NAME, masking=None, **speech.SHALLOW[NAME])
    of = speech.batch()
    params, state = model.init(jax.random.key(0))
    state = jax.tree.map(lambda x: x + 0.5, state)

    @jax.jit
    def all_of_them(key):
        return [
            model.model_fn(params, state, of, key, *switches, 0.0)
            for switches in (
                (False, False, None),
                (True, True, None),
                (True, False, None),
                (False, True, None),
                (True, True, True),
                (False, False, False),
            )
        ]

    found = all_of_them(jax.random.key(0))
    logits = [np.asarray(outputs[0]) for outputs, _ in found]
    updated = [not all(map(np.array_equal, jax.tree.leaves(new), jax.tree.leaves(state))) for _, new in found]
    # Training, whichever of the two says so.
    for i in (2, 3):
        np.testing.assert_allclose(logits[i], logits[1], atol=1e-5)
    assert np.abs(logits[0] - logits[1]).max() > 0.01
    assert updated == [False, True, True, True, False, False]
    # Nothing is random here, so that the third switch alone decides.
    np.testing.assert_allclose(logits[4], logits[0], atol=1e-5)
    np.testing.assert_allclose(logits[5], logits[1], atol=1e-5)
