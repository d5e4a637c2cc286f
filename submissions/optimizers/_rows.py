"""The table of optimizers. A new one is a file beside this with its rows, and its name here, imported and listed."""

from __future__ import annotations

from submissions.optimizers import (
    adafactor,
    adagrad,
    adam_velodrome,
    adamw,
    ademamix,
    lion,
    mars,
    muon,
    nadamw,
    prodigy,
    rmsprop,
    schedule_free,
    sgd,
    shampoo,
    soap,
    taskset_adam,
    zero,
)

_FILES = (
    nadamw,
    taskset_adam,
    adagrad,
    zero,
    adamw,
    sgd,
    rmsprop,
    adafactor,
    lion,
    muon,
    schedule_free,
    prodigy,
    shampoo,
    soap,
    ademamix,
    mars,
    adam_velodrome,
)

OPTIMIZERS = {row.name: row for file in _FILES for row in file.ROWS}
