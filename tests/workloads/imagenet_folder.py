"""Writes tiny data sets in the form of ImageNet's, with pictures as odd as some of its own."""

from __future__ import annotations

import io
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from tests.workloads import tfds_folders

FEATURES = {
    "file_name": tfds_folders.text(),
    "image": tfds_folders.image(None, None, 3, encoding="jpeg"),
    "label": tfds_folders.classes(1000),
}
# (height, width, mode); the fourth and fifth have one grey channel, and four of ink.
SIZES = (
    (47, 61, "RGB"),
    (375, 500, "RGB"),
    (333, 281, "RGB"),
    (90, 77, "L"),
    (64, 100, "CMYK"),
    (256, 256, "RGB"),
    (8, 10, "RGB"),
    (29, 400, "RGB"),
)


def picture(number: int, size: tuple[int, int, str] | None = None) -> bytes:
    """A JPEG file: a few waves and noise."""
    height, width, mode = size or SIZES[number % len(SIZES)]
    rng = np.random.default_rng(number)
    channels = len(mode)
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    waves = np.sin(9 * x * rng.normal(size=channels) + 9 * y * rng.normal(size=channels))
    pixels = 127.5 + 90 * waves + 15 * rng.normal(size=(height, width, channels))
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode).save(file, "JPEG", quality=90)
    return file.getvalue()


def examples(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Records: the label is a function of the number, so that it says which one it is."""
    return [
        {
            "file_name": f"picture_{number}.JPEG",
            "image": picture(number),
            "label": np.int64([(7 * number) % 1000]),
        }
        for number in range(start, start + count)
    ]


def write(folder: pathlib.Path, train: Any = 83, validation: Any = 37, test: Any = 21) -> pathlib.Path:
    """Both data sets in several files, as `--data-dir` has them.

    Args:
      folder: for them.
      train, validation, test: records, or how many of `examples`.
    """

    def records(of_split: Any, start: int) -> list[dict[str, Any]]:
        return examples(of_split, start) if isinstance(of_split, int) else of_split

    splits = {"train": records(train, 0), "validation": records(validation, 200)}
    tfds_folders.write(folder, "imagenet2012:5.1.0", FEATURES, splits, files=3)
    of_test = {"test": records(test, 300)}
    tfds_folders.write(folder, "imagenet_v2/matched-frequency:3.0.0", FEATURES, of_test, files=2)
    return folder
