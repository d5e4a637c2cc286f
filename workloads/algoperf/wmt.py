"""AlgoPerf's wmt: a Transformer that translates German into English.

Rows of training batches are packed with several sentences; evaluations see one a row, and translate it.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from workloads._measure import Measure
from workloads._source import Source
from workloads.algoperf import _beam, _classes, _emoji_names, _linen, _transformer, _translations, _wmt
from workloads.algoperf._base import Base, Model, Scale
from workloads.algoperf._shaped import shaped
from workloads.algoperf._transformer import Transformer

FIELDS = (
    "inputs",
    "targets",
    "inputs_position",
    "targets_position",
    "inputs_segmentation",
    "targets_segmentation",
)


@dataclasses.dataclass(frozen=True)
class Options(_transformer.Shape):
    """Of the model, and of its evaluation.

    Attributes:
      decoded: tokens of a translation at most, one more than is kept.
    """

    decoded: int = 256


def _model(options: Options) -> Model:
    def example():
        return (jnp.ones((1, options.length), jnp.int32),) * 2

    return _linen.model(Transformer(options), example, lambda batch: tuple(batch.get(f) for f in FIELDS))


def translator(options: Options) -> _translations.Translate:
    """The best translations that beam search finds with the model of these options, [sentence, decoded - 1]."""
    module = Transformer(options)

    def translate(params: Any, inputs: jax.Array) -> jax.Array:
        def call(method, *args):
            return module.apply({"params": params}, *args, method=method)

        beams = jnp.repeat(inputs, _beam.BEAMS, axis=0)
        memory = jax.tree.map(lambda x: jnp.repeat(x, _beam.BEAMS, axis=0), call(Transformer.memory, inputs))

        def step(tokens, position, before):
            return call(Transformer.step, tokens, position, before, memory, beams)

        none = _transformer.empty(options, len(beams), options.decoded)
        return _beam.beam_search(step, none, len(inputs), options.decoded).tokens[:, -1, 1:]

    return translate


def _measure(options: Options, model: Model, source: Source) -> Measure:
    return _translations.measure(model, translator(options), source)


def _draw(options: Options):
    def draw(key: jax.Array, examples: int):
        keys = jax.random.split(key, 2)
        inputs, targets = (
            jax.random.randint(key, (examples, options.length), 3, options.vocabulary) for key in keys
        )
        return {"inputs": inputs, "targets": targets, "weights": jnp.ones(targets.shape)}

    return draw


def _sentences(options: Options, languages: tuple[str, ...]) -> Source:
    limits = _emoji_names.Limits(languages, options.vocabulary, options.length, options.decoded)
    return _emoji_names.sentences(limits)


SCALES = {
    "mini": Scale(
        data=functools.partial(_sentences, languages=_emoji_names.GERMAN),
        options={
            "vocabulary": 320,
            "width": 32,
            "heads": 4,
            "head_width": 8,
            "layers": 1,
            "mlp_width": 64,
            "length": 32,
            "decoded": 16,
        },
        # Many small steps learn more than few large ones here, at equal cost: a row has three sentences or four.
        batch_size=4,
        step_hint=600,
        # Translating by beam search costs as much as training: ten evaluations, of 64 sentences a split and fewer.
        eval_period=60,
        eval_examples=8,
    ),
    "small": Scale(
        data=functools.partial(_sentences, languages=_emoji_names.MORE),
        options={
            "vocabulary": 1024,
            "width": 128,
            "heads": 4,
            "head_width": 32,
            "layers": 3,
            "mlp_width": 256,
            "length": 64,
            "decoded": 32,
        },
        batch_size=32,
        step_hint=1000,
        eval_period=50,
        eval_examples=64,
    ),
}

BASE = Base(
    name="wmt",
    summary="Transformer on WMT17 German to English",
    data_set="WMT",
    cost_class="transformer",
    loss_type="SOFTMAX_CROSS_ENTROPY",
    options=Options(),
    model=_model,
    losses=_classes.losses,
    sums=_classes.sums,
    measure=_measure,
    stand_in=lambda options: shaped("WMT17 German to English", _draw(options)),
    read=lambda options, data_dir: _wmt.read(data_dir, options.vocabulary, options.length),
    batch_size=128,
    variants={
        "wmt_post_ln": {"normalised_first": False},
        "wmt_attention_temp": {"temperature": 4.0},
        "wmt_glu_tanh": {"activation": "tanh", "gated": True},
    },
    scales=SCALES,
    dropout_rate=0.1,
    output_layer="shared_embedding",
)
