"""Streams of ogbg-molpcba's graphs in batches as AlgoPerf makes them: as many graphs as fit, filled up to one shape."""

from __future__ import annotations

import functools
import itertools
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import Int

from workloads._source import Provenance, StreamedBatch, StreamedData
from workloads.algoperf._graphs import GraphsTuple
from workloads.data import molpcba
from workloads.parts import WHOLE, Part

AVERAGE_NODES, AVERAGE_EDGES = 26, 56  # of a molecule
EVAL_BATCH = 4096  # AlgoPerf takes 32,768; metrics do not depend on it


def read(data_dir: pathlib.Path, node_features: int, edge_features: int) -> StreamedData:
    """The data set, of which a split is read when it is first asked for.

    Training graphs are shuffled anew for every epoch, and epochs laid end to end. AlgoPerf shuffles within windows of
    32,768 graphs, by TensorFlow, so its order is another. Evaluations take TFDS's order, as AlgoPerf's do.

    Raises:
      FileNotFoundError, ValueError: see `molpcba.find`.
    """
    folder = molpcba.find(data_dir)
    graphs = functools.cache(lambda split: molpcba.read(folder, split, node_features, edge_features))

    def endless(
        split: str, seed: int, batch_size: int, first_step: int, part: Part = WHOLE
    ) -> Iterator[StreamedBatch]:
        of_split = graphs(split)
        cuts = _cuts(of_split, _epochs(len(of_split.n_node), seed), batch_size // _shards(batch_size))
        return _batches(of_split, cuts, batch_size, first_step, part=part)

    def once(split: str, batch_size: int, part: Part = WHOLE) -> Iterator[StreamedBatch]:
        of_split = graphs(split)
        order = iter([np.arange(len(of_split.n_node))])
        cuts = _cuts(of_split, order, batch_size // _shards(batch_size))
        return _batches(of_split, cuts, batch_size, last=True, turns=part)

    sizes = {split: folder.size(split) for split in ("train", "validation", "test")}
    return StreamedData(
        endless,
        sizes,
        Provenance("real", f"ogbg-molpcba (TFDS 0.1.3), {sum(sizes.values()):,} molecules split by scaffold"),
        read_once=once,
        eval_batch_size=-(-EVAL_BATCH // jax.device_count()) * jax.device_count(),
        count=_count,
        reads_parts=True,
    )


def _shards(batch_size: int) -> int:
    """Parts of a batch, one for every device of all processes, each with padding of its own; one if they cannot be
    equal."""
    devices = jax.device_count()
    return devices if batch_size % devices == 0 else 1


def _epochs(graphs: int, seed: int) -> Iterator[Int[np.ndarray, " graph"]]:
    """Orders of the epochs; each depends on its number and the seed alone."""
    for epoch in itertools.count():
        yield np.random.default_rng((seed, epoch)).permutation(graphs)


def _cuts(
    graphs: molpcba.Graphs, orders: Iterator[np.ndarray], most: int
) -> Iterator[Int[np.ndarray, " graph"]]:
    """Graphs of one part of a batch after the other: in order, as many as fit.

    Args:
      graphs: of the split.
      orders: of epochs; a part may reach from one into the next.
      most: graphs of a part; its nodes and edges are at most this many average molecules'.

    Raises:
      ValueError: a graph is larger than that.
    """
    limits = most, AVERAGE_NODES * most, AVERAGE_EDGES * most
    left = np.zeros(0, np.int64)
    for order in itertools.chain(orders, [None]):
        left = left if order is None else np.concatenate([left, order])
        sizes = np.ones(len(left), np.int64), graphs.n_node[left], 2 * graphs.n_bond[left]
        sums = [np.concatenate([[0], np.cumsum(size, dtype=np.int64)]) for size in sizes]
        first = 0
        while first < len(left):
            ends = [
                int(np.searchsorted(total, total[first] + limit, "right")) - 1
                for total, limit in zip(sums, limits, strict=True)
            ]
            end = min(ends)
            if end == first:
                number = int(left[first])
                raise ValueError(
                    f"ogbg: graph {number} has {graphs.n_node[number]} nodes and {2 * graphs.n_bond[number]} edges, "
                    f"but {most} graphs of a device's batch have room for {limits[1]} and {limits[2]}; take larger ones"
                )
            if end == len(left) and order is not None:
                break  # the next epoch may have more that fit
            yield left[first:end]
            first = end
        left = left[first:]


def _batches(
    graphs: molpcba.Graphs,
    cuts: Iterator[np.ndarray],
    batch_size: int,
    first_step: int = 0,
    last: bool = False,
    part: Part = WHOLE,
    turns: Part = WHOLE,
) -> Iterator[StreamedBatch]:
    """Batches of so many parts as there are devices.

    Args:
      graphs: of the split.
      cuts: which graphs each part takes.
      batch_size: average-sized graphs of a batch.
      first_step: batches to pass over, which costs only the cutting.
      last: a last batch with fewer parts is given too, filled up with parts of padding.
      part: of every batch, as a process needs it.
      turns: which of the batches.

    Raises:
      ValueError: the processes cannot have as many devices each.
    """
    shards = _shards(batch_size)
    own = part.rows(shards)
    taken = itertools.islice(cuts, first_step * shards, None)
    starts = _starts(graphs.n_node), _starts(graphs.n_bond)
    for number in itertools.count():
        parts = list(itertools.islice(taken, shards))
        if not parts:
            return
        if len(parts) < shards:
            if not last:
                return
            parts += [np.zeros(0, np.int64)] * (shards - len(parts))
        if turns.has_turn(number):
            most = batch_size // shards
            yield _joined([_part(graphs, starts, chosen, most) for chosen in parts[own]], own.start)


def _part(
    graphs: molpcba.Graphs, starts: tuple[np.ndarray, np.ndarray], chosen: np.ndarray, most: int
) -> StreamedBatch:
    """Graphs as one, with padding behind."""
    nodes, edges, rows = AVERAGE_NODES * most + 1, AVERAGE_EDGES * most, most + 1
    n_node, n_bond = graphs.n_node[chosen], graphs.n_bond[chosen]
    first = np.cumsum(n_node) - n_node
    of_node = _ranges(starts[0][chosen], n_node)
    # A graph's bonds all one way, then all the other.
    of_edge = _ranges(np.repeat(starts[1][chosen], 2), np.repeat(n_bond, 2))
    way = np.repeat(np.tile([0, 1], len(chosen)), np.repeat(n_bond, 2))
    offset = np.repeat(first, 2 * n_bond)
    real = len(of_node), len(of_edge), len(chosen)
    labels = graphs.labels[chosen]

    def filled(values: np.ndarray, size: int, fill: int = 0) -> np.ndarray:
        return np.concatenate([values, np.full((size - len(values), *values.shape[1:]), fill, values.dtype)])

    def counted(counts: np.ndarray, left: int) -> np.ndarray:
        return filled(np.append(counts, left).astype(np.int32), rows)

    ends = [graphs.ends[of_edge, side] + offset for side in (way, 1 - way)]
    senders, receivers = (filled(each.astype(np.int32), edges, real[0]) for each in ends)
    return {
        "inputs": GraphsTuple(
            filled(graphs.nodes[of_node], nodes),
            filled(graphs.bonds[of_edge], edges),
            receivers,
            senders,
            {},
            counted(n_node, nodes - real[0]),
            counted(2 * n_bond, edges - real[1]),
        ),
        "targets": filled(np.nan_to_num(labels, nan=0.0), rows),
        "weights": filled((~np.isnan(labels)).astype(np.float32), rows),
    }


def _starts(sizes: np.ndarray) -> np.ndarray:
    """Where ranges of these sizes begin, laid end to end."""
    return np.cumsum(sizes, dtype=np.int64) - sizes


def _ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """start, start + 1, ... of every range, end to end."""
    return np.arange(sizes.sum()) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)


def _joined(parts: list[StreamedBatch], first: int = 0) -> StreamedBatch:
    """Parts of a batch end to end; nodes are counted on from those of the parts before the first."""
    nodes = len(parts[0]["inputs"].nodes)
    shifted = [
        part["inputs"]._replace(
            senders=part["inputs"].senders + i * nodes, receivers=part["inputs"].receivers + i * nodes
        )
        for i, part in enumerate(parts, first)
    ]
    return {
        "inputs": jax.tree.map(lambda *values: np.concatenate(values), *shifted),
        **{name: np.concatenate([part[name] for part in parts]) for name in ("targets", "weights")},
    }


def _count(batch: StreamedBatch) -> int:
    """Graphs that are no padding: of every part, all before its last with a node."""
    counts, devices = np.asarray(batch["inputs"].n_node), jax.device_count()
    parts = counts.reshape(devices if len(counts) % devices == 0 else 1, -1)
    return sum(int(np.flatnonzero(part).max()) for part in parts)
