"""Training protocols: how long, how often and on how much is evaluated, under the name of those who agreed on it.

How a whole study of studies proceeds is another thing, see `tuning.protocols`.
"""

from __future__ import annotations

import dataclasses

from workloads.spelling import did_you_mean


@dataclasses.dataclass(frozen=True)
class TrainingProtocol:
    """Budget, evaluation and repeats of every trial. None and False are a study's own defaults, see `StudySpec`."""

    steps: int | None = None
    eval_period: int | None = None
    eval_batches: int | None = None
    eval_at_start: bool = False
    repeats: int = 1


TRAINING_PROTOCOLS = {
    #                            steps  period batches at start repeats
    "taskset": TrainingProtocol(10_000, 200, 50, True, 5),  # Metz et al. 2020, arXiv:2002.11887, section 3
    # The original's last evaluation is on 10 batches.
    "velodrome": TrainingProtocol(10_000, 10, 5, True, 5),  # Metz et al. 2022, arXiv:2211.09760
}


def training_protocol(name: str | None, **asked: int | bool | None) -> TrainingProtocol:
    """The protocol of a name, or of nobody; what is asked for and not None replaces its part.

    Raises:
      ValueError: no such protocol.
    """
    if name is not None and name not in TRAINING_PROTOCOLS:
        hint = did_you_mean(name, TRAINING_PROTOCOLS)
        raise ValueError(f"unknown protocol {name!r}{hint} (allowed: {', '.join(TRAINING_PROTOCOLS)})")
    agreed = TRAINING_PROTOCOLS[name] if name else TrainingProtocol()
    replaced = {key: value for key, value in asked.items() if value is not None}
    return dataclasses.replace(agreed, **replaced)  # type: ignore[arg-type]
