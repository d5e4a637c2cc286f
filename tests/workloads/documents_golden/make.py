"""Made the folders beside it: documents in tokens, saved by tf.data (TensorFlow 2.21.0) and by datasets (5.2.0).

python -m tests.workloads.documents_golden.make FOLDER
"""

import sys

import numpy as np

RNG = np.random.default_rng(0)
DOCUMENTS = [RNG.integers(0, 50_257, size).tolist() for size in (5, 3, 0, 200, 17, 1)]


def main(folder: str) -> None:
    """Writes `saved` and `arrow` into the folder."""
    import datasets
    import tensorflow as tf

    columns = {"input_ids": datasets.List(datasets.Value("int32"))}
    made = datasets.Dataset.from_dict({"input_ids": DOCUMENTS}, features=datasets.Features(columns))
    made.save_to_disk(f"{folder}/arrow", num_shards=2)
    signature = {"input_ids": tf.TensorSpec([None], tf.int64)}
    documents = ({"input_ids": np.array(document, np.int64)} for document in DOCUMENTS)
    tf.data.Dataset.from_generator(lambda: documents, output_signature=signature).save(f"{folder}/saved")


if __name__ == "__main__":
    main(sys.argv[1])
