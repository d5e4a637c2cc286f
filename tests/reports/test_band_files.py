"""Simulated bands on disk: simulated once, read back bit for bit, and never the reason that something fails."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from reports import simulated
from reports.band_files import BandKey, kept
from reports.bands import tuning_curve
from reports.simulated import simulated_intervals

KEY = BandKey("ld_equal_tailed", 3, 0.95, 7)
ENDS = np.array([0.1 + 0.2, 1 / 3, np.nextafter(0.5, 1.0)])  # numbers that few digits would change


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "shortlist" / "bands"


def never() -> np.ndarray:
    raise AssertionError("simulated although there is a file")


def test_a_band_is_simulated_once_and_read_back_bit_for_bit(folder):
    assert kept(KEY, lambda: ENDS).tobytes() == ENDS.tobytes()
    assert [path.name for path in folder.iterdir()] == [KEY.file_name]  # nothing unfinished beside it
    assert kept(KEY, never).tobytes() == ENDS.tobytes()


@pytest.mark.parametrize(
    "other",
    [
        BandKey("ks", 3, 0.95, 7),
        BandKey("ld_equal_tailed", 4, 0.95, 7),
        BandKey("ld_equal_tailed", 3, 0.9500001, 7),
        BandKey("ld_equal_tailed", 3, 0.95, 8),
    ],
)
def test_another_band_has_another_file(other):
    kept(KEY, lambda: ENDS)
    found = np.linspace(0.1, 0.9, other.n)
    assert kept(other, lambda: found) is found


def test_another_version_of_opda_is_another_band(monkeypatch):
    kept(KEY, lambda: ENDS)
    monkeypatch.setattr("reports.band_files.metadata.version", lambda name: "9.9")
    assert kept(KEY, lambda: ENDS / 2)[0] == ENDS[0] / 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"0.3333", b"0.3334"),
        lambda content: content.replace(b'"n": 3', b'"n": 4'),
        lambda content: b"[1, 2]",
        lambda content: b"\xff\xfe",
        lambda content: content.replace(b'"low": [', b'"low": ["x", '),
    ],
)
def test_a_damaged_file_is_simulated_again_and_mended(folder, damage):
    kept(KEY, lambda: ENDS)
    path = folder / KEY.file_name
    path.write_bytes(damage(path.read_bytes()))
    assert kept(KEY, lambda: ENDS).tobytes() == ENDS.tobytes()
    assert kept(KEY, never).tobytes() == ENDS.tobytes()


def test_a_file_of_another_band_under_this_name_is_not_believed(folder):
    other = BandKey("ld_equal_tailed", 3, 0.9, 7)
    kept(other, lambda: ENDS)
    os.rename(folder / other.file_name, folder / KEY.file_name)
    assert kept(KEY, lambda: ENDS / 2)[0] == ENDS[0] / 2


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "shortlist").write_text("a file where the folder should be")
    assert kept(KEY, lambda: ENDS) is ENDS
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("reports.band_files.cache_folder", lambda: None)  # a user without a home
    assert kept(KEY, lambda: ENDS) is ENDS


def test_curves_at_any_level_come_from_the_file(folder, monkeypatch):
    values = np.random.default_rng(0).random(4)
    monkeypatch.setattr(simulated, "_by_opda", lambda n, confidence, seed: np.linspace(0.1, 0.7, n))
    simulated_intervals.cache_clear()
    first = tuning_curve(values, minimize=True, confidence=0.95, support=(0.0, 1.0))
    assert len(list(folder.iterdir())) == 1
    simulated_intervals.cache_clear()
    monkeypatch.setattr(simulated, "_by_opda", lambda *_: never())
    assert tuning_curve(values, minimize=True, confidence=0.95, support=(0.0, 1.0)).equals(first)
    simulated_intervals.cache_clear()  # of a simulation that was none
