"""Epochs of whole batches."""

from __future__ import annotations


def epoch_steps(split: str, examples: int, batch_size: int) -> int:
    """Batches of an epoch whose incomplete last one is left out.

    Raises:
      ValueError: there is none.
    """
    if batch_size > examples:
        raise ValueError(f"batch_size {batch_size} exceeds the {examples} examples of split {split!r}")
    return examples // batch_size
