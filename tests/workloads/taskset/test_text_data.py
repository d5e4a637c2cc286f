"""TaskSet's text: slices, padding, stand-ins, and real data from TFDS folders."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.workloads import tfds_folders
from workloads.taskset import _draws, _text, _text_stand_ins

ALL = _draws.BYTE_DATASETS + _draws.SUBWORD_DATASETS


@pytest.fixture(scope="module")
def sliced():
    """4000 slices of 4 tokens of texts with 2, 4 and 7 tokens, and their lengths."""
    texts = np.array([[1, 2, 0, 0, 0, 0, 0], [1, 2, 3, 4, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7]], np.uint16)
    rows = np.arange(4000) % 3
    batch = {"text": texts[rows], "length": np.array([2, 4, 7], np.int32)[rows], "targets": rows}
    transform = jax.jit(_text.random_slices(4), static_argnums=2)
    return rows, jax.tree.map(np.asarray, transform(jax.random.key(0), batch, "train"))


def test_short_texts_end_in_padding_and_exact_ones_stay(sliced):
    rows, batch = sliced
    np.testing.assert_array_equal(np.unique(batch["text"][rows == 0], axis=0), [[1, 2, 0, 0]])
    np.testing.assert_array_equal(np.unique(batch["text"][rows == 1], axis=0), [[1, 2, 3, 4]])


def test_slices_start_uniformly_at_all_places_but_the_last(sliced):
    rows, batch = sliced
    long = batch["text"][rows == 2]
    np.testing.assert_array_equal(np.diff(long, axis=1), 1)  # consecutive tokens
    share = np.bincount(long[:, 0], minlength=5)[1:] / len(long)
    assert share[3] == 0  # 4 5 6 7: as in the original, never
    assert np.abs(share[:3] - 1 / 3).max() < 5 * np.sqrt(2 / 9 / len(long))


def test_slices_are_integers_beside_their_labels(sliced):
    rows, batch = sliced
    assert set(batch) == {"text", "targets"}
    assert batch["text"].dtype == jnp.int32
    np.testing.assert_array_equal(batch["targets"], rows)


def test_a_patch_may_be_longer_than_every_text():
    batch = {"text": np.array([[1, 2]], np.uint16), "length": np.array([2], np.int32)}
    out = _text.random_slices(5)(jax.random.key(0), batch, "test")
    np.testing.assert_array_equal(out["text"], [[1, 2, 0, 0, 0]])


@pytest.mark.parametrize("name", ALL)
def test_stand_ins_have_the_tokens_lengths_and_splits_of_the_real_set(name):
    facts = _text.text_set(name)
    data = _text.load(name, 16, 3000, None, None)
    assert (data.provenance.kind, data.provenance.stands_in_for) == ("embedded", name)
    assert list(data.splits) == ["inner_valid", "outer_valid", "test", "train"]
    assert data.size("train") >= 2 * 512  # two of the largest batches
    ids = 257 if facts.subword_ids is None else facts.subword_ids
    lengths = []
    for fields in data.splits.values():
        text, length = fields["text"], fields["length"]
        assert text.max() < ids
        # Padding follows the text, and nothing else is zero.
        np.testing.assert_array_equal(text > 0, np.arange(text.shape[1]) < length[:, None])
        lengths += length.tolist()
    # The deviation of a gamma distribution of shape 2 is .71 of its mean; the cut at 3 means takes off 1 %.
    assert abs(np.mean(lengths) / facts.mean_length - 0.99) < 5 * 0.71 / np.sqrt(len(lengths)) + 0.01


def test_russian_japanese_and_chinese_stand_ins_have_letters_of_two_and_three_bytes():
    highest = {"en": 0, "hsb": 0, "ru": 2, "ja": 3, "zh": 3}
    for language, size in highest.items():
        text = _text.load(f"tokenized_wikipedia/20190301.{language}_bytes", 16, 3000, None, None).splits[
            "train"
        ]
        # The first byte of a letter of 2 bytes is 110xxxxx, of 3 bytes 1110xxxx.
        starts = {2: 0b110 << 5, 3: 0b1110 << 4}
        codes = text["text"][text["text"] > 0].astype(int) - 1
        if size:
            mask = 0b11100000 if size == 2 else 0b11110000
            assert np.mean((codes & mask) == starts[size]) > 0.15
        else:
            assert np.mean(codes >= 128) < 0.01


def test_bytes_are_shifted_by_one_and_subwords_spell_what_they_do_not_know():
    np.testing.assert_array_equal(_text_stand_ins.byte_ids(b"\x00A\xff"), [1, 66, 256])
    ids = 300  # 43 pieces, then the bytes from 44 on
    pieces, topics = _text_stand_ins._ranked_pieces()
    stream = _text_stand_ins._subwords(ids)[0]
    expected = []
    for rank in topics[0][:200]:
        expected += [rank + 1] if rank < 43 else [44 + byte for byte in pieces[rank].encode()]
    np.testing.assert_array_equal(stream[: len(expected)], expected)


def test_no_two_texts_of_a_stand_in_share_a_token_of_the_sources():
    texts, _ = _text_stand_ins.stand_in("lm1b/bytes", None, 140, 1)
    spans = sorted(
        (text.__array_interface__["data"][0], text.nbytes) for split, _ in texts.values() for text in split
    )
    assert all(start + size <= after for (start, size), (after, _) in itertools.pairwise(spans))


def test_labels_of_a_stand_in_can_be_learnt_from_its_words():
    # Naive Bayes, with every word counted once more than it occurs.
    data = _text.load(_text.IMDB, 32, 3000, None, None, labels=True)
    counts = np.ones((2, 8185))
    train, test = data.splits["train"], data.splits["outer_valid"]
    for label in (0, 1):
        counts[label] += np.bincount(train["text"][train["targets"] == label].ravel(), minlength=8185)
    counts[:, 0] = 1
    evidence = np.log(counts[1] / counts[1].sum()) - np.log(counts[0] / counts[0].sum())
    evidence[0] = 0  # padding says nothing
    assert np.mean((evidence[test["text"]].sum(axis=1) > 0) == test["targets"]) > 0.85
    assert abs(np.mean(test["targets"]) - 0.5) < 5 * 0.5 / np.sqrt(360)


def test_num_train_cuts_the_training_split_and_saturates():
    for asked, got in ((1000, 1000), (50_000, _text_stand_ins.TRAIN)):
        data = _text.load("lm1b/bytes", 16, 3000, asked, None)
        assert (data.size("train"), data.size("test")) == (got, _text_stand_ins.HELD_OUT)


def test_an_unknown_data_set_is_an_error_that_names_the_known_ones():
    with pytest.raises(ValueError, match="unknown text data set 'lm1b/words'; allowed: imdb_reviews/bytes"):
        _text.load("lm1b/words", 16, 3000, None, None)


def reviews(ids, labels=2):
    """Examples of a TFDS folder of reviews whose texts are those ids (or bytes)."""
    return [{"text": text, "label": i % labels} for i, text in enumerate(ids)]


FEATURES = {"text": tfds_folders.text(), "label": tfds_folders.classes(2)}


@pytest.fixture
def imdb(tmp_path):
    """A folder with 25 reviews to train on, review i of i + 1 times the id i + 1, and 4 to test on."""
    train = reviews([np.full(i + 1, i + 1) for i in range(25)])
    test = reviews([np.full(3, 100 + i) for i in range(4)])
    tfds_folders.write(tmp_path, "imdb_reviews/subwords8k:1.0.0", FEATURES, {"train": train, "test": test})
    return tmp_path


def test_the_head_of_the_real_train_split_is_validation(imdb):
    data = _text.load(_text.IMDB, 16, 3, 17, imdb, labels=True)
    assert data.provenance.kind == "real"
    first = {split: fields["text"][:, 0].tolist() for split, fields in data.splits.items()}
    assert first == {
        "inner_valid": [1, 2, 3],
        "outer_valid": [4, 5, 6],
        "train": list(range(7, 24)),  # 17 of 19
        "test": [100, 101, 102, 103],
    }
    np.testing.assert_array_equal(data.splits["train"]["length"], range(7, 24))
    np.testing.assert_array_equal(data.splits["train"]["targets"], np.arange(6, 23) % 2)


def test_validation_takes_at_most_two_fifths_of_a_small_set_each(imdb):
    # The word models' 10,000 of IMDB's 25,000, in small.
    data = _text.load(_text.IMDB, 16, 10_000, None, imdb)
    assert [data.size(split) for split in ("inner_valid", "outer_valid", "train")] == [10, 10, 5]
    assert set(data.splits["train"]) == {"text", "length"}


def test_texts_that_would_not_fit_into_memory_lose_their_ends(imdb, monkeypatch):
    monkeypatch.setattr(_text, "MOST_TOKENS", 19 * 10)
    _text._splits.cache_clear()
    train = _text.load(_text.IMDB, 16, 3, None, imdb).splits["train"]
    _text._splits.cache_clear()
    assert train["text"].shape == (19, 10)
    np.testing.assert_array_equal(train["length"], np.minimum(np.arange(7, 26), 10))


def test_bytes_are_made_from_plain_text_where_only_that_is_there(tmp_path):
    splits = {split: reviews([b"ab\xc3\xa9"] * 10) for split in ("train", "test")}
    tfds_folders.write(tmp_path, "imdb_reviews/plain_text:1.0.0", FEATURES, splits)
    data = _text.load("imdb_reviews/bytes", 16, 2, None, tmp_path)
    np.testing.assert_array_equal(data.splits["test"]["text"][0], [98, 99, 196, 170])


def test_a_missing_real_set_is_an_error_that_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="lm1b/bytes"):
        _text.load("lm1b/bytes", 16, 3000, None, tmp_path)


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ([b"plain"] * 10, 2, "texts are bytes where ids of subwords were expected"),
        ([np.array([0, 5])] * 10, 2, "a text has ids 0 to 5; expected 1 to 65535"),
        ([np.array([5])] * 10, 3, r"label .label. is \[2\]; there are 2 classes"),
    ],
)
def test_real_sets_of_another_kind_are_errors(tmp_path, texts, labels, message):
    splits = {split: reviews(texts, labels) for split in ("train", "test")}
    tfds_folders.write(tmp_path, "imdb_reviews/subwords8k:1.0.0", FEATURES, splits)
    with pytest.raises(ValueError, match=message):
        _text.load(_text.IMDB, 16, 3, None, tmp_path, labels=True)
