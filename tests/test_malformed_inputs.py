"""Whatever is wrong with a file, a command answers in one line.

A seeded few of the damages of `benchmarks.malformed_inputs`, which does them all.
"""

from __future__ import annotations

import pytest

from benchmarks import _malformed_cases, _malformed_kinds

MOST = 4  # damages per kind of file, read by one of its readers; the benchmark does them all
LONG = ("own optimizer", "own workload")  # they train, and are the slow test's
QUICK = [kind for kind in _malformed_kinds.KINDS if kind.name not in LONG]


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.name)
def test_a_spoilt_file_is_refused_in_one_line_or_taken_for_a_reason(kind):
    answers = dict(_malformed_cases.of_kind(kind, seed=0, most=MOST, readers=1))
    assert not _wrong(answers)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", _malformed_kinds.KINDS, ids=lambda kind: kind.name)
def test_more_spoilt_files_are_refused_in_one_line_or_taken_for_a_reason(kind, seed):
    answers = dict(_malformed_cases.of_kind(kind, seed=seed, most=80))
    assert not _wrong(answers)


def _wrong(answers):
    return {
        str(case): answer[:2]
        for case, answer in answers.items()
        if answer.outcome not in (("taken",) if case.damage == "valid" else _malformed_cases.RIGHT)
    }
