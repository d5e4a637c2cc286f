"""WMT's sentences in the layout of AlgoPerf's set-up: small folders in the very formats, read through."""

import dataclasses
import itertools
import shutil

import jax
import numpy as np
import pytest

import workloads
from submissions import api
from tests.workloads import tfds_folders
from tests.workloads.parting import assert_parts_make_the_whole, assert_turns_make_the_whole
from workloads import Regularization, evaluation
from workloads.algoperf import _bleu, _wmt, wmt
from workloads.data import packing
from workloads.data import wmt as files

spm = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed; it is in [algoperf]")
needs_algoperf = pytest.mark.skipif(
    not api.is_installed(), reason="AlgoPerf is not installed; docs/algoperf.md says how"
)
VOCABULARY, LENGTH = 64, 48
WORDS = {
    "de": ["der", "das", "und", "ist", "ein", "Haus", "Hund", "Katze", "läuft", "größer", "über", "alt", "neu", "rot"],
    "en": ["the", "a", "and", "is", "it", "house", "dog", "cat", "runs", "larger", "over", "old", "new", "red"],
}  # fmt: skip


def pairs(count, seed, longest=9):
    rng = np.random.default_rng(seed)
    return [
        {
            side: " ".join(rng.choice(words, rng.integers(1, longest))) + rng.choice([".", "!", "", " 3,5 %"])
            for side, words in WORDS.items()
        }
        for _ in range(count)
    ]


TRAIN = pairs(130, 0)
# Characters that the model does not know, a pair that is too long, one without a word.
VALIDATION = [
    *pairs(20, 1),
    {"de": "Hund 中 Hund", "en": "dog ж dog ж"},
    {"de": "Hund " * 300, "en": "dog " * 300},
    {"de": "", "en": ""},
]
TEST = pairs(10, 3)


@pytest.fixture(scope="session")
def wmt_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wmt")
    features = tfds_folders.translation("de", "en")
    unknown = [{"de": "Hund 中", "en": "ж dog cat ж"}, {"de": "中", "en": "ж"}]
    train = {"train": [*TRAIN[:70], *unknown, *TRAIN[70:]]}
    tfds_folders.write(folder, files.TRAIN, features, train, files=3, supervised=("de", "en"))
    held_out = {"validation": VALIDATION, "test": TEST}
    tfds_folders.write(folder, files.HELD_OUT, features, held_out, files=2, supervised=("de", "en"))
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(text for pair in TRAIN for text in pair.values()),
        model_prefix=str(folder / "learnt"), vocab_size=VOCABULARY, character_coverage=1.0, model_type="unigram",
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    shutil.move(folder / "learnt.model", folder / files.MODEL)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def data(wmt_dir):
    return _wmt.read(wmt_dir, VOCABULARY, LENGTH)


def take(data, first, count, batch_size=4, seed=3, split="train"):
    return list(itertools.islice(data.read(split, seed, batch_size, first), count))


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_tokens_are_those_of_the_model_and_text_comes_back(data, wmt_dir):
    model = spm.SentencePieceProcessor(model_file=str(wmt_dir / files.MODEL))
    (batch,) = itertools.islice(data.read_once("test", 4), 1)
    for row, pair in enumerate(TEST[:4]):
        for name, side in (("inputs", "de"), ("targets", "en")):
            expected = [*model.encode(pair[side]), 2]
            assert batch[name][row].tolist() == expected + [0] * (LENGTH - len(expected))
            assert data.text(batch[name][row][: len(expected)]) == pair[side]
    np.testing.assert_array_equal(batch["weights"], batch["targets"] > 0)
    assert data.text(np.array([VOCABULARY + 5, 2])) == data.text(np.array([0, 2]))


def test_pairs_that_are_too_long_are_left_out_and_all_others_evaluated_once(data):
    assert data.sizes == {"train": 132, "validation": len(VALIDATION) - 1, "test": len(TEST)}
    batches = list(data.read_once("validation", 8))
    assert [len(batch["targets"]) for batch in batches] == [8, 8, 6]
    found = [data.text(row[: int((row == 2).argmax()) + 1]) for batch in batches for row in batch["targets"]]
    known = [pair["en"] for pair in (*VALIDATION[:20], VALIDATION[-1])]
    assert sorted(text for text in found if "\N{DOUBLE QUESTION MARK}" not in text) == sorted(known)
    # What is not known counts as padding, as in AlgoPerf.
    assert sum((batch["weights"] != (batch["targets"] > 0)).sum() for batch in batches) == 0


def test_rows_hold_the_pairs_of_shuffled_epochs_in_order(data, wmt_dir):
    layout = files.find(wmt_dir)
    corpus = files.training(layout, files.processor(layout, VOCABULARY), LENGTH)
    assert len(corpus.lengths) == 132
    assert sum(corpus.known[:, 0] < corpus.lengths[:, 0]) == 2
    rows = _wmt.Rows(corpus, 3, LENGTH)
    orders = [rows.order(epoch) for epoch in range(3)]
    assert all(sorted(order) == list(range(132)) for order in orders)
    assert not np.array_equal(orders[0], orders[1])
    expected = [corpus.packed(pair) for order in orders for pair in order]
    found = [pair for number in range(90) for pair in rows[number]]
    assert len(found) > 264
    for one, other in zip(found, expected, strict=False):
        assert_same(one, other)
    assert_same(rows[4], _wmt.Rows(corpus, 3, LENGTH)[4])  # long gone
    # The rows are those that pairs in that order are packed in.
    packed = packing.packed([corpus.pair(pair) for order in orders for pair in order], LENGTH)
    batches = take(data, 0, 20)
    assert_same({name: np.concatenate([b[name] for b in batches]) for name in packed},
                {name: values[:80] for name, values in packed.items()})  # fmt: skip


def test_a_stream_begins_at_any_step(data):
    batches = take(data, 0, 60)
    assert_same(take(data, 37, 23), batches[37:])
    assert not np.array_equal(batches[0]["inputs"], take(data, 0, 1, seed=4)[0]["inputs"])
    assert all(values.shape == (4, LENGTH) for batch in batches for values in batch.values())
    assert {values.dtype for values in batches[0].values()} == {np.dtype(np.int32)}


def test_sentences_are_tokenised_once(wmt_dir, monkeypatch):
    layout = files.find(wmt_dir)
    model = files.processor(layout, VOCABULARY)
    first = files.training(layout, model, LENGTH)
    monkeypatch.setattr(files.tfds_folder, "iterate", None)
    again = files.training(layout, model, LENGTH)
    assert_same((first.tokens, first.lengths, first.known), (again.tokens, again.lengths, again.known))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda d: (d / files.MODEL).unlink(),
            "wmt_sentencepiece_model: no such file; AlgoPerf's dataset_setup",
        ),
        (lambda d: (d / files.MODEL).write_bytes(b"nothing"), "is no SentencePiece model"),
        (lambda d: shutil.rmtree(d / "wmt14_translate"), "no TFDS data set wmt14_translate/de-en:1.0.0"),
        (lambda d: next(d.rglob("wmt17*00001*")).write_bytes(b""), "wmt17.* ends after 0 bytes"),
        (lambda d: next(d.rglob("*validation*00001*")).unlink(), "validation.*: no such file"),
    ],
)
def test_what_is_missing_or_damaged_is_named(wmt_dir, tmp_path, spoil, message):
    shutil.copytree(wmt_dir, tmp_path / "copy")
    spoil(tmp_path / "copy")
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        workloads.load("algoperf/wmt", tmp_path / "copy")


def test_a_vocabulary_larger_than_the_models_is_refused(wmt_dir):
    with pytest.raises(ValueError, match=r"has \d+ tokens .* at most 20 are right, and 2"):
        _wmt.read(wmt_dir, 20, LENGTH)


def test_a_split_of_which_nothing_fits_is_refused(wmt_dir):
    with pytest.raises(
        ValueError, match=r"de-en/1.0.0: split 'validation' has no pair of at most 0 tokens a side"
    ):
        _wmt.read(wmt_dir, VOCABULARY, 0)
    layout = files.find(wmt_dir)
    with pytest.raises(ValueError, match=r"split 'train' has no pair of at most 0 tokens"):
        files.training(layout, files.processor(layout, VOCABULARY), 0)


def test_the_full_workload_has_its_files(wmt_dir):
    workload = workloads.load("algoperf/wmt_post_ln", wmt_dir)
    assert workload.data.provenance.kind == "real"
    assert workload.validation_target == pytest.approx(30.0779)
    assert workload.data.shapes("train", 2)["inputs_position"].shape == (2, 256)
    assert evaluation.examples_of(workload, "validation") == len(VALIDATION) - 1
    assert evaluation.examples_of(workload, "train") == 132


def test_a_model_is_trained_and_judged_on_the_files(wmt_dir, monkeypatch):
    options = {
        "vocabulary": VOCABULARY,
        "length": LENGTH,
        "width": 8,
        "heads": 2,
        "head_width": 4,
        "layers": 1,
    }
    options = dataclasses.replace(wmt.BASE.options, **options, mlp_width=8, decoded=8)
    monkeypatch.setattr(wmt, "BASE", dataclasses.replace(wmt.BASE, options=options, batch_size=8))
    workload = workloads.load("algoperf/wmt", wmt_dir)
    params, state = workload.init(jax.random.key(0))

    @jax.jit
    def step(params, batch, key):
        def loss(params):
            return workload.loss(params, state, batch, key, True, Regularization())[0]

        value, grads = jax.value_and_grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.3 * g, params, grads), value

    stream, losses = workload.data.stream("train", jax.random.key(1), 8), []
    for number in range(40):
        params, value = step(params, next(stream), jax.random.key(number))
        losses.append(float(value))
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5
    found = evaluation.Evaluator(workload).metrics("test", params, state)
    assert found["loss"] < losses[0]
    assert np.isfinite(found["bleu"])


# AlgoPerf's own pipeline on the same files.


@needs_algoperf
@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_batches_are_those_of_an_installed_algoperf(wmt_dir, split):
    from workloads.installed import _algoperf

    data = _wmt.read(wmt_dir, 32_000, 256)
    queue = _algoperf.real_workload("wmt")._build_input_queue(jax.random.PRNGKey(0), split, str(wmt_dir), 4)
    for own in data.read_once(split, 4):
        theirs, rows = next(queue), len(own["targets"])
        assert set(theirs) == set(own)
        for name in own:
            np.testing.assert_array_equal(theirs[name][:rows], own[name], err_msg=name)
            assert not np.any(theirs[name][rows:])


@needs_algoperf
def test_rows_are_packed_as_an_installed_algoperf_packs_pairs_in_that_order(wmt_dir):
    import tensorflow as tf
    from algoperf.workloads.wmt import input_pipeline, tokenizer

    layout = files.find(wmt_dir)
    corpus = files.training(layout, files.processor(layout, VOCABULARY), LENGTH)
    rows = _wmt.Rows(corpus, 5, LENGTH)
    order = np.concatenate([rows.order(epoch) for epoch in range(5)])
    records = list(files.tfds_folder.iterate(layout.train, "train", files.SIDES))
    some = [records[pair] for pair in order]
    raw = {"inputs": [pair["de"] for pair in some], "targets": [pair["en"] for pair in some]}
    spoken = tf.data.Dataset.from_tensor_slices(raw).map(
        tokenizer.TokenizeOp(tokenizer.load_tokenizer(str(wmt_dir / files.MODEL)))
    )
    theirs = input_pipeline.preprocess_wmt_data(
        spoken, None, train=True, shuffle=False, max_length=LENGTH, global_batch_size=4
    )
    data = _wmt.read(wmt_dir, VOCABULARY, LENGTH)
    # Whole blocks of pairs are the same; then AlgoPerf begins again, and we shuffle anew.
    whole = len(order) // LENGTH * LENGTH
    alike = len(packing.packed([corpus.pair(pair) for pair in order[:whole]], LENGTH)["inputs"]) // 4
    assert alike > 30
    for own, other in zip(take(data, 0, alike, seed=5), theirs.as_numpy_iterator(), strict=False):
        assert set(own) - {"weights"} == set(other)
        assert_same({name: own[name] for name in other}, other)


@needs_algoperf
def test_tokens_texts_and_bleu_are_those_of_an_installed_algoperf(wmt_dir, data):
    from algoperf.workloads.wmt import bleu, tokenizer

    theirs, rng = tokenizer.load_tokenizer(str(wmt_dir / files.MODEL)), np.random.default_rng(0)
    letters = [
        *"abcdefghijklmnopqrstuvwxyzäöüß  .,-%0123ж中½ﬁＷ\u0301\u00ad\t\n\u200b\ufeff▁<s>",
        "😀",
        "the ",
        " Hund",
    ]
    texts = ["".join(rng.choice(letters, rng.integers(0, 60))).encode() for _ in range(3000)]
    texts += [b"", b" ", b"\xff\xfe not UTF-8 \xc3", b"cut \xe4\xb8", b"a\x00b", b"x" * 5000]
    ours = data.model.encode(texts, out_type=int, add_eos=True)
    assert theirs.tokenize(texts).to_list() == ours
    rows = [rng.integers(0, data.model.vocab_size(), rng.integers(1, 30)) for _ in range(3000)] + list(
        map(np.array, ours)
    )
    for row in rows:
        assert theirs.detokenize(row.astype(np.int32)).numpy().decode() == data.text(row)
    wanted = [pair["en"] for pair in TRAIN]
    found = [
        data.text(np.array(tokens)[: 1 + number % 9]) for number, tokens in enumerate(ours[: len(wanted)])
    ]
    found[::2] = [" ".join(text.split()[:3]) for text in wanted[::2]]
    assert bleu.corpus_bleu(found, [wanted]).score == pytest.approx(
        _bleu.corpus_bleu(found, wanted), rel=1e-12
    )


def test_parts_of_several_processes_make_the_whole(data):
    assert_parts_make_the_whole(data, 4, 2, steps=20)  # more than an epoch
    assert_turns_make_the_whole(data, "validation", 8, data.size("validation"), 2)
    assert_turns_make_the_whole(data, "train", 8, 20, 2)
