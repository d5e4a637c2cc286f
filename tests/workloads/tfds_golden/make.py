"""How the folder `golden/` beside this file was made: tensorflow-datasets 4.9.10, tensorflow-cpu 2.21.0, Python 3.11.

    pip install tensorflow-datasets==4.9.10 tensorflow-cpu==2.21.0 && python make.py FOLDER

Example i has values that follow from i, see `example`; TFDS orders the examples by a hash of their keys.
"""

from __future__ import annotations

import sys

import numpy as np


def example(i: int) -> dict:
    """Example 0 to 9 are of the split train, 10 to 12 of test."""
    return {
        "png": ((np.arange(60) * 7 + i) % 256).astype(np.uint8).reshape(4, 5, 3),
        "grey": np.full((2 + i % 2, 3, 1), 10 * i, np.uint8),
        "jpeg": np.full((16, 16, 3), 15 * i, np.uint8),
        "label": i % 3,
        "text": f"text {i} ü",
        "ids": list(range(1, i + 1)),
        "pair": [i, i / 2],
        "flag": i % 2 == 0,
        "nested": {"index": i},
    }


def main() -> None:
    """Writes golden/small/1.0.0 below the folder given."""
    import tensorflow_datasets as tfds

    class Golden(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = (tfds.core.BuilderConfig(name="small"),)

        def _info(self):
            features = tfds.features.FeaturesDict(
                {
                    "png": tfds.features.Image(shape=(4, 5, 3), encoding_format="png"),
                    "grey": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                    "jpeg": tfds.features.Image(shape=(16, 16, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(num_classes=3),
                    "text": tfds.features.Text(),
                    "ids": tfds.features.Sequence(np.int64),
                    "pair": tfds.features.Tensor(shape=(2,), dtype=np.float32),
                    "flag": tfds.features.Scalar(dtype=np.bool_),
                    "nested": {"index": tfds.features.Scalar(dtype=np.int32)},
                }
            )
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(range(10)),
                "test": self._generate_examples(range(10, 13)),
            }

        def _generate_examples(self, numbers):
            for i in numbers:
                yield f"k{i}", example(i)

    two_files = tfds.download.DownloadConfig(num_shards=2)
    Golden(data_dir=sys.argv[1]).download_and_prepare(download_config=two_files)


if __name__ == "__main__":
    main()
