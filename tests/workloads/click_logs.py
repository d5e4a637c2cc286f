"""Small shards of click logs in the form of Criteo's."""

from __future__ import annotations

import pathlib

import numpy as np

SHARDS = {day: 2 if day % 5 == 0 else 1 for day in range(23)} | {23: 36}


def write(folder: pathlib.Path, rows: int = 7) -> dict[str, list[str]]:
    """Writes shards of about so many lines.

    Returns:
      Name of a shard -> its lines. Shards differ in their length, and lines say by their first number which they are.
    """
    folder.mkdir(exist_ok=True)
    written, rng, number = {}, np.random.default_rng(0), 0
    for day, count in SHARDS.items():
        for shard in range(count):
            lines = []
            for _ in range(rows + (day + shard) % 3):
                number += 1
                lines.append(line(rng, number))
            name = f"day_{day}_{shard:02}"
            written[name] = lines
            (folder / name).write_text("".join(f"{each}\n" for each in lines))
    return written


def line(rng: np.random.Generator, number: int) -> str:
    """Of a log: an answer, numbers and categories, some of them left out."""
    numbers = [str(number), *map(str, rng.lognormal(2, 3, 12).astype(int) - 2)]
    categories = [f"{value:08x}" for value in rng.integers(0, 2**32, 26)]
    for values, share in ((numbers, 0.2), (categories, 0.1)):
        for i in range(len(values)):
            if rng.random() < share and values[i] != str(number):
                values[i] = ""
    return "\t".join([str(int(rng.random() < 0.3)), *numbers, *categories])
