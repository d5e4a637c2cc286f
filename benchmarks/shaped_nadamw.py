"""NAdamW whose points carry the shape of their schedule, and the same without, to see whether lists gain by it.

    shortlist reproduce medapati2025 --scale mini --optimizer benchmarks/shaped_nadamw.py:shaped --out shaped
    shortlist reproduce medapati2025 --scale mini --optimizer benchmarks/shaped_nadamw.py:cosine --out cosine
    shortlist compare shaped/studies cosine/studies

Each trains 200 candidates of its space on the eight base workloads, the left-out lists anew, random search and Vizier:
some 2,600 trials, about an hour of one core by what the paper's own 3,400 took. Expected: unknown; nobody has trained
this yet. Both spaces are Medapati et al.'s, Table 1; `shaped` has three dimensions more, so that its candidates stand
further apart in the others.
"""

from __future__ import annotations

import jax.numpy as jnp
import optax

import submissions

OF_TABLE_1 = {
    "learning_rate": (1e-4, 1e-2, "log"),
    "warmup_fraction": [0.02, 0.05, 0.1],
    "one_minus_beta1": (1e-3, 0.2, "log"),
    "one_minus_beta2": (1e-3, 0.2, "log"),
    "weight_decay": (1e-4, 0.5, "log"),
    "label_smoothing": [0.0, 0.1, 0.2],
    "dropout_rate": [0.0, 0.1],
}


@submissions.register(
    "shaped_nadamw",
    **OF_TABLE_1,
    hold_fraction=(0.0, 0.8, "linear"),
    decay_power=(0.5, 4.0, "log"),
    end_fraction=[0.0, 0.01, 0.1],
)
def shaped(hp, horizon):
    """`optax.nadamw` with linear warm-up, a hold, and a decay of any steepness to a share of the peak.

    With T steps, w of warm-up and u = (s - w) / (T - w): rate(s) = lr * s / w for s < w, and from there on
    lr * (end + (1 - end) * ((1 + cos(pi * max(u - hold, 0) / (1 - hold))) / 2)^power). With hold 0, power 1 and end 0
    it is half a cosine to zero, the schedule of every NAdamW here.
    """

    def rate(step):
        warmup = jnp.floor(hp["warmup_fraction"] * horizon)
        done = jnp.clip((step - warmup) / jnp.maximum(horizon - warmup, 1), 0, 1)
        falling = jnp.maximum(done - hp["hold_fraction"], 0) / (1 - hp["hold_fraction"])
        share = ((1 + jnp.cos(jnp.pi * falling)) / 2) ** hp["decay_power"]
        level = hp["end_fraction"] + (1 - hp["end_fraction"]) * share
        return hp["learning_rate"] * jnp.where(step < warmup, step / jnp.maximum(warmup, 1), level)

    return optax.nadamw(rate, b1=hp["beta1"], b2=hp["beta2"], weight_decay=hp["weight_decay"])


@submissions.register("cosine_nadamw", **OF_TABLE_1, hold_fraction=0.0, decay_power=1.0, end_fraction=0.0)
def cosine(hp, horizon):
    """The same with the one shape."""
    return shaped(hp, horizon)
