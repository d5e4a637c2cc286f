"""How trials are spread over programs, and how many fit."""

from __future__ import annotations

import itertools
import json
import types

import numpy as np
import pytest

from benchmarks import population as benchmark
from tuning.engine import _memory, _spread
from tuning.engine._spread import Spread


@pytest.mark.parametrize(
    ("trials", "width", "places", "devices"), [*itertools.product((1, 5, 32, 33), (1, 4, 16), (1, 2), (1, 3))]
)
def test_parts_hold_every_trial_and_are_of_one_size(trials, width, places, devices):
    parts = Spread(width, places, devices).parts(trials)
    (size,) = {len(part) for part in parts}
    assert size % devices == 0
    assert size <= max(width, devices) + devices - 1
    spread = np.concatenate(parts)
    assert spread[:trials].tolist() == list(range(trials))  # in order, so that results can be laid end to end
    assert set(spread[trials:]) <= {trials - 1}


def test_every_place_has_a_program_while_there_are_trials_for_it():
    assert [len(Spread(16, 2).parts(trials)) for trials in (1, 2, 32, 33, 64)] == [1, 2, 2, 4, 4]


def test_a_spread_of_nothing_is_refused():
    with pytest.raises(ValueError, match="width is 0, must be at least 1"):
        Spread(0, 1)


def test_what_is_asked_for_replaces_what_was_measured():
    measured = _spread.spread("mlp")
    assert _spread.spread("mlp", width=3) == Spread(3, measured.side_by_side, measured.devices)
    assert _spread.spread("mlp", side_by_side=7).side_by_side == 7
    assert _spread.spread("a class of one's own").width == _spread.spread("other").width


@pytest.mark.parametrize("cost_class", ["mlp", "conv", "rnn", "flow", "objective", "other"])
def test_a_study_writes_no_file_for_every_trial(cost_class):
    assert _spread.cohort_size(cost_class) >= 8
    assert _spread.cohort_size(cost_class) % _spread.spread(cost_class).width == 0


def compiled(temporary: int, output: int):
    analysis = types.SimpleNamespace(temp_size_in_bytes=temporary, output_size_in_bytes=output)
    return types.SimpleNamespace(memory_analysis=lambda: analysis)


def test_what_fits_stays_and_what_does_not_shrinks_in_proportion():
    assert _memory.fitting(compiled(900, 100), 32, limit=1000) == 32
    assert _memory.fitting(compiled(1900, 100), 32, limit=1000) == 16
    assert _memory.fitting(compiled(1900, 100), 32, limit=1999) == 31  # always fewer, so that trying ends
    assert _memory.fitting(compiled(1900, 100), 2, limit=1) == 1


def test_memory_that_may_be_taken_is_a_part_of_what_the_machine_has():
    with open("/proc/meminfo") as file:
        total = int(next(line for line in file if line.startswith("MemTotal")).split()[1]) * 1024
    assert 0 < _memory.available() <= total * 0.5


def test_the_benchmark_writes_the_table_that_the_engine_reads(tmp_path):
    path = tmp_path / "widths.json"
    path.write_text(json.dumps({"trials_per_program": {"cpu": {"mlp": 1, "rnn": 3, "other": 2}}}))

    def result(cost_class, **rates):
        spreads = {f"engine, {name[1:]} per program": {"median": rate} for name, rate in rates.items()}
        return {
            "cost_class": cost_class,
            "trial_steps_per_second": {"plain loop": {"median": 1e9}, **spreads},
        }

    results = {
        "a": result("mlp", w8=50.0, w16=100.0),
        "b": result("mlp", w8=3.0, w16=2.9),
        "c": result("conv", w1=7),
    }
    benchmark.write_widths(results, path)
    # Relative to the fastest of each case, 8 trials reach (.5, 1) and 16 trials (1, .97).
    assert json.loads(path.read_text())["trials_per_program"]["cpu"] == {
        "mlp": 16,
        "rnn": 3,
        "other": 2,
        "conv": 1,
    }
