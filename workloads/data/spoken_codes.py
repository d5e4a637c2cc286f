"""Spoken strings of digits and letters, put together from recordings that two packages ship.

`captcha` has a recording of every digit and letter, `spokennumbers` another one of every digit. A string is some of
them in a row, each at a speed of its own, with noise and reverberation. Made when they are asked for, from a seed.
"""

from __future__ import annotations

import functools
import importlib.metadata
import io
import itertools
import math
import wave
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from workloads._source import Provenance

RATE = 8_000  # samples per second, captcha's
DIGITS, LETTERS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PACKAGES = ("captcha", "spokennumbers")
# What is quieter than this share of a recording's loudest moment, at either end, is cut off.
SILENCE = 0.05


class Manner(NamedTuple):
    """How strings are spoken and heard.

    Attributes:
      speeds: of a code, drawn from this many equal steps between the slowest and the fastest.
      slowest, fastest: a recording is as many times as fast; its pitch rises with it.
      noise: of the string, in decibels below it, between the two.
      echo: seconds in which an echo falls to a thousandth, between the two.
      gap: the longest pause before a code, in seconds.
    """

    speeds: int = 5
    slowest: float = 0.9
    fastest: float = 1.2
    noise: tuple[float, float] = (15.0, 30.0)
    echo: tuple[float, float] = (0.05, 0.2)
    gap: float = 0.06


class Spoken(NamedTuple):
    """Strings and how they sound.

    Attributes:
      audio: 16-bit samples [string, sample], 0 behind the end.
      samples: how many each has.
      codes: number of every code in the alphabet [string, place], 0 behind the last.
      places: how many each has.
    """

    audio: Int[np.ndarray, "string sample"]
    samples: Int[np.ndarray, " string"]
    codes: Int[np.ndarray, "string place"]
    places: Int[np.ndarray, " string"]


def spoken(
    alphabet: str,
    places: tuple[int, int],
    samples: int,
    sizes: Mapping[str, int],
    manner: Manner = Manner(),  # noqa: B008
    seed: int = 0,
) -> tuple[dict[str, Spoken], Provenance]:
    """Splits that have no string in common; a string may be spoken several times in its own.

    Args:
      alphabet: some of the digits and letters.
      places: codes in the shortest string and in the longest.
      samples: of the longest string; none that takes longer is used.
      sizes: split -> strings.
      manner: how they are spoken.
      seed: of everything random.

    Returns:
      The splits, and where the recordings come from: tones take their place if a package is missing.
    """
    random = np.random.default_rng(seed)
    voices, provenance = recordings(alphabet)
    pieces = [
        [
            [_faster(voice, speed) for speed in np.linspace(manner.slowest, manner.fastest, manner.speeds)]
            for voice in of_code
        ]
        for of_code in voices
    ]
    splits = {}
    for split, size in sizes.items():
        of_split: list[tuple[list[int], np.ndarray]] = []
        while len(of_split) < size:
            codes = random.integers(1, len(alphabet) + 1, random.integers(places[0], places[1] + 1)).tolist()
            if _split_of(codes, sizes) != split:
                continue
            sound = _said(random, [pieces[code - 1] for code in codes], manner)
            if len(sound) <= samples:
                of_split.append((codes, sound))
        splits[split] = _laid_out(of_split, places[1], samples)
    return splits, provenance


def _split_of(codes: Sequence[int], sizes: Mapping[str, int]) -> str:
    """The split that a string belongs to, in proportion to the sizes, whatever the seed."""
    place = zlib.crc32(bytes(codes)) % sum(sizes.values())
    ends = itertools.accumulate(sizes.values())
    return next(split for split, end in zip(sizes, ends, strict=True) if place < end)


def _laid_out(strings: Sequence[tuple[list[int], np.ndarray]], places: int, samples: int) -> Spoken:
    audio = np.zeros((len(strings), samples), np.int16)
    codes = np.zeros((len(strings), places), np.int32)
    for row, (said, sound) in enumerate(strings):
        audio[row, : len(sound)] = sound
        codes[row, : len(said)] = said
    lengths = np.array([(len(sound), len(said)) for said, sound in strings], np.int32)
    return Spoken(audio, lengths[:, 0], codes, lengths[:, 1])


def _faster(sound: np.ndarray, speed: float) -> Float[np.ndarray, " sample"]:
    """The sound so many times as fast, without what an interpolation of its samples would fold down."""
    from scipy import signal

    return np.asarray(signal.resample(sound, round(len(sound) / speed)))


def _said(
    random: np.random.Generator, pieces: Sequence[Sequence[Sequence[np.ndarray]]], manner: Manner
) -> Int[np.ndarray, " sample"]:
    """A string with pauses, echo and noise, in 16 bits."""
    from scipy import signal

    parts = []
    for voices in pieces:
        speeds = voices[int(random.integers(len(voices)))]
        parts.append(np.zeros(random.integers(round(manner.gap * RATE) + 1)))
        parts.append(speeds[int(random.integers(len(speeds)))] * 10 ** random.uniform(-0.2, 0.2))
    sound = np.concatenate(parts)
    seconds = random.uniform(*manner.echo)
    time = np.arange(round(seconds * RATE)) / RATE
    echo = random.standard_normal(len(time)) * 10.0 ** (-3.0 * time / seconds)
    echo *= random.uniform(0.1, 0.5) / np.linalg.norm(echo)
    echo[0] = 1.0
    sound = np.asarray(signal.fftconvolve(sound, echo))[: len(sound)]
    loudness = math.sqrt(np.mean(sound**2))
    noise = loudness * 10 ** (-random.uniform(*manner.noise) / 20)
    sound = sound + noise * random.standard_normal(len(sound))
    loud = 10 ** random.uniform(3.0, 3.6)  # of 32,768
    return np.clip(np.rint(sound * (loud / loudness)), -32_768, 32_767).astype(np.int16)


def recordings(alphabet: str) -> tuple[list[list[np.ndarray]], Provenance]:
    """Of every code of the alphabet, every voice's; tones where a package is not installed."""
    try:
        versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    except importlib.metadata.PackageNotFoundError:
        return [[tones(code)] for code in alphabet], Provenance(
            "synthetic",
            "strings of codes, each a pair of gliding tones at several speeds, with noise and echo; the recordings of "
            "spoken codes are in the packages captcha and spokennumbers",
            "LibriSpeech",
        )
    voices = [
        [_trimmed(_read(*at)) for at in _files(code)]
        for code in alphabet
    ]  # fmt: skip
    count = sum(map(len, voices))
    return voices, Provenance(
        "embedded",
        f"strings put together from {count} recordings of {len(alphabet)} spoken digits and letters (captcha "
        f"{versions['captcha']}, 8 kHz; digits also from spokennumbers {versions['spokennumbers']}) at several speeds, "
        "with noise and echo; one or two voices, the same in all splits, which share no string",
        "LibriSpeech",
    )


def _files(code: str) -> list[tuple[str, str]]:
    """(package, path in it) of a code's recordings."""
    own = [("captcha", f"captcha/data/{code}/default.wav")]
    return [*own, ("spokennumbers", f"spokennumbers/default/{code}.wav")] if code in DIGITS else own


@functools.cache
def _read(package: str, path: str) -> Float[np.ndarray, " sample"]:
    """A recording at 8 kHz, as loud as any other; read by path, so that nothing of the package runs."""
    from scipy import signal

    data = importlib.metadata.distribution(package).locate_file(path).read_bytes()  # type: ignore[attr-defined]
    with wave.open(io.BytesIO(data)) as file:
        width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
        raw = file.readframes(file.getnframes())
    if width == 1:  # unsigned
        sound = np.frombuffer(raw, np.uint8).astype(np.float64) - 128.0
    else:
        sound = np.frombuffer(raw, f"<i{width}").astype(np.float64)
    sound = sound.reshape(-1, channels).mean(axis=1)
    shared = math.gcd(RATE, rate)
    sound = np.asarray(signal.resample_poly(sound, RATE // shared, rate // shared))
    return sound / math.sqrt(np.mean(sound**2))


def _trimmed(sound: np.ndarray) -> np.ndarray:
    """Without silence at either end."""
    frame = RATE // 100
    loud = np.abs(sound[: len(sound) // frame * frame]).reshape(-1, frame).max(axis=1)
    where = np.flatnonzero(loud > SILENCE * loud.max())
    return sound[where[0] * frame : (where[-1] + 1) * frame]


def tones(code: str) -> Float[np.ndarray, " sample"]:
    """What stands in for a recording: .35 seconds of two tones that glide, another pair for every code."""
    pairs = list(itertools.product(np.geomspace(300, 1_000, 6), np.geomspace(1_300, 3_000, 6)))
    low, high = pairs[(DIGITS + LETTERS).index(code)]
    time = np.arange(round(0.35 * RATE)) / RATE
    swelling = np.sin(np.pi * time / time[-1]) ** 0.5
    glide = 2 * np.pi * (time + 0.3 * time**2)
    sound = swelling * (np.sin(low * glide) + 0.5 * np.sin(high * glide))
    return sound / math.sqrt(np.mean(sound**2))
