"""How translations are judged: loss and accuracy by token, and the BLEU of what beam search finds.

The device decodes; the host makes words of tokens and counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from workloads._measure import Measure, Totals
from workloads._source import Batch, Source
from workloads.algoperf import _beam, _bleu, _classes
from workloads.algoperf._base import Model

# (parameters, inputs [sentence, position]) -> tokens [sentence, position] of the best translations.
Translate = Callable[[Any, jax.Array], jax.Array]


@runtime_checkable
class Worded(Protocol):
    """Data that know the words of their tokens."""

    def text(self, tokens: np.ndarray) -> str:
        """The text of a sentence's tokens, the one that ends it among them."""
        ...


def numbered(tokens: np.ndarray) -> str:
    """Words for tokens that stand for none, as those of made-up data."""
    return " ".join(str(token) for token in tokens.tolist())


def cut(tokens: np.ndarray) -> np.ndarray:
    """A sentence's tokens up to the one that ends it; of a sentence that does not end AlgoPerf takes the first."""
    return tokens[: int(np.argmax(tokens == _beam.END)) + 1]


def measure(model: Model, translate: Translate, source: Source) -> Measure:
    """Loss, accuracy and BLEU.

    Rows that begin with weight 0 are padding. Of a packed row the first sentence is translated.

    Args:
      model: what is judged.
      translate: by it.
      source: says what the tokens mean, if it is `Worded`.
    """
    text = source.text if isinstance(source, Worded) else numbered

    def accumulate(params: Any, model_state: Any, batch: Batch, key: Any) -> Totals:
        outputs, _ = model.model_fn(params, model_state, batch, key, False, False, None, 0.0)
        inputs, targets = batch["inputs"], batch["targets"]
        if "inputs_segmentation" in batch:
            inputs = jnp.where(batch["inputs_segmentation"] == 1, inputs, 0)
            targets = jnp.where(batch["targets_segmentation"] == 1, targets, 0)
        weights = batch.get("weights")
        real = jnp.ones(len(targets), bool) if weights is None else weights[:, 0] > 0
        return {
            "sums": dict(_classes.sums(outputs, batch)),
            "found": translate(params, inputs),
            "wanted": targets,
            "real": real,
        }

    def compute(totals: Totals) -> Mapping[str, Any]:
        real = np.asarray(totals["real"])
        found, wanted = (
            [text(cut(tokens)) for tokens in np.asarray(totals[of])[real]] for of in ("found", "wanted")
        )
        sums = totals["sums"]
        means = {name: sums[name] / sums["examples"] for name in ("loss", "accuracy")}
        return {**means, "bleu": _bleu.corpus_bleu(found, wanted)}

    return Measure(accumulate, _merge, compute, in_program=False)


def _merge(totals: Totals, more: Totals) -> Totals:
    together = {name: np.concatenate([totals[name], more[name]]) for name in ("found", "wanted", "real")}
    return {**together, "sums": jax.tree.map(lambda x, y: x + y, totals["sums"], more["sums"])}
