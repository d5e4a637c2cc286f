"""Dry runs compile as a user's do: whether compiling again takes time is among what they find."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache


@pytest.fixture(autouse=True)
def no_programs_from_earlier():
    """JAX's cache on disk is off; it looks once whether it is on, so it is told to look again."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()
