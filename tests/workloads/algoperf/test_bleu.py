"""Hold BLEU against AlgoPerf's and against sacrebleu's."""

import numpy as np
import pytest

from tests.workloads.algoperf import golden
from workloads.algoperf import _bleu

PIECES = [
    "The",
    "the",
    "cat",
    "sat",
    "on",
    "3.50",
    "1,000",
    "$5",
    "e-mail",
    "4-5",
    "&amp;",
    "(x)",
    "don't",
    "ä",
    "end.",
    ",",
]


@golden.needs_golden
def test_scores_counts_and_words_are_algoperfs():
    _, values = golden.components()
    for case in values["bleu"].values():
        counts = _bleu.counts(case["hyp"], case["ref"])
        assert counts[:2].tolist() == [case["sys_len"], case["ref_len"]]
        assert counts[2::2].tolist() == case["counts"]
        assert counts[3::2].tolist() == case["totals"]
        assert _bleu.score(counts) == pytest.approx(case["score"], rel=1e-12)
    for text, words in values["bleu_tokens"].items():
        assert _bleu.words(text) == words.split()


def test_scores_are_sacrebleus():
    sacrebleu = pytest.importorskip("sacrebleu")
    rng = np.random.default_rng(0)

    def sentence():
        return " ".join(rng.choice(PIECES, rng.integers(1, 15)))

    for _ in range(30):
        references = [sentence() for _ in range(6)]
        hypotheses = [r if rng.random() < 0.3 else sentence() for r in references]
        wanted = sacrebleu.corpus_bleu(hypotheses, [references], force=True).score
        assert _bleu.corpus_bleu(hypotheses, references) == pytest.approx(wanted, abs=1e-9)


def test_counts_of_parts_add_up():
    hypotheses, references = ["a b c d", "e f g"], ["a b c d e", "e g f"]
    parts = [_bleu.counts([h], [r]) for h, r in zip(hypotheses, references, strict=True)]
    np.testing.assert_array_equal(sum(parts), _bleu.counts(hypotheses, references))


def test_without_a_right_word_smoothing_leaves_a_little_as_in_algoperf():
    # By hand: precisions 1/2, 1/4, 1/8 and 1/16 of 1 / 5, 1 / 4, 1 / 3, 1 / 2, in per cent.
    wanted = 100 * (1 / (2 * 5) / (4 * 4) / (8 * 3) / (16 * 2)) ** 0.25
    assert _bleu.corpus_bleu(["a b c d e"], ["v w x y z"]) == pytest.approx(wanted, rel=1e-12)


def test_a_reference_that_is_missing_is_told():
    with pytest.raises(ValueError, match="2 hypotheses, but 1 references"):
        _bleu.corpus_bleu(["a", "b"], ["a"])
