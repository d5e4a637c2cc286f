"""LibriSpeech in AlgoPerf's layout: small files of it, read through."""

import itertools
import shutil

import numpy as np
import pytest

import workloads
from tests.workloads.algoperf import golden
from tests.workloads.parting import assert_parts_make_the_whole, assert_turns_make_the_whole
from workloads.data import librispeech


@pytest.fixture
def folder(tmp_path):
    """Six utterances in every part, the i-th of 100 + i samples and i + 1 tokens."""
    for part in itertools.chain(*librispeech.SPLITS.values()):
        (tmp_path / part).mkdir()
        rows = ["index,id,text"]
        for i in range(6):
            rows.append(f"{i},{part}-{i},TEXT")
            np.save(tmp_path / part / f"{part}-{i}_audio.npy", np.arange(100 + i) - 50)
            np.save(tmp_path / part / f"{part}-{i}_targets.npy", np.arange(1, i + 2, dtype=np.int32))
        (tmp_path / f"{part}.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def _first_samples(batch):
    """Which utterances are in a batch, by their lengths."""
    return (1 - batch["inputs"][1]).sum(1).astype(int).tolist()


def test_evaluations_see_every_utterance_once_in_order(folder):
    data = librispeech.read(folder, 5, samples=200)
    assert {split: data.size(split) for split in data.splits} == {"train": 18, "validation": 12, "test": 6}
    batches = list(data.once("validation", None, 5, 12))
    assert [len(batch["inputs"][0]) for batch in batches] == [5, 5, 2]
    assert sum(map(_first_samples, batches), []) == [*range(100, 106)] * 2  # noqa: RUF017
    (audio, paddings), (tokens, no_tokens) = batches[0]["inputs"], batches[0]["targets"]
    assert [x.shape for x in (audio, paddings, tokens, no_tokens)] == [(5, 200), (5, 200), (5, 256), (5, 256)]
    assert audio[1, :101].tolist() == [*range(-50, 51)]
    assert not audio[1, 101:].any()
    assert tokens[2, :4].tolist() == [1, 2, 3, 0]
    assert no_tokens[2, :4].tolist() == [0, 0, 0, 1]


def test_training_sees_another_order_every_epoch_and_begins_anywhere(folder):
    data = librispeech.read(folder, 5, samples=200)
    take = lambda seed, first, count: list(itertools.islice(data.read("train", seed, 9, first), count))  # noqa: E731
    batches = take(0, 0, 4)
    epochs = [_first_samples(batches[i]) + _first_samples(batches[i + 1]) for i in (0, 2)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted([*range(100, 106)] * 3)
    assert _first_samples(take(0, 3, 1)[0]) == _first_samples(batches[3])
    assert _first_samples(take(1, 0, 1)[0]) != _first_samples(batches[0])
    with pytest.raises(ValueError, match=r"batch_size 19 exceeds the 18 examples of split 'train'"):
        next(data.read("train", 0, 19, 0))


def test_what_is_missing_or_too_long_is_said(folder):
    with pytest.raises(ValueError, match=r"has 105 entries; the longest may have 104"):
        list(librispeech.read(folder, 6, samples=104).once("test", None, 6, 6))
    (folder / "dev-other.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"dev-other.csv is missing"):
        librispeech.read(folder, 5)


@golden.needs_golden
def test_the_workload_reads_them_with_the_tokenizer_beside(folder):
    with pytest.raises(FileNotFoundError, match=r"spm_model.vocab is missing"):
        workloads.load("algoperf/librispeech_deepspeech", folder)
    shutil.copy(golden.FOLDER / "spm_1024.model", folder / librispeech.TOKENIZER)
    with pytest.raises(ValueError, match=r"batch_size 256 exceeds the 18 examples"):
        workloads.load("algoperf/librispeech_deepspeech", folder)


def test_parts_of_several_processes_make_the_whole(folder):
    data = librispeech.read(folder, 5, samples=200)
    assert_parts_make_the_whole(data, 4, 2, steps=6)  # more than an epoch
    assert_turns_make_the_whole(data, "validation", 4, data.size("validation"), 2)
