"""Fixtures shared by all tests. Array types are checked by beartype here, and only here."""

from __future__ import annotations

from pathlib import Path

import jaxtyping
import pytest
from hypothesis import settings

from tests import compiling  # noqa: F401  (before JAX is imported)
from tests.loaded import leading, loaded  # noqa: F401  (fixtures)

jaxtyping.install_import_hook(["lists", "results._fractions"], "beartype.beartype")

# A deadline per example asserts a time; a busy machine would fail it.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of facts and real logs beside the repository; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder of facts and real logs ('shared') beside the repository")
    return folder
