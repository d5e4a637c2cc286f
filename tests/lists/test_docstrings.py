"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import lists

MODULES = [
    "lists",
    *(f"lists.{module.name}" for module in pkgutil.iter_modules(lists.__path__)),
    "submissions.nadamw_grid",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
