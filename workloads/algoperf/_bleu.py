"""Corpus BLEU (Papineni et al. 2002) by AlgoPerf's rule, that of sacrebleu 1.3.1: tokens 13a, exponential smoothing.

Later versions of sacrebleu give the same score but for a corpus without a single right word, which is 0 there; here,
as in AlgoPerf, smoothing gives it a little. So it is written out.
"""

from __future__ import annotations

import collections
import functools
import math
import re
from collections.abc import Sequence

import numpy as np

ORDER = 4  # the longest n-grams

# mteval-v13a's, in its order: symbols stand alone; so do points and commas unless digits are on both sides; so does a
# dash after a digit.
_ENTITIES = (("<skipped>", ""), ("-\n", ""), ("\n", " "), ("&quot;", '"'), ("&amp;", "&"))
_MORE_ENTITIES = (("&lt;", "<"), ("&gt;", ">"))
_SPLITS = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"([\{-\~\[-\` -\&\(-\+\:-\@\/])", r" \1 "),
        (r"([^0-9])([\.,])", r"\1 \2 "),
        (r"([\.,])([^0-9])", r" \1 \2"),
        (r"([0-9])(-)", r"\1 \2 "),
    )
)


def words(text: str) -> list[str]:
    """The words that are counted of a text.

    Example:
      >>> words("Hello, world! (3.14)")
      ['Hello', ',', 'world', '!', '(', '3.14', ')']
    """
    text = text.rstrip()
    for entity, by in (*_ENTITIES, *_MORE_ENTITIES):
        text = text.replace(entity, by)
    text = f" {text} "
    for pattern, by in _SPLITS:
        text = pattern.sub(by, text)
    return text.split()


@functools.lru_cache(maxsize=65_536)  # references are counted at every evaluation
def _grams(text: str) -> tuple[int, collections.Counter]:
    """How many words, and how often every n-gram of up to ORDER of them."""
    found = words(text)
    return len(found), collections.Counter(
        tuple(found[i : i + n]) for n in range(1, ORDER + 1) for i in range(len(found) - n + 1)
    )


def counts(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """What a corpus' score is made of, and what may be added over its parts.

    Returns:
      [words of the hypotheses, words of the references, then for n-grams of 1 .. ORDER words: right ones, all].

    Raises:
      ValueError: there are not as many references as hypotheses.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses, but {len(references)} references; must be as many")
    total = np.zeros(2 + 2 * ORDER, np.int64)
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        (length, own), (wanted_length, wanted) = _grams(hypothesis), _grams(reference)
        total[:2] += length, wanted_length
        for gram, times in own.items():
            total[2 * len(gram)] += min(times, wanted[gram])
            total[2 * len(gram) + 1] += times
    return total


def score(counts: np.ndarray) -> float:
    """BLEU, 0 to 100: a brevity penalty times the geometric mean of the precisions of all orders.

    min(1, exp(1 - r / h)) * exp(mean_n log p_n). Where none of an order's n-grams is right, p_n is 1 / (2^k * all),
    k counting such orders; where the corpus has none of an order, the score is 0.
    """
    length, wanted = (int(n) for n in counts[:2])
    halvings, logs = 0, []
    for right, every in counts[2:].reshape(ORDER, 2).tolist():
        if every == 0:
            return 0.0
        if right == 0:
            halvings += 1
        logs.append(math.log(100.0 * right / every if right else 100.0 / (2**halvings * every)))
    brevity = 1.0 if length >= wanted else math.exp(1.0 - wanted / length)
    return brevity * math.exp(sum(logs) / ORDER)


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """BLEU of a corpus with one reference a sentence."""
    return score(counts(hypotheses, references))
