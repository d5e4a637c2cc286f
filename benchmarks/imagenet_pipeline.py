"""Images per second and core that ImageNet's streams prepare, and an installed AlgoPerf's for comparison.

    python -m benchmarks.imagenet_pipeline [--batches 12] [--theirs]

Pictures are the two photographs that scikit-learn ships, cut to 500x375 as ImageNet's mostly are, as JPEG files of some
100 KB. Seconds are those of the processor, over all threads, so that other work on the machine matters little; the
first batch, for which graphs are traced, is not counted. Needs the extra `shortlist[images]`.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from tests.workloads import imagenet_folder
from workloads.algoperf import _build

NAMES = ("imagenet_resnet", "imagenet_vit")
RECORDS, BATCH = 512, 64


def main() -> None:
    """Prints a row of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batches", type=int, default=12, help="that are counted, of 64 (default: 12)")
    parser.add_argument("--theirs", action="store_true", help="an installed AlgoPerf's pipelines too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        data_dir = pathlib.Path(folder)
        size = _write(data_dir)
        print(f"{RECORDS} pictures, {size / RECORDS / 1000:.0f} kB each")
        for name in NAMES:
            table = _build.base(name)
            assert table.read is not None
            data: Any = table.read(table.options, data_dir)
            _row(name, "training", data.read("train", 0, BATCH, 0), arguments.batches)
            _row(
                name,
                "evaluation",
                data.read_once("train", BATCH),
                min(arguments.batches, RECORDS // BATCH - 1),
            )
            if arguments.theirs:
                import jax

                from workloads.installed import _algoperf

                theirs = _algoperf.real_workload(name)
                queue = theirs._build_input_queue(jax.random.PRNGKey(0), "train", str(data_dir), BATCH)
                _row(name, "training, AlgoPerf's", queue, arguments.batches)


def _row(name: str, what: str, batches: Iterator[Any], count: int) -> None:
    next(batches)
    began, wall = time.process_time(), time.perf_counter()
    seen = sum(len(batch["inputs"]) for batch in itertools.islice(batches, count))
    used, wall = time.process_time() - began, time.perf_counter() - wall
    print(f"{name:16} {what:22} {seen / used:6.0f} a core-second, {seen / wall:6.0f} a second")
    sys.stdout.flush()


def _write(data_dir: pathlib.Path) -> int:
    """Both data sets; returns the bytes of the training pictures."""
    photographs = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    rng = np.random.default_rng(0)
    total, records = 0, []
    for number in range(RECORDS):
        of = photographs[number % 2]
        top, left = (int(rng.integers(0, room + 1)) for room in (of.shape[0] - 375, of.shape[1] - 500))
        file = io.BytesIO()
        Image.fromarray(of[top : top + 375, left : left + 500]).save(file, "JPEG", quality=94)
        total += len(file.getvalue())
        records.append({"image": file.getvalue(), "label": np.array([number]), "file_name": "made.JPEG"})
    imagenet_folder.write(data_dir, train=records, validation=records[:1], test=records[:1])
    return total


if __name__ == "__main__":
    main()
