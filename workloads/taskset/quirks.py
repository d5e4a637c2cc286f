"""Named switches between what TaskSet's released curves did and what its paper says or what is right."""

from __future__ import annotations

import dataclasses
import typing
from typing import Literal

from workloads.spelling import closest


@dataclasses.dataclass(frozen=True)
class Quirks:
    """Defaults are what the released curves did, as far as it is known.

    Attributes:
      just_train: `ignored`: image and text-classification families never honour it (the language models always
        do); `honoured`: all four splits are the train split.
      augment_splits: `all`: evaluation sees augmented examples too; `train_only`: it sees a centred crop.
      truncated_normal: `untruncated`: the initialiser of that name draws from the whole normal distribution.
      text_dataset: `imdb_always`: every text-classification key loads `imdb_reviews/subwords8k`, whatever its
        name says; `by_name`: what the name says.
      misnamed_tasks: `as_coded`: four fixed tasks differ from their names; `as_named`: they do what the name says.
      lm_padding: `unmasked`: the language-model families count padding as tokens; `masked`: they do not. (The
        fixed language models always mask.)
      maf_masks: `tfp_degenerate`: the block masks of TensorFlow Probability, which are all zeros after the first
        layer where a hidden layer has fewer units than there are pixels; `made`: correct masks.
      maf_kernel_constraint: `by_optimizer`: masked weights start at zero and are only kept there by optimizers
        that apply constraints, which Adam6p and Adam8p do not; `always`: the mask is applied in the forward pass.
      batch_norm: `batch_statistics` of every split in the fixed convolutional tasks, and in the fixed perceptrons
        frozen statistics, mean 0 and variance 1; `moving_average`: the usual rule in both.
      dropout_eval: `on`: the fixed dropout tasks drop units in evaluation too; `off`: only in training.
      losg_data_seed: `unseeded`: data of losg tasks differ per run in the original, here they follow from the
        config's seed by a stream of their own; `config_seed`: the config's seed itself.
    """

    just_train: Literal["ignored", "honoured"] = "ignored"
    augment_splits: Literal["all", "train_only"] = "all"
    truncated_normal: Literal["untruncated", "truncated"] = "untruncated"
    text_dataset: Literal["imdb_always", "by_name"] = "imdb_always"
    misnamed_tasks: Literal["as_coded", "as_named"] = "as_coded"
    lm_padding: Literal["unmasked", "masked"] = "unmasked"
    maf_masks: Literal["tfp_degenerate", "made"] = "tfp_degenerate"
    maf_kernel_constraint: Literal["by_optimizer", "always"] = "by_optimizer"
    batch_norm: Literal["batch_statistics", "moving_average"] = "batch_statistics"
    dropout_eval: Literal["on", "off"] = "on"
    losg_data_seed: Literal["unseeded", "config_seed"] = "unseeded"

    def __post_init__(self) -> None:
        for name, kind in typing.get_type_hints(Quirks).items():
            allowed = typing.get_args(kind)
            if getattr(self, name) not in allowed:
                raise ValueError(f"quirk {name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")

    @classmethod
    def parse(cls, text: str) -> Quirks:
        """Switches as they stand in the name of a workload: `just_train=honoured,lm_padding=masked`.

        Raises:
          ValueError: not of that form, an unknown switch, or an unknown position of one.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        positions = {}
        for part in text.split(","):
            switch, equals, position = part.partition("=")
            if not equals or switch in positions:
                raise ValueError(
                    f"quirks {text!r}: write each switch once, as switch=position, with commas between"
                )
            if switch not in known:
                hint = closest(switch, known, f"allowed: {', '.join(known)}")
                raise ValueError(f"unknown quirk {switch!r}; {hint}")
            positions[switch] = position
        return cls(**positions)


RELEASED = Quirks()
