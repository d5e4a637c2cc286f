"""AlgoPerf's LibriSpeech DeepSpeech 2 (Amodei et al. 2016, arXiv:1512.02595) with a CTC loss, and its variants."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads.algoperf import _ctc, _speech, _speech_scales, _words
from workloads.algoperf._base import Base, Model, Scale
from workloads.algoperf._dropout import Dropout
from workloads.algoperf._log_mel import Masking
from workloads.algoperf._lstm import LSTM
from workloads.algoperf._speech import BatchNorm, LayerNorm, Subsample, real, xavier_uniform


@dataclasses.dataclass(frozen=True)
class Options(_speech.Speech):
    """Of the model.

    Attributes:
      recurrent, dense: layers of either kind.
      act: activation of the convolutions and the dense layers.
      residual: layers are added to their inputs.
      layer_norm: layer norms in the place of batch normalisation, and none before the output.
      residual_dropout: rate in the dense layers if they are added to their inputs. AlgoPerf forgets to hand its
        argument on there, so that its default rate acts whatever the submission asks for; None: the argument.
    """

    recurrent: int = 6
    dense: int = 3
    act: Callable[[jax.Array], jax.Array] = nn.relu
    residual: bool = True
    layer_norm: bool = False
    residual_dropout: float | None = 0.1

    def norm(self, x: jax.Array, paddings: jax.Array, train: bool) -> jax.Array:
        """The norm in front of a layer, a submodule of whoever asks."""
        return LayerNorm()(x) if self.layer_norm else BatchNorm(self.momentum)(x, paddings, not train)


class BatchRNN(nn.Module):
    """An LSTM in both directions behind a norm."""

    options: Options

    @nn.compact
    def __call__(self, x: jax.Array, paddings: jax.Array, train: bool) -> jax.Array:
        """[example, time, unit]."""
        lengths = jnp.sum(1.0 - paddings, axis=1).astype(jnp.int32)
        return LSTM(x.shape[-1] // 2)(self.options.norm(x, paddings, train), lengths)


class FeedForwardModule(nn.Module):
    """A dense layer behind a norm."""

    options: Options

    @nn.compact
    def __call__(self, x: jax.Array, paddings: jax.Array, train: bool, dropout_rate: Any) -> jax.Array:
        """[example, time, unit]."""
        options = self.options
        if options.residual and options.residual_dropout is not None:
            dropout_rate = options.residual_dropout
        x = nn.Dense(x.shape[-1], kernel_init=xavier_uniform)(options.norm(x, paddings, train))
        return Dropout()(options.act(x) * real(paddings), dropout_rate, train)


class Deepspeech(nn.Module):
    """From audio to the logits of tokens, four of ten-millisecond frames at a time."""

    options: Options

    @nn.compact
    def __call__(
        self, audio: jax.Array, paddings: jax.Array, dropout_rate: Any, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Logits [example, time, token] and their paddings."""
        options = self.options
        x, paddings = _speech.features(self, options, audio, paddings, train)
        x, paddings = Subsample(options, options.act, positions=False)(x, paddings, train, dropout_rate)
        for _ in range(options.recurrent):
            y = BatchRNN(options)(x, paddings, train)
            x = x + y if options.residual else y
        for _ in range(options.dense):
            y = FeedForwardModule(options)(x, paddings, train, dropout_rate)
            x = x + y if options.residual else y
        if not options.layer_norm:
            x = LayerNorm()(x)
        return nn.Dense(options.vocabulary, kernel_init=xavier_uniform)(x), paddings


def switches(train: bool, update_batch_norm: bool, use_running_average_bn: bool | None) -> Mapping[str, Any]:
    """AlgoPerf's trains whenever the mode or the switch of updates says so, and ignores the third switch."""
    del use_running_average_bn
    training = train or update_batch_norm
    return {"train": training, "update": training}


def _model(options: Options) -> Model:
    return _speech.model(Deepspeech(options), options.bands, switches)


BASE = Base(
    name="librispeech_deepspeech",
    summary="DeepSpeech on LibriSpeech",
    data_set="LibriSpeech",
    # Not "rnn", one trial a program: between its recurrences are normalisations and products that five trials share.
    cost_class="speech",
    loss_type="CTC_LOSS",
    options=Options(),
    model=_model,
    losses=_ctc.losses,
    measure=lambda options, model, source: _words.measure(options, model),
    stand_in=_speech.stand_in,
    read=_speech.read,
    beside=_speech.beside,
    batch_size=256,
    variants={
        "librispeech_deepspeech_tanh": {"act": nn.tanh},
        "librispeech_deepspeech_no_resnet": {"residual": False},
        "librispeech_deepspeech_norm_and_spec_aug": {
            "layer_norm": True,
            "masking": Masking(times=15, frequencies=4),
        },
    },
    scales={
        "mini": Scale(
            _speech_scales.data(_speech_scales.MINI),
            {**_speech_scales.MINI_OPTIONS, "recurrent": 2, "dense": 1},
            batch_size=8,
            step_hint=400,
            eval_period=20,
            eval_examples=32,
            variants={
                "librispeech_deepspeech_norm_and_spec_aug": {"masking": _speech_scales.MORE_MASKING},
            },
        ),
        "small": Scale(
            _speech_scales.data(_speech_scales.SMALL),
            {**_speech_scales.SMALL_OPTIONS, "dim": 160, "recurrent": 5, "dense": 3},
            batch_size=32,
            step_hint=1000,
            eval_period=50,
            variants={
                "librispeech_deepspeech_norm_and_spec_aug": {
                    "masking": Masking(times=6, frequencies=4, longest=0.05, widest=8)
                },
            },
        ),
    },
    dropout_rate=0.1,
    output_layer="Dense_0",
)
