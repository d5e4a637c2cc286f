"""Named switches between what TaskSet's released curves did and what its paper says or what is right."""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Quirks:
    """Defaults are what the released curves did.

    Attributes:
      just_train: `ignored`: image families never honour it; `honoured`: all four splits are the train split.
      augment_splits: `all`: evaluation sees augmented examples too; `train_only`: it sees a centred crop.
      truncated_normal: `untruncated`: the initialiser of that name draws from the whole normal distribution.
    """

    just_train: Literal["ignored", "honoured"] = "ignored"
    augment_splits: Literal["all", "train_only"] = "all"
    truncated_normal: Literal["untruncated", "truncated"] = "untruncated"


RELEASED = Quirks()
