"""Clicks of imaginary users: rows like Criteo's, labelled by a random teacher."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from workloads._source import Provenance

DENSE = 6  # numbers per row
FIELDS = 8  # categories per row
VOCABULARY = 48  # values of each category

PROVENANCE = Provenance(
    kind="synthetic",
    source=f"rows of {DENSE} counts and {FIELDS} categories with Zipf frequencies; clicks drawn from a "
    "random factorisation machine with a nonlinear term",
    stands_in_for="Criteo 1TB",
)


@dataclasses.dataclass(frozen=True)
class Clicks:
    """Rows of a split.

    Attributes:
      dense: log(1 + count).
      categories: ids from 0 to VOCABULARY - 1, the most frequent first.
      clicked: 0 or 1.
      probability: the teacher's, which the best possible model would predict.
    """

    dense: Float[np.ndarray, "row dense"]
    categories: Int[np.ndarray, "row field"]
    clicked: Int[np.ndarray, " row"]
    probability: Float[np.ndarray, " row"]


def synthetic_clicks(sizes: Mapping[str, int], seed: int = 0) -> dict[str, Clicks]:
    """Independent rows of one teacher.

    logit = -1.4 + 1.7 * standardised(dense @ w + tanh(dense @ U) @ u + sum_f b[f, c_f]
                                      + sum_{f<g} v[f, c_f] . v[g, c_g])

    About a quarter of the rows are clicked. Pairs of categories carry about half of the signal, so a model
    has to learn products; rare categories are hardly seen, so it can overfit.

    Args:
      sizes: split name -> rows.
      seed: of teacher and rows.
    """
    generator = np.random.default_rng(seed)
    rows = sum(sizes.values())
    counts = generator.lognormal(mean=1.0, sigma=1.2, size=(rows, DENSE))
    dense = np.log1p(np.floor(counts))
    frequency = 1.0 / np.arange(1, VOCABULARY + 1) ** 0.9
    categories = generator.choice(VOCABULARY, size=(rows, FIELDS), p=frequency / frequency.sum())

    linear = generator.normal(size=DENSE) * 0.5
    hidden, out = generator.normal(size=(DENSE, 8)), generator.normal(size=8) * 0.5
    bias = generator.normal(size=(FIELDS, VOCABULARY)) * 0.35
    factors = generator.normal(size=(FIELDS, VOCABULARY, 3)) * 0.35
    centred = dense - dense.mean(axis=0)
    chosen = factors[np.arange(FIELDS), categories]  # [row, field, factor]
    # sum over pairs of inner products = (|sum|^2 - sum of |.|^2) / 2
    pairs = 0.5 * ((chosen.sum(axis=1) ** 2).sum(axis=-1) - (chosen**2).sum(axis=(1, 2)))
    score = centred @ linear + np.tanh(centred @ hidden) @ out
    score = score + bias[np.arange(FIELDS), categories].sum(axis=1) + pairs
    logit = -1.4 + 1.7 * (score - score.mean()) / score.std()
    probability = 1.0 / (1.0 + np.exp(-logit))
    clicked = generator.random(rows) < probability

    bounds = np.cumsum([0, *sizes.values()])
    return {
        split: Clicks(
            dense[start:stop].astype(np.float32),
            categories[start:stop].astype(np.int32),
            clicked[start:stop].astype(np.int32),
            probability[start:stop].astype(np.float32),
        )
        for split, start, stop in zip(sizes, bounds[:-1], bounds[1:], strict=True)
    }
