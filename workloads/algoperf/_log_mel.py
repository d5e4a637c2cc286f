"""Normalised log-mel energies of audio, the input of AlgoPerf's speech models, and their masking in training.

They are made inside the model, from samples. Nothing of a trial enters them but the draws of the masks.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import json
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

PRE_EMPHASIS = 0.97
FLOOR = 1e-5  # of the energies, before the logarithm


@dataclasses.dataclass(frozen=True)
class Bands:
    """How energies are taken.

    Attributes:
      sample_rate: in Hz.
      window, step: length of a frame, and from one to the next, in samples.
      bins: number of bands.
      lowest, highest: edges of the bands, in Hz.
      normaliser: the mean that is taken out and the deviation that is divided by: "librispeech" has them for every
        bin, numbers are for all.
    """

    sample_rate: int = 16_000
    window: int = 400
    step: int = 160
    bins: int = 80
    lowest: float = 125.0
    highest: float = 7_600.0
    normaliser: Literal["librispeech"] | tuple[float, float] = "librispeech"


@functools.cache
def normaliser(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(mean, deviation) of a data set's log-mel energies, per bin. LibriSpeech's are data that AlgoPerf defines."""
    text = (importlib.resources.files("workloads.algoperf") / f"{name}_log_mel.json").read_text()
    found = json.loads(text)
    return np.asarray(found["mean"], np.float32), np.asarray(found["deviation"], np.float32)


def log_mel(
    audio: Float[Array, "example sample"], paddings: Float[Array, "example sample"], bands: Bands
) -> tuple[Float[Array, "example frame bin"], Float[Array, "example frame"]]:
    """Normalised log-mel energies of every frame, and which frames are padding (all of their samples are).

    Frames have a sample more than the window, which pre-emphasis takes; there is none beyond the last sample.

    Args:
      audio: in the range of 16-bit integers.
      paddings: 1 where a sample is none.
      bands: of what.
    """
    pieces = functools.partial(_pieces, length=bands.window + 1, step=bands.step)
    frames = jnp.concatenate(pieces(audio.astype(jnp.float32) * (1.0 - paddings) * 2.0**-15), axis=-1)
    nowhere = functools.reduce(jnp.minimum, [jnp.min(piece, axis=-1) for piece in pieces(paddings)])
    emphasised = jnp.concatenate(
        [
            frames[..., :1] * (1.0 - PRE_EMPHASIS),
            frames[..., 1:-1] - PRE_EMPHASIS * frames[..., :-2],
        ],
        axis=-1,
    )
    # Periodic: the last value of a window that is longer by one is left out.
    weighted = emphasised * np.hanning(bands.window + 1)[:-1].astype(np.float32)
    spectrum = jnp.fft.rfft(weighted, 2 ** math.ceil(math.log2(bands.window + 1)))
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    energies = power @ mel_weights(power.shape[-1], bands)
    own = bands.normaliser
    mean, deviation = normaliser(own) if isinstance(own, str) else own
    logarithms = jnp.log(jnp.maximum(energies, FLOOR))
    return (logarithms - mean) / deviation, nowhere


def _pieces(x: jax.Array, length: int, step: int) -> list[jax.Array]:
    """Frames of [example, sample], one every so many samples, in pieces [example, frame, up to a step]."""
    frames = (x.shape[1] - length) // step + 1
    count = -(-length // step)
    needed = (frames - 1 + count) * step
    x = jnp.pad(x, ((0, 0), (0, max(0, needed - x.shape[1]))))[:, :needed]
    x = x.reshape(len(x), -1, step)
    return [x[:, i : i + frames, : length - i * step] for i in range(count)]


def mel_weights(frequencies: int, bands: Bands) -> Float[Array, "frequency bin"]:
    """Triangles that are linear in mel = 1127 ln(1 + f / 700), each from the middle of one neighbour to the other's.

    The frequency 0 is in none.
    """

    def mel(hertz):
        return 1127.0 * jnp.log(1.0 + hertz / 700.0)

    of_frequencies = mel(jnp.linspace(0.0, bands.sample_rate / 2, frequencies)[1:])[:, None]
    edges = jnp.linspace(mel(bands.lowest), mel(bands.highest), bands.bins + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (of_frequencies - low) / (middle - low), (high - of_frequencies) / (high - middle)
    return jnp.pad(jnp.maximum(0.0, jnp.minimum(rising, falling)), ((1, 0), (0, 0)))


@dataclasses.dataclass(frozen=True)
class Masking:
    """What SpecAugment masks (Park et al. 2019, arXiv:1904.08779).

    Attributes:
      times, frequencies: number of masks of either kind.
      longest: the longest mask in time, as a share of the example's frames.
      widest: the widest mask in frequency, in bins.
    """

    times: int = 10
    frequencies: int = 2
    longest: float = 0.05
    widest: int = 27


class Draws(NamedTuple):
    """Uniform draws in [0, 1) that say how long every mask is and where it starts, [example, mask]."""

    time_lengths: jax.Array
    time_starts: jax.Array
    frequency_lengths: jax.Array
    frequency_starts: jax.Array


def draws(key: jax.Array, examples: int, masking: Masking) -> Draws:
    """All that masking a batch needs, in one draw."""
    counts = (masking.times, masking.times, masking.frequencies, masking.frequencies)
    uniform = jax.random.uniform(key, (examples, sum(counts)))
    return Draws(*jnp.split(uniform, np.cumsum(counts)[:-1], axis=1))


def masks(
    drawn: Draws, lengths: Integer[Array, " example"], frames: int, bins: int, masking: Masking
) -> tuple[Float[Array, "example frame"], Float[Array, "example bin"]]:
    """1 where an entry stays and 0 where it is masked, in time and in frequency.

    Args:
      drawn: lengths and starts.
      lengths: frames that are no padding.
      frames, bins: size of the masks.
      masking: how much is masked.
    """
    longest = masking.longest * lengths
    in_time = _kept(
        drawn.time_lengths, drawn.time_starts, longest, longest.astype(jnp.int32), lengths, frames
    )
    every = jnp.full_like(lengths, bins)
    widest = jnp.full(lengths.shape, masking.widest, jnp.float32)
    return in_time, _kept(drawn.frequency_lengths, drawn.frequency_starts, widest, every, every, bins)


def _kept(length_draws, start_draws, longest, bound, among, size) -> jax.Array:
    length = (longest[:, None] * length_draws).astype(jnp.int32)
    length = jnp.minimum(length, jnp.maximum(bound, 1)[:, None])
    start = (start_draws * (among[:, None] - length + 1)).astype(jnp.int32)
    place = jnp.arange(size)
    masked = (place >= start[..., None]) & (place < (start + length)[..., None])
    return 1.0 - jnp.any(masked, axis=1)


def masked(
    key: jax.Array,
    features: Float[Array, "example frame bin"],
    paddings: Float[Array, "example frame"],
    masking: Masking,
) -> Float[Array, "example frame bin"]:
    """Features with stretches of frames and of bins set to 0, which is their mean."""
    examples, frames, bins = features.shape
    lengths = jnp.sum(1.0 - paddings, axis=1).astype(jnp.int32)
    in_time, in_frequency = masks(draws(key, examples, masking), lengths, frames, bins, masking)
    return features * in_time[:, :, None] * in_frequency[:, None, :]
