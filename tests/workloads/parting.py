"""That what several processes read of a source is, together, what one process reads."""

from __future__ import annotations

import jax
import numpy as np

from workloads.parts import Part

KEY = jax.random.key(3)


def joined(parts):
    """Parts of a batch as the batch."""
    return jax.tree.map(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *parts)


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(np.asarray(x), np.asarray(y)), one, other)


def assert_parts_make_the_whole(data, batch_size, parts, steps=3, first_step=2, split="train"):
    whole = data.stream(split, KEY, batch_size, first_step)
    cut = [data.stream(split, KEY, batch_size, first_step, part=Part(i, parts)) for i in range(parts)]
    for _ in range(steps):
        assert_same(joined([next(stream) for stream in cut]), dict(next(whole)))


def assert_turns_make_the_whole(data, split, batch_size, examples, parts):
    whole = list(data.once(split, KEY, batch_size, examples))
    dealt = [iter(list(data.once(split, KEY, batch_size, examples, Part(i, parts)))) for i in range(parts)]
    for number, batch in enumerate(whole):
        assert_same(next(dealt[number % parts]), batch)
    assert [len(list(rest)) for rest in dealt] == [0] * parts
    for batches in zip(
        data.once_filled(split, KEY, batch_size, examples),
        *(data.once_filled(split, KEY, batch_size, examples, Part(i, parts)) for i in range(parts)),
        strict=True,
    ):
        assert_same(joined(batches[1:]), dict(batches[0]))
