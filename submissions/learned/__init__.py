"""Learned optimizers: update rules whose own weights were trained, one file each, and one table of them.

    >>> LEARNED["hierarchical"].reference
    'Metz et al. 2020, arXiv:2009.11243; RNNMLPLOpt'

Importing this needs no JAX; making a rule does.
"""

from __future__ import annotations

from submissions.learned._declaration import Learned
from submissions.learned._table import LEARNED

__all__ = ["LEARNED", "Learned"]
