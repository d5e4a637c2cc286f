"""The graph network of AlgoPerf's OGBG: edges, nodes and graphs update each other (Battaglia et al. 2018,
arXiv:1806.01261), on JAX's segment sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads.algoperf._dropout import Dropout
from workloads.algoperf._graphs import GraphsTuple, graph_of

Rows = jax.Array | None
Part = tuple[
    jax.Array, Rows
]  # values [row, feature], and which of their rows each output takes; None: in order


class JoinedDense(nn.Module):
    """A dense layer on parts laid side by side: [part[rows], part[rows], ...] @ kernel + bias.

    Parts of which rows are looked up are multiplied before that. Molecules have twice as many edges as nodes, so this
    halves the work of an edge's layer; the sums differ in their rounding alone.
    """

    features: int

    @nn.compact
    def __call__(self, parts: tuple[Part, ...]) -> jax.Array:
        """[output, feature]."""
        widths = [values.shape[-1] for values, _ in parts]
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (sum(widths), self.features))
        y = self.param("bias", nn.initializers.zeros, (self.features,))
        first = 0
        for (values, rows), width in zip(parts, widths, strict=True):
            product = values @ kernel[first : first + width]
            y = y + (product if rows is None else product[rows])
            first += width
        return y


class GNN(nn.Module):
    """Logits per graph: embeddings of nodes and edges, then steps that update edges, nodes and graphs in turn.

    Every update is a perceptron on what the updated thing touches: an edge sees itself, both its nodes and its graph;
    a node itself, the sum of the edges that it sends, of those that it receives, and its graph; a graph the sums of
    its nodes and edges, and itself. It begins as zeros, as wide as the logits.

    Attributes:
      tasks: logits of a graph.
      latent: width of the embeddings.
      hidden: widths of the perceptrons' layers, each followed by layer normalisation, activation and dropout.
      steps: rounds of updates, each with parameters of its own.
      act: activation.
    """

    tasks: int
    latent: int
    hidden: tuple[int, ...]
    steps: int
    act: Callable[[jax.Array], jax.Array]

    @nn.compact
    def __call__(self, graph: GraphsTuple, train: bool, dropout_rate: Any) -> jax.Array:
        """[graph, task]."""
        counter = iter(range(3 * len(self.hidden) * self.steps + 1))

        def update(*parts: Part) -> jax.Array:
            x = None
            for width in self.hidden:
                number = next(counter)
                layer = JoinedDense(width, name=f"Dense_{number}")
                x = self.act(
                    nn.LayerNorm(name=f"LayerNorm_{number}")(layer(parts if x is None else ((x, None),)))
                )
                x = Dropout(name=f"Dropout_{number}")(x, dropout_rate, train)
            assert x is not None
            return x

        nodes = nn.Dense(self.latent, name="node_embedding")(graph.nodes)
        edges = nn.Dense(self.latent, name="edge_embedding")(graph.edges)
        senders, receivers = graph.senders, graph.receivers
        graphs, count = graph.n_node.shape[0], nodes.shape[0]
        of_node, of_edge = graph_of(graph.n_node, count), graph_of(graph.n_edge, edges.shape[0])
        whole = jnp.zeros((graphs, self.tasks), nodes.dtype)
        for _ in range(self.steps):
            edges = update((edges, None), (nodes, senders), (nodes, receivers), (whole, of_edge))
            sent, received = (jax.ops.segment_sum(edges, ends, count) for ends in (senders, receivers))
            nodes = update((nodes, None), (sent, None), (received, None), (whole, of_node))
            all_nodes, all_edges = (
                jax.ops.segment_sum(values, owners, graphs, indices_are_sorted=True)
                for values, owners in ((nodes, of_node), (edges, of_edge))
            )
            whole = update((all_nodes, None), (all_edges, None), (whole, None))
        return nn.Dense(self.tasks, name=f"Dense_{next(counter)}")(whole)
