"""FineWeb-Edu in both layouts of AlgoPerf's set-up: small folders in the very formats, read through."""

import dataclasses
import itertools
import pathlib
import shutil

import jax
import numpy as np
import pytest

import workloads
from tests.workloads import documents
from tests.workloads.documents_golden import make
from tests.workloads.parting import assert_parts_make_the_whole, assert_turns_make_the_whole
from workloads import Regularization, evaluation
from workloads.algoperf import _finewebedu, finewebedu_lm
from workloads.data import finewebedu

GOLDEN = pathlib.Path(make.__file__).parent
VOCABULARY, LENGTH = 50, 16
LAYOUTS = {
    "arrow": lambda folder, texts: documents.write_arrow(folder, texts, files=3, batch=7),
    "saved": documents.write_saved,
}


def texts(count, seed):
    """Documents of which every token says the next."""
    rng = np.random.default_rng(seed)
    made = []
    for size in rng.integers(0, 60, count).tolist():
        start = int(rng.integers(VOCABULARY))
        made.append([(start + 3 * i) % VOCABULARY for i in range(size)])
    return made


TRAIN, VALIDATION = texts(60, 0), texts(40, 1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(params=LAYOUTS)
def folder(request, tmp_path):
    made = tmp_path / "fineweb_edu_10B"
    LAYOUTS[request.param](made / "train", TRAIN)
    LAYOUTS[request.param](made / "val", VALIDATION)
    return made


@pytest.fixture
def data(folder):
    return _finewebedu.read(folder, VOCABULARY, LENGTH)


def take(data, first, count, batch_size=4, seed=3):
    return list(itertools.islice(data.read("train", seed, batch_size, first), count))


def windows(of):
    """Inputs and targets together."""
    flat = np.concatenate([np.array(text, np.int64) for text in of])
    count = len(flat) // (LENGTH + 1)
    return flat[: count * (LENGTH + 1)].reshape(count, LENGTH + 1)


@pytest.mark.parametrize(
    ("layout", "read"), [("arrow", finewebedu.in_arrow), ("saved", finewebedu.saved)], ids=["arrow", "saved"]
)
def test_what_the_libraries_wrote_is_read(layout, read):
    tokens, expected = read(GOLDEN / layout), np.concatenate(make.DOCUMENTS)
    assert tokens.size == len(expected) == 226
    for start in range(0, 226, 5):
        for stop in (start + 1, start + 3, 226):
            stop = min(stop, 226)
            np.testing.assert_array_equal(tokens.read(start, stop), expected[start:stop])


def test_the_tests_own_writers_write_what_the_libraries_do(tmp_path):
    written = documents.write_saved(tmp_path / "saved", make.DOCUMENTS)
    (golden,) = (GOLDEN / "saved").rglob("*.snapshot")
    assert written.read_bytes() == golden.read_bytes()
    documents.write_arrow(tmp_path / "arrow", make.DOCUMENTS, files=2)
    assert finewebedu.in_arrow(tmp_path / "arrow").size == 226


def test_evaluation_takes_the_leading_sequences_in_order(data):
    for split, of in (("train", TRAIN), ("validation", VALIDATION)):
        expected = windows(of)
        assert data.size(split) == len(expected)
        batches = list(data.read_once(split, 8))
        for name, columns in (("inputs", expected[:, :-1]), ("targets", expected[:, 1:])):
            np.testing.assert_array_equal(np.concatenate([batch[name] for batch in batches]), columns)
            assert batches[0][name].dtype == np.int32
        assert all((batch["weights"] == 1).all() for batch in batches)
        assert batches[-1]["weights"].shape == batches[-1]["targets"].shape


def test_an_epoch_has_every_sequence_once_in_an_order_of_its_own(data):
    expected = windows(TRAIN)
    batches = take(data, 0, 3 * len(expected) // 4)
    rows = np.concatenate([np.concatenate([b["inputs"], b["targets"][:, -1:]], axis=1) for b in batches])
    first, second = rows[: len(expected)], rows[len(expected) : 2 * len(expected)]
    for epoch in (first, second):
        np.testing.assert_array_equal(sorted(map(tuple, epoch)), sorted(map(tuple, expected)))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, expected)


def test_a_stream_begins_at_any_step(data):
    batches = take(data, 0, 60)
    jax.tree.map(np.testing.assert_array_equal, take(data, 47, 13), batches[47:])
    assert not np.array_equal(batches[0]["inputs"], take(data, 0, 1, seed=4)[0]["inputs"])


def test_documents_are_looked_through_once(tmp_path, monkeypatch):
    documents.write_saved(tmp_path / "train", TRAIN)
    first = finewebedu.saved(tmp_path / "train")
    monkeypatch.setattr(finewebedu.tfrecord, "records", None)
    again = finewebedu.saved(tmp_path / "train")
    np.testing.assert_array_equal(first.read(0, first.size), again.read(0, again.size))


def test_validation_is_as_much_as_algoperf_evaluates_on(data, folder, monkeypatch):
    monkeypatch.setattr(_finewebedu, "VALIDATION", 5)
    assert _finewebedu.read(folder, VOCABULARY, LENGTH).sizes == {**data.sizes, "validation": 5}


def damaged(folder, layout):
    if layout == "arrow":
        return folder / "train" / "data-00001-of-00003.arrow"
    return next((folder / "train").rglob("*.snapshot"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("layout", "spoil", "message"),
    [
        ("arrow", lambda d: cut(damaged(d, "arrow")), "data-00001-of-00003.arrow: .*make the data set again"),
        ("arrow", lambda d: damaged(d, "arrow").unlink(), "00001-of-00003.arrow: no such file, though state.json"),
        ("arrow", lambda d: (d / "train" / "state.json").write_text("{}"), "state.json: .*_data_files"),
        (
            "arrow",
            lambda d: (d / "train" / "state.json").write_text('{"_data_files": [{"filename": "../x.arrow"}]}'),
            "state.json: .*make the data set again",
        ),
        ("saved", lambda d: cut(damaged(d, "saved")), "00000000.snapshot: corrupt record at byte"),
        ("saved", lambda d: flip(damaged(d, "saved")), "00000000.snapshot: corrupt record at byte"),
        ("saved", lambda d: damaged(d, "saved").unlink(), r"has no \*.shard/\*.snapshot"),
        ("saved", lambda d: (d / "train" / "snapshot.metadata").write_bytes(b"\xff"), "is no metadata of TensorFlow"),
        ("saved", lambda d: (d / "train" / "snapshot.metadata").write_bytes(b""), "describes version 0"),
        ("saved", lambda d: (damaged(d, "saved").parent.parent / "1.shard").mkdir(), "has 2 shards"),
        ("arrow", lambda d: shutil.rmtree(d / "val"), "val: neither snapshot.metadata nor state.json is there"),
    ],
)  # fmt: skip
def test_what_is_missing_or_damaged_is_named(tmp_path, layout, spoil, message):
    for split, of in (("train", TRAIN), ("val", VALIDATION)):
        LAYOUTS[layout](tmp_path / "d" / split, of)
    spoil(tmp_path / "d")
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        workloads.load("algoperf/finewebedu_lm", tmp_path / "d")


def test_fewer_documents_than_were_saved_are_refused(tmp_path):
    documents.write_saved(tmp_path, TRAIN, elements=len(TRAIN) + 1)
    with pytest.raises(ValueError, match=r"has 60 documents, but snapshot.metadata says 61"):
        finewebedu.saved(tmp_path)


def test_a_token_beyond_the_vocabulary_or_too_few_are_refused(folder):
    small = _finewebedu.read(folder, VOCABULARY - 1, LENGTH)
    with pytest.raises(ValueError, match=r"train: sequence \d+ has the token 49; there are 49"):
        list(small.read_once("train", 4))
    with pytest.raises(ValueError, match=r"train: has \d+ tokens; a sequence takes 5001"):
        _finewebedu.read(folder, VOCABULARY, 5000)


def test_a_model_is_trained_and_judged_on_the_files(folder, monkeypatch):
    options = {
        "vocabulary": VOCABULARY,
        "length": LENGTH,
        "width": 16,
        "heads": 2,
        "head_width": 8,
        "layers": 1,
    }
    options = dataclasses.replace(finewebedu_lm.BASE.options, **options, mlp_width=16)
    monkeypatch.setattr(
        finewebedu_lm, "BASE", dataclasses.replace(finewebedu_lm.BASE, options=options, batch_size=8)
    )
    workload = workloads.load("algoperf/finewebedu_lm", folder)
    assert workload.data.provenance.kind == "real"
    assert workload.validation_target == pytest.approx(22.2995)
    assert set(workload.eval_splits) == {"train", "validation"}
    params, state = workload.init(jax.random.key(0))
    before = evaluation.Evaluator(workload).metrics("validation", params, state)

    @jax.jit
    def step(params, batch, key):
        def loss(params):
            return workload.loss(params, state, batch, key, True, Regularization())[0]

        return jax.tree.map(lambda p, g: p - 0.5 * g, params, jax.grad(loss)(params))

    stream = workload.data.stream("train", jax.random.key(1), 8)
    for number in range(60):
        params = step(params, next(stream), jax.random.key(number))
    after = evaluation.Evaluator(workload).metrics("validation", params, state)
    assert before["ppl"] == pytest.approx(VOCABULARY, rel=0.1)
    assert after["ppl"] < 0.8 * before["ppl"]


def test_parts_of_several_processes_make_the_whole(data):
    assert_parts_make_the_whole(data, 8, 2, steps=20)  # more than an epoch
    assert_turns_make_the_whole(data, "validation", 8, data.size("validation"), 4)
