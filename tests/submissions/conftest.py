import sys

import pytest

from tests.submissions import algoperf_toy


@pytest.fixture
def algoperf(monkeypatch):
    """A minimal `algoperf`, as long as a test runs."""
    modules = algoperf_toy.modules()
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return modules["algoperf"]
