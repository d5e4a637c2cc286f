"""Batches of graphs: many small graphs laid end to end as one, padded to a shape that does not depend on them.

The fields are those of jraph's `GraphsTuple`, which AlgoPerf's submissions see; jraph itself is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from workloads._source import Batch

# Fields of a graph as `ResidentData` store it, graphs of a split padded to the largest; see `lay_out`.
STORED = ("nodes", "edges", "senders", "receivers", "n_node", "n_edge")


class GraphsTuple(NamedTuple):
    """Graphs as one. Nodes and edges that fill the shape up belong to graphs at the end, which weigh nothing.

    Attributes:
      nodes: [node, feature], graph after graph.
      edges: [edge, feature], graph after graph.
      receivers, senders: [edge], the nodes at its ends, counted from the batch's first.
      globals: {}; a model may put [graph, feature] there.
      n_node, n_edge: [graph], how many of each a graph has.
    """

    nodes: Any
    edges: Any
    receivers: Any
    senders: Any
    globals: Any
    n_node: Any
    n_edge: Any


def graph_of(counts: jax.Array, total: int) -> jax.Array:
    """The graph that each node or edge belongs to, [total], from how many each graph has."""
    return jnp.repeat(jnp.arange(counts.shape[0]), counts, total_repeat_length=total)


@jax.jit
def lay_out(stored: Mapping[str, jax.Array]) -> Batch:
    """A batch as the model sees it, of graphs that are stored one by one.

    One graph more than there are, as in AlgoPerf's batches, holds the padding. Every array's first axis is a multiple
    of the devices, over which a batch is split.

    Args:
      stored: nodes, edges [graph, most, feature]; senders, receivers [graph, most], counted from the graph's first
        node; n_node, n_edge [graph]; targets, weights [graph, task].

    Returns:
      inputs: `GraphsTuple`; targets, weights: [graph, task], 0 for padding.
    """
    graphs, most_nodes = stored["nodes"].shape[:2]
    most_edges = stored["edges"].shape[1]
    rows = _multiple(graphs + 1)
    n_node, nodes = _packed(stored["n_node"], _multiple(graphs * most_nodes + 1), rows)
    n_edge, edges = _packed(stored["n_edge"], _multiple(graphs * most_edges), rows)
    first_node = jnp.cumsum(n_node) - n_node

    def ends(of_graph):
        # Edges that fill up join the first padding node to itself.
        return jnp.where(edges.real, first_node[edges.graph] + edges.of(of_graph), first_node[graphs])

    inputs = GraphsTuple(
        nodes=jnp.where(nodes.real[:, None], nodes.of(stored["nodes"]), 0).astype(jnp.float32),
        edges=jnp.where(edges.real[:, None], edges.of(stored["edges"]), 0).astype(jnp.float32),
        receivers=ends(stored["receivers"]).astype(jnp.int32),
        senders=ends(stored["senders"]).astype(jnp.int32),
        globals={},
        n_node=n_node,
        n_edge=n_edge,
    )
    fill = ((0, rows - graphs), (0, 0))
    return {
        "inputs": inputs,
        "targets": jnp.pad(stored["targets"], fill).astype(jnp.float32),
        "weights": jnp.pad(stored["weights"], fill).astype(jnp.float32),
    }


class _Places(NamedTuple):
    """Where the entries of a packed array come from.

    Attributes:
      graph, place: of each entry, among the stored.
      real: it is one of a graph's own.
    """

    graph: jax.Array
    place: jax.Array
    real: jax.Array

    def of(self, stored: jax.Array) -> jax.Array:
        """Stored values [graph, place, ...], packed; anything where there is none."""
        return stored[self.graph, self.place]


def _packed(counts: jax.Array, total: int, rows: int) -> tuple[jax.Array, _Places]:
    """Counts with the padding graphs' behind them, and where the entries lie in the order of the graphs."""
    graphs = counts.shape[0]
    counts = counts.astype(jnp.int32)
    # Not written into zeros by `at[graphs].set`: where rows are split over devices, XLA has every device write.
    left, none = total - jnp.sum(counts, keepdims=True), jnp.zeros(rows - graphs - 1, jnp.int32)
    padded = jnp.concatenate([counts, left, none])
    graph = graph_of(padded, total)
    place = jnp.arange(total) - (jnp.cumsum(padded) - padded)[graph]
    real = graph < graphs
    return padded, _Places(jnp.where(real, graph, 0), jnp.where(real, place, 0), real)


def _multiple(size: int) -> int:
    """The next multiple of the number of devices, of all processes."""
    devices = jax.device_count()
    return -(-size // devices) * devices


def padded(graphs: list[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Graphs of different sizes as arrays of one: the fields of `STORED`, zeros behind what a graph has.

    Args:
      graphs: each with nodes, edges [each, feature], senders, receivers [edge].
    """
    counts = {
        "n_node": np.array([len(graph["nodes"]) for graph in graphs], np.int32),
        "n_edge": np.array([len(graph["senders"]) for graph in graphs], np.int32),
    }
    arrays: dict[str, np.ndarray] = dict(counts)
    for field in STORED[:4]:
        of_graphs = [graph[field] for graph in graphs]
        most = counts["n_node" if field == "nodes" else "n_edge"].max()
        filled = np.zeros((len(graphs), most, *of_graphs[0].shape[1:]), of_graphs[0].dtype)
        for row, values in zip(filled, of_graphs, strict=True):
            row[: len(values)] = values
        arrays[field] = filled
    return arrays
