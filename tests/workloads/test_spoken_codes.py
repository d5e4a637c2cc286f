"""Strings of spoken digits and letters: what is in them, and that no split knows another's."""

import importlib.metadata

import numpy as np
import pytest

from workloads.data import spoken_codes

SIZES = {"train": 24, "validation": 8, "test": 8}


def _is_there(package):
    try:
        return bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return False


needs_recordings = pytest.mark.skipif(
    not all(map(_is_there, spoken_codes.PACKAGES)), reason="no recordings: pip install 'shortlist[embedded]'"
)


@pytest.fixture(params=[pytest.param(True, marks=needs_recordings), False], ids=["recorded", "tones"])
def recorded(request, monkeypatch):
    """With the packages, and as if they were missing."""
    if not request.param:
        monkeypatch.setattr(spoken_codes, "PACKAGES", ("no-such-package",))
    return request.param


def _spoken(**changes):
    given = {"alphabet": "0123", "places": (1, 3), "samples": 8_000, "sizes": SIZES}
    return spoken_codes.spoken(**given | changes)


def test_strings_have_the_shapes_that_were_asked_for(recorded):
    splits, provenance = _spoken()
    assert provenance.kind == ("embedded" if recorded else "synthetic")
    assert provenance.stands_in_for == "LibriSpeech"
    for name, split in splits.items():
        assert split.audio.shape == (SIZES[name], 8_000)
        assert split.audio.dtype == np.int16
        assert split.codes.shape == (SIZES[name], 3)
        for audio, samples, codes, places in zip(*split, strict=True):
            assert 1 <= places <= 3
            assert np.all((codes[:places] >= 1) & (codes[:places] <= 4))
            assert not codes[places:].any()
            assert not audio[samples:].any()
            # A code takes a tenth of a second at least; what is said is loud, and seldom too loud.
            assert samples > 800 * places
            assert 300 < np.sqrt(np.mean(audio[:samples].astype(float) ** 2)) < 5_000


def test_splits_share_no_string():
    splits, _ = _spoken(sizes={"train": 60, "validation": 20, "test": 20})
    strings = {name: set(map(tuple, split.codes.tolist())) for name, split in splits.items()}
    assert all(strings.values())
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not strings[one] & strings[other]


def test_equal_seeds_give_equal_strings_and_others_others():
    one, again, other = (_spoken(sizes={"train": 4}, seed=seed)[0]["train"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.audio, again.audio)
    assert not np.array_equal(one.audio, other.audio)


@needs_recordings
def test_digits_have_two_recordings_and_letters_one():
    voices, provenance = spoken_codes.recordings(spoken_codes.DIGITS + spoken_codes.LETTERS)
    assert [len(of_code) for of_code in voices] == [2] * 10 + [1] * 26
    for voice in (voice for of_code in voices for voice in of_code):
        assert 0.1 < len(voice) / spoken_codes.RATE < 0.8
    for what in ("captcha ", "spokennumbers ", "46 recordings", "one or two voices"):
        assert what in provenance.source


def test_tones_of_all_codes_differ():
    tones = [spoken_codes.tones(code) for code in spoken_codes.DIGITS + spoken_codes.LETTERS]
    likeness = np.corrcoef(np.stack(tones)) - np.eye(36)
    # Pairs share one of their two tones at the most, the louder of them four fifths of the power.
    assert np.abs(likeness).max() < 0.9
