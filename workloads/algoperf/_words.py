"""Word error rate of recognised speech: as AlgoPerf counts it, which its targets are in, and as everybody does."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from workloads._measure import Measure
from workloads.algoperf import _ctc
from workloads.algoperf._base import Model
from workloads.algoperf._speech import Speech
from workloads.data import sentencepieces

Spell = Callable[[Sequence[int]], str]
COUNTS = ("loss", "tokens")


def spelled(spelling: str | None) -> Spell:
    """From tokens to a text.

    Args:
      spelling: None: every token is a word, its number. A string of characters: token i is the word that is its
        character i - 1. The path of a file, which begins with `/`: a SentencePiece model, as AlgoPerf's set-up makes it
        of LibriSpeech (and calls it spm_model.vocab).

    Raises:
      ValueError: the package sentencepiece is missing.
    """
    if spelling is None:
        return lambda tokens: " ".join(map(str, tokens))
    if not spelling.startswith("/"):
        return lambda tokens: " ".join(spelling[token - 1] for token in tokens)
    return _pieces(pathlib.Path(spelling))


@functools.cache
def _pieces(path: pathlib.Path) -> Spell:
    model = sentencepieces.load(path)
    return lambda tokens: model.decode([int(token) for token in tokens])


def printed(text: str) -> str:
    """The text as TensorFlow prints a tensor of it, which is what AlgoPerf splits into words.

    Example:
      >>> printed("the cat")
      "tf.Tensor(b'the cat', shape=(), dtype=string)"
    """
    return f"tf.Tensor({text.encode()!r}, shape=(), dtype=string)"


def errors_and_words(hypothesis: str, reference: str) -> tuple[int, int]:
    """(words to insert, delete or replace, words of the reference)."""
    words = reference.split()
    return edit_distance(tuple(hypothesis.split()), tuple(words)), len(words)


@functools.lru_cache(maxsize=2**14)
def edit_distance(source: tuple[str, ...], target: tuple[str, ...]) -> int:
    """Levenshtein's.

    Example:
      >>> edit_distance(("cat", "the", "sat"), ("the", "cat", "sat"))
      2
    """
    row = list(range(len(target) + 1))
    for i, word in enumerate(source, 1):
        above, row = row, [i]
        for j, wanted in enumerate(target, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != wanted)))
    return row[-1]


def measure(options: Speech, model: Model) -> Measure:
    """CTC loss per token, and word error rates of the likeliest tokens, on the device but for counting words.

    wer: AlgoPerf's: of the texts as TensorFlow prints them, two words longer, see `printed`.
    plain_wer: of the texts.
    Utterances of weight 0 are left out of all three.
    """
    spell = spelled(options.spelling)

    def accumulate(params, model_state, batch, key):
        outputs, _ = model.model_fn(params, model_state, batch, key, False, False, None, 0.0)
        losses, weights = _ctc.losses(outputs, batch, None)
        tokens, paddings = batch["targets"]
        rows = batch.get("weights")
        rows = jnp.ones(len(tokens)) if rows is None else rows
        return {
            "loss": jnp.sum(losses * weights),
            "tokens": jnp.sum((1.0 - paddings) * rows[:, None]),
            "said": jnp.where(paddings > 0, 0, tokens.astype(jnp.int32)),
            "heard": _ctc.decoded(*outputs),
            "counts": rows > 0,
        }

    return Measure(accumulate, merged, functools.partial(rates, spell=spell), in_program=False)


def merged(totals: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Utterances of both, losses added up."""
    return {
        name: totals[name] + more[name] if name in COUNTS else np.concatenate([totals[name], more[name]])
        for name in totals
    }


def rates(totals: Mapping[str, Any], spell: Spell) -> dict[str, float]:
    """Loss per token and word error rates of what `measure` collected."""
    found = {"wer": np.zeros(2), "plain_wer": np.zeros(2)}
    for said, heard, counts in zip(totals["said"], totals["heard"], totals["counts"], strict=True):
        if counts:
            reference, hypothesis = (spell(tokens[tokens != 0].tolist()) for tokens in (said, heard))
            found["plain_wer"] += errors_and_words(hypothesis, reference)
            found["wer"] += errors_and_words(printed(hypothesis), printed(reference))
    # Where nothing was said, a rate says nothing: it is infinite, or 0 / 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        by_name = {name: float(np.divide(errors, words)) for name, (errors, words) in found.items()}
    return {"ctc_loss": float(totals["loss"]) / max(float(totals["tokens"]), 1.0), **by_name}
