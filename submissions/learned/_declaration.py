"""What the table of learned optimizers has of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from submissions.optimizers._rule import Rule


@dataclasses.dataclass(frozen=True, eq=False)
class Learned:
    """A learned optimizer: an update rule and the shape of the weights that it was trained to have.

    Attributes:
      name: in the table and on the command line.
      make: (weights, **switches) -> the rule, with these weights as its own. Sizes follow from the weights' shapes. The
        weights that `Rule.update` is given may be others of the same shapes, and traced.
      initial: (key, **sizes) -> weights before any training, a tree of float32 arrays whose paths are the original's.
      switches: of `make`, name -> default: slips of the original that its released weights need, and options.
      sizes: of `initial`, name -> default: those of the released weights.
      reference: paper, arXiv number; the original's class.
    """

    name: str
    make: Callable[..., Rule]
    initial: Callable[..., Any]
    reference: str
    switches: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sizes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
