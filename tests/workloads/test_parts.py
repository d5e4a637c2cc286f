"""What one of several processes reads of a source: all of them together have what one process has, bit for bit."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.workloads.parting import KEY, assert_parts_make_the_whole, assert_turns_make_the_whole
from workloads import GeneratedData, Provenance, ResidentData, StreamedData
from workloads.parts import WHOLE, Part

MADE = Provenance("synthetic", "rows that say where they are from")


def resident(transform=None):
    rows = np.arange(46, dtype=np.float32)
    return ResidentData({"train": {"x": rows, "y": rows[:, None] * 2}}, MADE, transform)


def noisy(key, batch, split):
    """Rows that know of each other, and noise."""
    del split
    return {"x": jnp.roll(batch["x"], 1) + jax.random.normal(key, batch["x"].shape), "y": batch["y"]}


def drawn(key, examples):
    return {"x": jax.random.normal(key, (examples, 2))}


def read(split, seed, batch_size, first_step):
    for step in itertools.count(first_step):
        rows = np.random.default_rng((seed, step)).integers(46, size=batch_size)
        yield {"x": rows.astype(np.float32)}


def read_once(split, batch_size):
    for first in range(0, 46, batch_size):
        yield {"x": np.arange(46, dtype=np.float32)[first : first + batch_size]}


SOURCES = {
    "resident": resident(),
    "transformed": resident(noisy),
    "generated": GeneratedData(drawn, MADE),
    "streamed": StreamedData(read, {"train": 46}, MADE, read_once),
    "replayed": StreamedData(read, {"train": 46}, MADE, read_once, begins_anywhere=False),
}


@pytest.mark.parametrize("name", SOURCES)
def test_parts_of_every_source_make_the_whole(name):
    assert_parts_make_the_whole(SOURCES[name], 8, 2)
    assert_turns_make_the_whole(SOURCES[name], "train", 8, 43, 2)  # the last batch is short


def test_a_reader_of_parts_reads_nothing_else():
    taken = []

    def parts_alone(split, seed, batch_size, first_step, part=WHOLE):
        for batch in read(split, seed, batch_size, first_step):
            taken.append(part)
            yield part.of(batch)

    data = StreamedData(parts_alone, {"train": 46}, MADE, reads_parts=True)
    next(data.stream("train", KEY, 8, part=Part(1, 2)))
    assert taken == [Part(1, 2)]


def test_an_evaluation_that_ends_early_says_so():
    def once(split, batch_size, part=WHOLE):
        return (batch for i, batch in enumerate(read_once(split, batch_size)) if part.has_turn(i))

    data = StreamedData(read, {"train": 60}, MADE, once, reads_parts=True)
    assert len(list(data.once("train", KEY, 8, 46, Part(1, 2)))) == 3
    with pytest.raises(ValueError, match="gave 46 examples; its size says 60"):
        list(data.once("train", KEY, 8, 60, Part(1, 2)))


def test_a_batch_that_has_no_such_parts_is_refused():
    with pytest.raises(ValueError, match="9 rows have no 2 equal parts"):
        SOURCES["streamed"].stream("train", KEY, 9, part=Part(0, 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["algoperf/ogbg@mini", "algoperf/imagenet_resnet@mini", "algoperf/wmt@mini"])
def test_parts_of_embedded_data_make_the_whole(name, monkeypatch):
    import workloads

    monkeypatch.setattr(jax, "device_count", lambda: 4)  # by which a batch of graphs is filled up
    data = workloads.load(name).data
    assert_parts_make_the_whole(data, 8, 2, steps=1)
    split = "validation"
    assert_turns_make_the_whole(data, split, 24, 60, 2)
