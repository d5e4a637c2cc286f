"""Configs of TaskSet's three families of recurrent nets: exactly the original's."""

from __future__ import annotations

import pytest

from tests.workloads.taskset import published
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


@pytest.mark.parametrize("family", FAMILIES)
def test_configs_equal_the_golden_ones(shared, family):
    for seed in range(20):
        published.assert_same(
            FAMILIES[family].sample(seed),
            published.golden_config(shared, family, seed),
            f"{family}_seed{seed}",
        )


@pytest.mark.parametrize(
    ("family", "characters"),
    [
        ("char_rnn_language_model_family", 468_175),
        ("word_rnn_language_model_family", 474_020),
        ("rnn_text_classification_family", 514_394),
    ],
)
def test_a_thousand_configs_fill_a_file_of_the_published_length(family, characters):
    assert published.characters(family, FAMILIES[family].sample) == characters


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
