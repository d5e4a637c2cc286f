"""Hold beam search against AlgoPerf's, and against trying everything."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.workloads.algoperf import golden
from workloads.algoperf import _beam


def search(table, length, beams=_beam.BEAMS, alpha=_beam.ALPHA, end=_beam.END):
    """The best sentences where the logits of a token depend on the one before: table[sentence, before, token]."""
    sentences = np.repeat(np.arange(len(table)), beams)

    def step(tokens, position, of):
        del position
        return jnp.asarray(table)[of, tokens], of

    return jax.jit(lambda of: _beam.beam_search(step, of, len(table), length, beams, alpha, end))(sentences)


@golden.needs_golden
@pytest.mark.parametrize("length", [6, 12])
@pytest.mark.parametrize("alpha", [0, 0.6])
def test_beams_of_a_table_are_algoperfs(length, alpha):
    arrays, _ = golden.components()
    found = search(arrays["beam/table"], length, alpha=alpha)
    np.testing.assert_array_equal(found.tokens, arrays[f"beam/L{length}_alpha{alpha}/seqs"])
    np.testing.assert_allclose(found.scores, arrays[f"beam/L{length}_alpha{alpha}/scores"], rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
def test_enough_beams_find_the_best_of_all_sentences(alpha):
    tokens, length, end = 4, 5, 2
    table = np.random.default_rng(0).standard_normal((2, tokens, tokens))
    found = search(table.astype(np.float32), length, beams=64, alpha=alpha)
    shares = table - np.log(np.exp(table).sum(-1, keepdims=True))
    for sentence in range(2):
        best = max(
            (
                sum(shares[sentence, a, b] for a, b in itertools.pairwise((0, *words, end)))
                / ((5 + len(words) + 1) / 6) ** alpha,
                (0, *words, end),
            )
            for n in range(length - 1)
            for words in itertools.product([0, 1, 3], repeat=n)
        )
        row = found.tokens[sentence, -1]
        assert tuple(row[: len(best[1])].tolist()) == best[1]
        assert float(found.scores[sentence, -1]) == pytest.approx(best[0], rel=1e-5)


def test_a_sentence_that_never_ends_is_that_of_the_live_beams():
    table = np.zeros((1, 5, 5), np.float32)
    table[:, :, 2] = -1e9  # never ends
    table[:, :, 3] = 1.0
    found = search(table, 6)
    assert found.tokens[0, -1].tolist() == [0, 3, 3, 3, 3, 3]
