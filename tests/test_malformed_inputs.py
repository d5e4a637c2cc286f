"""Whatever is wrong with a file, a command answers in one line.

A seeded few of the damages of `benchmarks.malformed_inputs`, which does them all.
"""

from __future__ import annotations

import json

import pytest

from benchmarks import _malformed_cases, _malformed_kinds, _malformed_rules
from benchmarks._damage import Damage
from benchmarks._legal import Rule, json_by, number

MOST = 4  # damages per kind of file, read by one of its readers; the benchmark does them all
LONG = ("own optimizer", "own workload")  # they train, and are the slow test's
QUICK = [kind for kind in _malformed_kinds.KINDS if kind.name not in LONG]


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.name)
def test_a_spoilt_file_is_refused_in_one_line_or_taken_for_a_reason(kind):
    answers = dict(_malformed_cases.of_kind(kind, seed=0, most=MOST, readers=1))
    assert not _wrong(answers)


def gullible(folder):
    """A reader that takes whatever JSON there is."""
    return json.loads((folder / "a.json").read_text())["x"]


def test_what_is_taken_is_garbage_unless_it_says_the_same_or_a_rule_allows_it(monkeypatch):
    def damages(generator, folder):
        for name, text in (("spaces", '{ "x": 1 }'), ("two", '{"x": 2}'), ("minus one", '{"x": -1}')):
            yield Damage(name, lambda path, text=text: path.write_text(text))
        yield Damage(
            "by declaration", lambda path: path.write_text('{"x": -1}'), {f"{__name__}:gullible": "so"}
        )

    kind = _malformed_kinds.Kind(
        "a kind of the test", "a.json", lambda folder: (folder / "a.json").write_text('{"x": 1}'), damages,
        readers={f"{__name__}:gullible": lambda folder: (folder,)},
    )  # fmt: skip
    rules = {kind.name: json_by(Rule(("x",), number(0), "any number from 0"))}
    monkeypatch.setattr(_malformed_rules, "RULES", rules)
    answers = {case.damage: answer[:2] for case, answer in _malformed_cases.of_kind(kind, 0, None)}
    assert answers == {
        "valid": ("taken", ""),
        "spaces": ("same", ""),
        "two": ("legal", "any number from 0"),
        "minus one": ("garbage", "value"),
        "by declaration": ("legal", "so"),
    }


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
