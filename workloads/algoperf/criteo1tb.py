"""AlgoPerf's click-through prediction: the small DLRM (Naumov et al. 2019, arXiv:1906.00091) on Criteo's click logs.

A row is 13 numbers and 26 categories, all of them floats in one array: `inputs` [example, 39]. The categories of all
columns share one table, in which a category is looked up modulo its rows. They reach the model as float32, which tells
whole numbers apart up to 2**24: part of the benchmark.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads._source import Batch
from workloads.algoperf import _click_logs, _click_rows, _linen, _totals
from workloads.algoperf._base import Base, Model, Scale
from workloads.algoperf._dropout import Dropout
from workloads.algoperf._shaped import shaped
from workloads.data.criteo import CATEGORIES, NUMBERS


@dataclasses.dataclass(frozen=True)
class Options:
    """Of the model.

    Attributes:
      rows: of the table of categories.
      width: of a category's vector.
      numbers, fields: columns of the inputs, numbers first and categories after them.
      bottom: widths of the layers that read the numbers. Without `residual`, the last is `width`.
      top: widths of the hidden layers that lead to the logit.
      layer_norm: behind every ReLU, and on the categories' vectors.
      residual: from the second layer on, layers of both perceptrons add to what they read, so all widths of one are
        equal; the vectors are laid end to end in place of the products of all pairs.
      table_bound: the table begins uniform between 0 and this; None: 1 / sqrt(rows).
    """

    rows: int = 32 * 128 * 1024
    width: int = 128
    numbers: int = NUMBERS
    fields: int = len(CATEGORIES)
    bottom: tuple[int, ...] = (512, 256, 128)
    top: tuple[int, ...] = (1024, 1024, 512, 256)
    layer_norm: bool = False
    residual: bool = False
    table_bound: float | None = None


class DLRM(nn.Module):
    """A perceptron of the numbers, vectors of the categories, products of all of these, and a perceptron of those."""

    options: Options

    @nn.compact
    def __call__(self, x: jax.Array, dropout_rate: Any, train: bool) -> jax.Array:
        """Logits [example, 1] of inputs [example, column]."""
        options = self.options
        numbers, categories = x[:, : options.numbers], x[:, options.numbers :].astype(jnp.int32)
        bottom = numbers
        for layer, width in enumerate(options.bottom):
            bottom = self._hidden(bottom, bottom_layer(width), adds=layer > 0)

        bound = options.rows**-0.5 if options.table_bound is None else options.table_bound
        table = self.param(
            "embedding_table", nn.initializers.uniform(bound), (options.rows, options.width), jnp.float32
        )
        vectors = table[categories % options.rows]  # [example, field, unit]
        if options.layer_norm:
            vectors = nn.LayerNorm()(vectors)

        if options.residual:
            joint = vectors.reshape(len(x), -1)
        else:
            joint = products_of_pairs(jnp.concatenate([bottom[:, None], vectors], axis=1))
        top = jnp.concatenate([bottom, joint], axis=-1)
        for layer, width in enumerate(options.top):
            last = layer == len(options.top) - 1
            dropped = (dropout_rate, train) if last else None
            top = self._hidden(top, top_layer(top.shape[-1], width), adds=layer > 0, dropped=dropped)
        return top_layer(top.shape[-1], 1)(top)

    def _hidden(
        self, x: jax.Array, layer: nn.Dense, adds: bool, dropped: tuple[Any, bool] | None = None
    ) -> jax.Array:
        """What a hidden layer makes of x.

        Args:
          x: what it reads.
          layer: the product.
          adds: the residual variant adds it to x.
          dropped: (dropout rate, whether in training), if the layer has dropout.
        """
        y = nn.relu(layer(x))
        if self.options.layer_norm:
            y = nn.LayerNorm()(y)
        if dropped is not None:
            y = Dropout()(y, *dropped)
        return x + y if self.options.residual and adds else y


def bottom_layer(width: int) -> nn.Dense:
    """A layer that leads from the numbers."""
    return nn.Dense(
        width, kernel_init=nn.initializers.glorot_uniform(), bias_init=nn.initializers.normal(width**-0.5)
    )


def top_layer(inputs: int, width: int) -> nn.Dense:
    """A layer that leads to the logit."""
    return nn.Dense(
        width,
        kernel_init=nn.initializers.normal((2.0 / (inputs + width)) ** 0.5),
        bias_init=nn.initializers.normal(width**-0.5),
    )


def products_of_pairs(vectors: jax.Array) -> jax.Array:
    """<v_i, v_j> for i <= j, row by row: [example, n * (n + 1) / 2] of [example, n, unit]."""
    gram = vectors @ vectors.mT
    # Slices rather than an index: a gradient by adding at indices is slow everywhere.
    return jnp.concatenate([gram[:, i, i:] for i in range(gram.shape[-1])], axis=-1)


def losses(logits: jax.Array, batch: Batch, label_smoothing: Any) -> tuple[jax.Array, jax.Array | None]:
    """-(y log s(z) + (1 - y) log s(-z)) per example; labels are not smoothed."""
    del label_smoothing
    targets, weights = batch["targets"].reshape(-1), batch.get("weights")
    z = logits.reshape(-1)
    clicked, not_clicked = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    return -(
        targets * clicked + (1 - targets) * not_clicked
    ), weights if weights is None else weights.reshape(-1)


def _model(options: Options) -> Model:
    columns = options.numbers + options.fields
    return _linen.model(DLRM(options), lambda: (jnp.zeros((1, columns)),))


def _draw(key: jax.Array, examples: int) -> Batch:
    numbers, categories, targets = jax.random.split(key, 3)
    counts = jnp.floor(jnp.exp(2.0 * jax.random.normal(numbers, (examples, NUMBERS))))
    drawn = jax.random.randint(categories, (examples, len(CATEGORIES)), 0, jnp.array(CATEGORIES))
    return {
        "inputs": jnp.concatenate([jnp.log1p(counts), drawn.astype(jnp.float32)], axis=-1),
        "targets": jax.random.bernoulli(targets, 0.03, (examples,)).astype(jnp.float32),
    }


COLUMNS = {"numbers": _click_rows.NUMBERS, "fields": _click_rows.FIELDS}
SCALES = {
    "mini": Scale(
        data=lambda options: _click_rows.resident({"train": 65_536, "validation": 2048, "test": 2048}),
        options={**COLUMNS, "rows": 1024, "width": 16, "bottom": (64, 32, 16), "top": (64, 64, 48, 32)},
        batch_size=128,
        step_hint=400,
        eval_period=20,
        eval_examples=1024,
        variants={
            "criteo1tb_test": {"rows": 256},
            "criteo1tb_resnet": {"bottom": (32,) * 3, "top": (32,) * 4},
        },
    ),
    "small": Scale(
        data=lambda options: _click_rows.resident({"train": 262_144, "validation": 8192, "test": 8192}),
        options={**COLUMNS, "rows": 24_576, "width": 32, "bottom": (128, 64, 32), "top": (256, 256, 128, 64)},
        batch_size=1024,
        step_hint=1000,
        eval_period=50,
        eval_examples=8192,
        variants={
            "criteo1tb_test": {"rows": 4096},
            "criteo1tb_resnet": {"bottom": (128,) * 3, "top": (128,) * 4},
        },
    ),
}

BASE = Base(
    name="criteo1tb",
    summary="small DLRM on Criteo's click logs",
    data_set="Criteo 1TB",
    cost_class="mlp",
    loss_type="SIGMOID_CROSS_ENTROPY",
    options=Options(),
    model=_model,
    losses=losses,
    measure=lambda options, model, source: _totals.in_float64(model, losses),
    stand_in=lambda options: shaped("Criteo 1TB", _draw),
    read=lambda options, data_dir: _click_logs.read(data_dir),
    batch_size=262_144,
    variants={
        "criteo1tb_test": {"rows": 32 * 128 * 16},
        "criteo1tb_layernorm": {"layer_norm": True},
        "criteo1tb_resnet": {"residual": True, "bottom": (256,) * 3, "top": (256,) * 4},
        "criteo1tb_embed_init": {"table_bound": 1.0},
    },
    mended={
        "criteo1tb_resnet": "the dropout rate may be traced; AlgoPerf branches on it, which a traced one cannot do"
    },
    scales=SCALES,
    output_layer="Dense_7",
)
