"""ogbg-molpcba (Hu et al. 2020, arXiv:2005.00687) in the folder that TensorFlow Datasets prepares, in memory."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
from jaxtyping import Float, Int

from workloads.data import tfds_folder

DATA_SET = "ogbg_molpcba:0.1.3"
FEATURES = ("num_nodes", "node_feat", "edge_feat", "edge_index", "labels")


@dataclasses.dataclass(frozen=True)
class Graphs:
    """Graphs of a split, end to end.

    Attributes:
      n_node, n_bond: of every graph; a bond is stored once.
      nodes, bonds: features.
      ends: of every bond, counted from its graph's first node.
      labels: nan where there is none.
    """

    n_node: Int[np.ndarray, " graph"]
    n_bond: Int[np.ndarray, " graph"]
    nodes: Float[np.ndarray, "node feature"]
    bonds: Float[np.ndarray, "bond feature"]
    ends: Int[np.ndarray, "bond 2"]
    labels: Float[np.ndarray, "graph task"]


def read(folder: tfds_folder.Folder, split: str, node_features: int, edge_features: int) -> Graphs:
    """A whole split, in the order in which TFDS reads it: at full size some 700 MB, and some minutes.

    Raises:
      ValueError: a record does not hold what it should; the message names the file.
    """
    graphs = list(tfds_folder.iterate(folder, split, FEATURES))
    graphs = [graphs[i] for i in tfds_folder.interleaved([size for _, size in folder.splits[split]])]
    try:
        nodes = [graph["node_feat"].reshape(-1, node_features) for graph in graphs]
        bonds = [graph["edge_feat"].reshape(-1, edge_features) for graph in graphs]
        ends = [graph["edge_index"].reshape(-1, 2).astype(np.int32) for graph in graphs]
    except ValueError as error:
        raise ValueError(f"{folder.path}: split {split!r}: {error}") from None
    for number, (graph, of_graph, of_bonds, joined) in enumerate(
        zip(graphs, nodes, bonds, ends, strict=True)
    ):
        said = int(np.sum(graph["num_nodes"]))
        if said != len(of_graph) or len(of_bonds) != len(joined):
            raise ValueError(
                f"{folder.path}: split {split!r}: graph {number} has {len(of_graph)} nodes where {said} should be, "
                f"and features of {len(of_bonds)} bonds for {len(joined)}"
            )
        if joined.size and not 0 <= joined.min() <= joined.max() < said:
            raise ValueError(
                f"{folder.path}: split {split!r}: graph {number} joins node {joined.max()} of {said}"
            )
    return Graphs(
        np.array([len(of_graph) for of_graph in nodes], np.int32),
        np.array([len(of_graph) for of_graph in bonds], np.int32),
        np.concatenate(nodes),
        np.concatenate(bonds),
        np.concatenate(ends),
        np.stack([graph["labels"] for graph in graphs]),
    )


def find(data_dir: pathlib.Path) -> tfds_folder.Folder:
    """Its folder.

    Raises:
      FileNotFoundError: it is not there, or a file of it.
    """
    folder = tfds_folder.find(data_dir, DATA_SET)
    for split in ("train", "validation", "test"):
        folder.check_sizes(split)
    return folder
