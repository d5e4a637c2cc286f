"""Tables of fractions that several tests use: real ones, and hypothesis strategies."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

INF = math.inf

WORKLOADS = (
    "criteo1tb",
    "fastmri",
    "imagenet_resnet",
    "imagenet_vit",
    "librispeech_conformer",
    "librispeech_deepspeech",
    "ogbg",
    "wmt",
)

# AlgoPerf v0.5, external tuning, the NAdamW baseline's 5 points: median step fraction over 5 studies,
# computed from the published logs. Ten decimals.
V05_BASELINE = np.array(
    [
        [0.8859928746, 0.2677609218, INF, INF, 0.8959, 0.9415208333, INF, 0.8942947357],
        [INF, 0.2756915085, INF, 0.8241297290, INF, INF, INF, INF],
        [INF, 0.2380833955, INF, INF, 0.8923125, INF, INF, 0.8939122348],
        [INF, 0.3043466247, INF, INF, INF, 0.9158333333, INF, 0.9392123480],
        [0.8899306207, 0.7306916466, INF, INF, 0.8626375, 0.901625, 0.3015375, 0.8905597264],
    ]
)
# Half a unit of the tenth decimal on numbers of at least .2 moves a geometric mean by at most 2.5e-10.
V05_TOLERANCE = 2.5e-10

_ENTRIES = np.array([INF] * 20 + [0.5] * 5 + [1.0] * 5 + [k / 20 for k in range(1, 51)])

PENALTIES = st.sampled_from([1.0, 1.11, 1.5, 2.0, 4.0])


def fractions(min_workloads: int = 1, max_points: int = 7, max_workloads: int = 4):
    """Tables of multiples of .05 and misses: ties between points are common, and exact or far apart.

    Two unequal products of 4 such numbers differ by at least 1 in 50^4, so that no two costs fall
    between equal and clearly different, whatever the order of the multiplications.
    """
    shapes = st.tuples(st.integers(1, max_points), st.integers(min_workloads, max_workloads))
    # Integers that index a table: hypothesis draws them many times faster than floats, and shrinks them well.
    entries = st.integers(0, len(_ENTRIES) - 1)
    return shapes.flatmap(lambda shape: hnp.arrays(np.uint8, shape, elements=entries)).map(_ENTRIES.take)


@st.composite
def fractions_and_size(draw, min_workloads: int = 1, max_points: int = 7, max_workloads: int = 4):
    """A table, and the size of a list that fits it."""
    values = draw(fractions(min_workloads, max_points, max_workloads))
    return values, draw(st.integers(1, len(values)))


def plain_cost(rows: list[list[float]], penalty: float) -> float:
    """C_tau as the paper writes it, in plain Python: a product and a root instead of logarithms."""
    columns = list(zip(*rows, strict=True))
    return math.prod(min(min(column), penalty) for column in columns) ** (1 / len(columns))
