"""AlgoPerf's OGBG: a graph network that says of molecules which of 128 assays they are active in.

Facts: AlgoPerf v0.6, `ogbg`, after the ogbg-molpcba task of the Open Graph Benchmark (Hu et al. 2020,
arXiv:2005.00687).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from workloads._source import Batch, Provenance, ResidentData
from workloads.algoperf import _labels, _linen, _molpcba
from workloads.algoperf._base import Base, Model, Scale
from workloads.algoperf._gnn import GNN
from workloads.algoperf._graphs import GraphsTuple, lay_out, padded
from workloads.algoperf._molpcba import AVERAGE_EDGES, AVERAGE_NODES
from workloads.data import molecules, qm9

ACTIVATIONS = {"relu": nn.relu, "gelu": nn.gelu, "silu": nn.silu}


@dataclasses.dataclass(frozen=True)
class Options:
    """Of the model and its data.

    Attributes:
      activation: a name of `ACTIVATIONS`.
      hidden: widths of the layers of every perceptron.
      latent: width of the embeddings.
      steps: rounds of message passing.
      tasks: labels of a molecule.
      node_features, edge_features: numbers that describe an atom and a bond.
    """

    activation: str = "relu"
    hidden: tuple[int, ...] = (256,)
    latent: int = 256
    steps: int = 5
    tasks: int = 128
    node_features: int = 9
    edge_features: int = 3


# What an option says of data that `workloads.data.molecules` makes.
OF_MOLECULES = {"tasks": 20, "node_features": 9, "edge_features": 3}


def _model(options: Options) -> Model:
    module = GNN(
        options.tasks, options.latent, options.hidden, options.steps, ACTIVATIONS[options.activation]
    )

    def example():
        node = jnp.zeros((1,), jnp.int32)
        nodes, edges = jnp.zeros((1, options.node_features)), jnp.zeros((1, options.edge_features))
        return (GraphsTuple(nodes, edges, node, node, {}, node + 1, node + 1),)

    return _linen.model(module, example)


def _stand_in(options: Options) -> ResidentData:
    """Random graphs of average size, so that batches have the shapes of AlgoPerf's."""
    graphs = 2048
    rng = np.random.default_rng(0)

    def split() -> dict[str, np.ndarray]:
        one_way = rng.integers(0, AVERAGE_NODES, (2, graphs, AVERAGE_EDGES // 2))
        bonds = rng.integers(0, 3, (graphs, AVERAGE_EDGES // 2, options.edge_features))
        known = rng.random((graphs, options.tasks)) < 0.6
        return {
            "nodes": rng.integers(0, 8, (graphs, AVERAGE_NODES, options.node_features)).astype(np.float32),
            "edges": np.concatenate([bonds, bonds], 1).astype(np.float32),
            "senders": np.concatenate([one_way[0], one_way[1]], 1).astype(np.int32),
            "receivers": np.concatenate([one_way[1], one_way[0]], 1).astype(np.int32),
            "n_node": np.full(graphs, AVERAGE_NODES, np.int32),
            "n_edge": np.full(graphs, AVERAGE_EDGES, np.int32),
            "targets": ((rng.random((graphs, options.tasks)) < 0.1) & known).astype(np.float32),
            "weights": known.astype(np.float32),
        }

    splits = {name: split() for name in ("train", "validation", "test")}
    provenance = Provenance(
        "synthetic", f"{graphs:,} random graphs a split, labels at random", "ogbg-molpcba"
    )
    return ResidentData(splits, provenance, _seen)


def _seen(key: jax.Array, batch: Batch, split: str) -> Batch:
    del key, split
    return lay_out(batch)


def _molecules(training: int) -> Callable[[Options], ResidentData]:
    """Molecules of QM9, or made-up ones where the package with QM9 is absent.

    Args:
      training: how many; validation and test have 512 each.
    """

    def data(options: Options) -> ResidentData:
        del options
        version, made, texts = qm9.version(), [], []
        if version is None:
            made, properties = molecules.made_up(training * 3 // 2)
            counts = np.array([molecule.counts() for molecule in made])
            what = "made-up molecules, ten properties that their bonds decide"
        else:
            texts, counts, properties = qm9.read()
            what = f"molecules of QM9 (qm9pack {version}), ten properties"
        splits = np.array([molecules.split_of(molecules.formula(row)) for row in counts.tolist()])
        answers, known = molecules.labels(properties, counts, splits == "train")

        def of_split(split: str) -> dict[str, np.ndarray]:
            rows = np.flatnonzero(splits == split)
            rows = np.random.default_rng(0).permutation(rows)[: training if split == "train" else 512]
            chosen = [made[row] if made else molecules.from_smiles(texts[row]) for row in rows]
            return {
                **padded([molecule.graph() for molecule in chosen]),
                "targets": (answers & known)[rows].astype(np.int8),
                "weights": known[rows].astype(np.int8),
            }

        fields = {split: of_split(split) for split in ("train", "validation", "test")}
        sizes = ", ".join(f"{len(of['targets']):,} {split}" for split, of in fields.items())
        source = (
            f"{what} as labels (among the lowest or highest tenth, once what the formula says is taken off), "
            f"{1 - molecules.KNOWN:.0%} of them hidden; {sizes}; no formula is in two splits"
        )
        kind = "embedded" if version else "synthetic"
        return ResidentData(fields, Provenance(kind, source, "ogbg-molpcba"), _seen)

    return data


BASE = Base(
    name="ogbg",
    summary="graph network on ogbg-molpcba",
    data_set="ogbg-molpcba",
    cost_class="graph",
    loss_type="SOFTMAX_CROSS_ENTROPY",  # AlgoPerf's word for it; the loss is that of `_labels`
    options=Options(),
    model=_model,
    losses=_labels.losses,
    sums=_labels.sums,
    measure=lambda options, model, source: _labels.measure(model),
    stand_in=_stand_in,
    read=lambda options, data_dir: _molpcba.read(data_dir, options.node_features, options.edge_features),
    batch_size=512,
    variants={
        "ogbg_gelu": {"activation": "gelu"},
        "ogbg_silu": {"activation": "silu"},
        "ogbg_model_size": {"hidden": (256, 256), "latent": 128, "steps": 3},
    },
    scales={
        "mini": Scale(
            data=_molecules(8192),
            options={**OF_MOLECULES, "hidden": (16,), "latent": 16, "steps": 2},
            batch_size=64,
            step_hint=300,
            eval_period=20,
            eval_examples=256,
            variants={"ogbg_model_size": {"hidden": (16, 16), "latent": 8, "steps": 1}},
        ),
        "small": Scale(
            data=_molecules(65_536),
            options={**OF_MOLECULES, "hidden": (160,), "latent": 160, "steps": 4},
            batch_size=128,
            step_hint=2000,
            eval_period=100,
            eval_examples=1024,
            variants={"ogbg_model_size": {"hidden": (160, 160), "latent": 80, "steps": 2}},
        ),
    },
    dropout_rate=0.1,
    # AlgoPerf's answer. It is the last layer of none of them, and of `ogbg_model_size` another.
    output_layer="Dense_17",
)
