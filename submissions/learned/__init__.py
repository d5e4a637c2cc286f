"""Learned optimizers: update rules whose own weights were trained, one file each, and one table of them.

    >>> LEARNED["hierarchical"].reference
    'Metz et al. 2020, arXiv:2009.11243; RNNMLPLOpt'

With a file of weights, see `submissions.learned.weight_files`, one of them is an optimizer like any other, by the name
NAME@FILE; some come with weights, and NAME is enough. Importing this needs no JAX; making a rule does.
"""

from __future__ import annotations

from submissions.learned._declaration import Learned
from submissions.learned._optimizer import (
    UNTUNED,
    LearnedOptimizer,
    absolute,
    has_shipped_weights,
    is_learned_form,
    missing_weights,
    named,
    parts,
    scaled,
    with_weights,
)
from submissions.learned._switches import parsed as parsed_switches
from submissions.learned._table import LEARNED

__all__ = [
    "LEARNED",
    "UNTUNED",
    "Learned",
    "LearnedOptimizer",
    "absolute",
    "has_shipped_weights",
    "is_learned_form",
    "missing_weights",
    "named",
    "parsed_switches",
    "parts",
    "scaled",
    "with_weights",
]
