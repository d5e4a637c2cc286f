"""Configs of TaskSet's three families of recurrent nets: exactly the original's."""

from __future__ import annotations

import json
import math

import pytest

from workloads.taskset import (
    _draws,
    char_rnn_language_model_family,
    rnn_text_classification_family,
    word_rnn_language_model_family,
)

FAMILIES = {
    "char_rnn_language_model_family": char_rnn_language_model_family,
    "word_rnn_language_model_family": word_rnn_language_model_family,
    "rnn_text_classification_family": rnn_text_classification_family,
}


def same(got, expected, where):
    """Exact but for floats, which agree to a relative 1e-12; keys in the same order."""
    assert type(got) is type(expected), where
    if isinstance(expected, dict):
        assert list(got) == list(expected), where
        for key in expected:
            same(got[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(got) == len(expected), where
        for i, (a, b) in enumerate(zip(got, expected, strict=True)):
            same(a, b, f"{where}[{i}]")
    elif isinstance(expected, float):
        assert math.isclose(got, expected, rel_tol=1e-12), where
    else:
        assert got == expected, where


@pytest.mark.parametrize("family", FAMILIES)
def test_configs_equal_the_golden_ones(shared, family):
    golden = json.loads((shared / "facts" / "taskset_golden.json").read_text())[family]
    assert len(golden) == 20
    for seed in range(20):
        name = f"{family}_seed{seed}"
        same(FAMILIES[family].sample(seed), golden[name], name)


@pytest.mark.parametrize(
    ("family", "characters"),
    [
        ("char_rnn_language_model_family", 468_175),
        ("word_rnn_language_model_family", 474_020),
        ("rnn_text_classification_family", 514_394),
    ],
)
def test_a_thousand_configs_fill_a_file_of_the_published_length(family, characters):
    # Published form: one line per config, sorted by name as a string, for seeds 0..999.
    lines = {
        f"{family}_seed{seed}": json.dumps([FAMILIES[family].sample(seed), family]) for seed in range(1000)
    }
    text = "{\n" + ",\n".join(f'"{name}":{lines[name]}' for name in sorted(lines)) + "\n}"
    assert len(text) == characters


def test_initializers_of_a_linked_core_are_not_one_object():
    core = char_rnn_language_model_family.sample(0)["core"][1]
    assert core["wh"] == core["uz"]
    assert core["wh"] is not core["uz"]


def test_data_sets_are_drawn_from_sorted_names():
    for names, number in (
        (_draws.BYTE_DATASETS, 11),
        (_draws.SUBWORD_DATASETS, 11),
        (_draws.TEXT_DATASETS, 9),
    ):
        assert list(names) == sorted(names)
        assert len(set(names)) == number
