"""Every example in a docstring runs, in every room."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("workloads", "submissions", "results", "tuning", "lists", "reports", "shortlist")


def modules() -> list[str]:
    names = []
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            if ">>>" in file.read_text():
                dotted = ".".join(file.relative_to(ROOT).with_suffix("").parts)
                names.append(dotted.removesuffix(".__init__"))
    return names


@pytest.mark.parametrize("name", modules())
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(module, optionflags=flags).failed == 0
